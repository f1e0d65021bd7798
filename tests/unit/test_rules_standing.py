"""The general refusals, and the order in which they speak."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.refusals import Code
from shared.events.type_names import P
from tests.given import (
    ADA,
    EVE,
    SAM,
    Voice,
    about,
    accepted,
    ada,
    again,
    change,
    eve,
    event,
    given,
    north,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    seeing,
    shoes,
    started,
    tom,
    under_the_id_of,
)

WISH = ada.states()
WALK = sam.proposes(change("action.planned", what="Walk", by=SAM))
OTHERS = [eve, sam, tom, shoes]
PERSON_ONLY = [name for name, row in CATALOGUE.items() if row.who == P]
PARTNERS_ONLY = [name for name, row in CATALOGUE.items() if not row.who.person]
NOT_PERSON_ONLY = [name for name in CATALOGUE if name not in PERSON_ONLY]
BY_SCOPE = [name for name, row in CATALOGUE.items() if row.who.scope]
ERASED = Plan(ADA, state="erased", version=7)


def example(voice: Voice, kind: str) -> Event:
    """The catalogue's example of a type, said by somebody."""
    return voice.says(kind, **CATALOGUE[kind].example)


def ids(value: object) -> str:
    return value.id if isinstance(value, Voice) else str(value)


@pytest.mark.parametrize("voice", OTHERS, ids=ids)
@pytest.mark.parametrize("kind", PERSON_ONLY)
def test_nobody_else_says_what_only_the_person_may_say(voice: Voice, kind: str) -> None:
    all_scopes = ada.grants(SAM, "read", "observe", "interpret", "propose", "audit")
    given(started, all_scopes).when(example(voice, kind)).then(refused("not-yours-to-say"))


@pytest.mark.parametrize("voice", OTHERS, ids=ids)
def test_a_partner_cannot_reword_an_aspiration(voice: Voice) -> None:
    given(started, sam_may_propose, WISH).when(voice.rewords("Sit.")).then(
        refused("not-yours-to-say")
    )


def test_nobody_starts_a_plan_for_a_person() -> None:
    given().when(sam.starts()).then(refused("not-yours-to-say"))


def test_a_person_makes_no_proposals_to_themselves() -> None:
    said = ada.proposes(change("action.planned", what="Walk", by=SAM))
    given(started).when(said).then(refused("not-yours-to-say"))


@pytest.mark.parametrize("kind", PARTNERS_ONLY)
def test_what_is_for_others_to_say_the_person_does_not_say(kind: str) -> None:
    given(started).when(example(ada, kind)).then(refused("not-yours-to-say"))
    given().when(example(ada, kind)).then(refused("not-yours-to-say"))


def test_what_is_for_others_alone_is_what_others_bring_to_the_person() -> None:
    assert set(PARTNERS_ONLY) == {
        "proposal.made",
        "interpretation.offered",
        "commitment.made",
        "advance-choice.departed-from",
    }


@pytest.mark.parametrize("voice", [eve, shoes], ids=ids)
@pytest.mark.parametrize("kind", BY_SCOPE)
def test_only_partners_stand_beside_a_plan(voice: Voice, kind: str) -> None:
    given(started).when(example(voice, kind)).then(refused("not-yours-to-say"))


@pytest.mark.parametrize("author", ["auditor:ann", "operator:oz"])
@pytest.mark.parametrize("kind", CATALOGUE)
def test_no_other_role_says_anything_about_a_plan(author: str, kind: str) -> None:
    code = "no-grant" if CATALOGUE[kind].who.named else "not-yours-to-say"
    given(started).when(example(Voice(author), kind)).then(refused(code))


@pytest.mark.parametrize("voice", [tom, north], ids=ids)
@pytest.mark.parametrize("kind", NOT_PERSON_ONLY)
def test_a_stranger_has_no_grant(voice: Voice, kind: str) -> None:
    given(started).when(example(voice, kind)).then(refused("no-grant"))


@pytest.mark.parametrize("author", ["person:Ada", "person:ada.", "partner:ada"])
def test_a_name_like_the_persons_is_not_the_person(author: str) -> None:
    given(started).when(Voice(author).states()).then(refused("not-yours-to-say"))


@pytest.mark.parametrize("kind", [name for name in PERSON_ONLY if name != "plan.started"])
def test_the_person_hears_that_no_plan_was_started(kind: str) -> None:
    given().when(example(ada, kind)).then(refused("no-such-plan"))


@pytest.mark.parametrize("kind", [n for n in NOT_PERSON_ONLY if n not in PARTNERS_ONLY])
def test_the_person_needs_a_plan_to_have_anything_beside_it(kind: str) -> None:
    given().when(example(ada, kind)).then(refused("no-such-plan"))


@pytest.mark.parametrize("kind", [name for name in CATALOGUE if name not in PARTNERS_ONLY])
def test_the_person_hears_that_the_plan_was_erased(kind: str) -> None:
    given(plan=ERASED).when(example(ada, kind)).then(refused("plan-erased"))


@pytest.mark.parametrize("plan", [Plan(ADA), Plan(ADA, state="started"), ERASED])
@pytest.mark.parametrize("kind", NOT_PERSON_ONLY)
def test_a_partner_cannot_tell_the_living_from_the_erased_from_the_never_were(
    kind: str, plan: Plan
) -> None:
    given(plan=plan).when(example(sam, kind)).then(refused("no-grant"))


def test_a_partner_is_told_no_grant_even_where_an_erased_plan_kept_its_grants() -> None:
    kept = given(started, sam_may_observe).plan
    kept.state = "erased"
    given(plan=kept).when(sam.observes()).then(refused("no-grant"))


# Ids are used once.


@pytest.mark.parametrize("said", [ada.writes("Food", "Fish."), ada.states(), ada.lets_go("moon")])
def test_an_id_already_in_the_persons_stream_is_not_used_again(said: Event) -> None:
    given(started).when(under_the_id_of(started, said)).then(refused("id-reused"))


def test_an_id_belongs_to_its_first_bearer_whoever_comes_next() -> None:
    seen = under_the_id_of(started, sam.observes())
    given(started, sam_may_observe).when(seen).then(refused("id-reused"))


def test_an_id_with_another_digest_in_the_log_is_refused() -> None:
    given(started).when(WISH, reused=True).then(refused("id-reused"))


def test_an_id_of_another_persons_stream_is_free() -> None:
    given(plan=Plan(EVE)).when(under_the_id_of(started, about(EVE, eve.starts()))).then(accepted)


def test_a_refused_event_does_not_use_its_id_up_in_the_plan() -> None:
    mended = under_the_id_of(ada.lets_go(), WISH)
    given(started).when(ada.lets_go()).then(refused("unknown-target"))
    given(started).when(mended).then(accepted)


# What the author saw.


def test_an_author_who_saw_the_present_version_is_heard() -> None:
    given(started).when(seeing(1, WISH)).then(accepted)


def test_an_author_who_saw_nothing_yet_may_start() -> None:
    given().when(seeing(0, started)).then(accepted)


@pytest.mark.parametrize("version", [0, 2, 2**53 - 1])
def test_an_author_who_saw_another_version_is_refused(version: int) -> None:
    given(started).when(seeing(version, WISH)).then(refused("version-conflict"))


def test_what_stands_beside_the_plan_makes_no_conflict() -> None:
    given(started, sam_may_observe, sam.observes()).when(seeing(1, WISH)).then(accepted)


def test_a_partner_too_says_which_version_they_saw() -> None:
    given(started, sam_may_propose, WISH).when(seeing(1, WALK)).then(refused("version-conflict"))


# The order of the refusals.

EVERYTHING_WRONG = [
    ("not-yours-to-say", sam.rewords("Sit."), True),
    ("no-grant", sam.observes(None), True),
    ("id-reused", under_the_id_of(started, seeing(9, ada.lets_go("moon"))), True),
    ("id-reused", under_the_id_of(started, seeing(9, ada.lets_go("moon"))), False),
    ("version-conflict", seeing(9, ada.lets_go("moon")), False),
    ("unknown-target", seeing(1, ada.lets_go("moon")), False),
]


@pytest.mark.parametrize(("code", "said", "reused"), EVERYTHING_WRONG)
def test_of_many_refusals_the_first_in_order_is_told(code: str, said: Event, reused: bool) -> None:
    given(started).when(said, reused=reused).then(refused(code))


def test_no_plan_is_told_before_a_used_id_and_a_wrong_version() -> None:
    given().when(seeing(9, WISH), reused=True).then(refused("no-such-plan"))


def test_an_erased_plan_is_told_before_a_used_id_and_a_wrong_version() -> None:
    said = under_the_id_of(started, seeing(9, again(started)))
    kept = given(started).plan
    kept.state = "erased"
    given(plan=kept).when(said, reused=True).then(refused("plan-erased"))


def test_a_used_id_is_told_before_that_a_plan_exists() -> None:
    given(started).when(started).then(refused("id-reused"))


def test_the_first_four_codes_alone_mean_no_standing() -> None:
    ordered = list(Code)
    assert [code for code in ordered if not code.standing] == ordered[:4]
    assert ordered[4:6] == [Code.ID_REUSED, Code.VERSION_CONFLICT]


def test_words_of_any_type_reach_no_line_before_a_plan_is_started() -> None:
    unknown = event(ADA, {"type": "about-me.written", "data": {"section": "a", "words": "b"}})
    given().when(unknown).then(refused("no-such-plan"))
