"""Measures, the safety plan, choices in advance, and how the person wants to be spoken of."""

import pytest

from services.ledger.plan.decide import Accepted
from shared.events.event import Event
from tests.given import (
    ADA,
    EVE,
    SAM,
    SCALE,
    Given,
    accepted,
    ada,
    again,
    bea,
    change,
    given,
    line,
    lines,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    started,
    tom,
    version,
    warned,
)

STEADY = ada.defines()
REVISED = ada.revises(max=5)
HOME = ada.chooses()

# Measures.


def test_a_measure_is_a_line_with_a_first_version() -> None:
    given(started).when(STEADY).then(
        accepted,
        line("measure/steady", id="steady", state="open", data={**SCALE, "version": 1, "id": None}),
        line("measure/steady", origin={"entry": STEADY.id, "author": ADA}, since=2, version=2),
    )


def test_a_measure_without_a_name_is_named_by_its_event() -> None:
    said = ada.defines(name=None)
    given(started).when(said).then(accepted, line(f"measure/{said.id}", id=said.id))


def test_a_measure_may_aim_at_an_aspiration_and_have_a_rhythm() -> None:
    said = ada.defines(aspiration="sea", rhythm="Each evening")
    told = {"aspiration": "sea", "rhythm": "Each evening"}
    given(started, ada.states()).when(said).then(accepted, line("measure/steady", data=told))


@pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, -1)])
def test_a_scale_rises(low: int, high: int) -> None:
    given(started).when(ada.defines(min=low, max=high)).then(refused("bad-range"))
    given(started, STEADY).when(ada.revises(min=low, max=high)).then(refused("bad-range"))


def test_what_is_wrong_with_a_measure_is_told_in_order() -> None:
    before = given(started, STEADY)
    before.when(ada.defines(aspiration="moon", min=9, max=1)).then(refused("unknown-target"))
    before.when(ada.defines(min=9, max=1)).then(refused("exists"))
    before.when(ada.defines(name="other", min=9, max=1)).then(refused("bad-range"))
    before.when(ada.revises("other", min=9, max=1)).then(refused("unknown-target"))
    before.when(ada.revises(aspiration="moon", min=9, max=1)).then(refused("unknown-target"))


def test_a_measure_revised_has_its_next_version_and_its_first_place() -> None:
    given(started, STEADY).when(REVISED).then(
        accepted,
        line("measure/steady", data={**SCALE, "max": 5, "version": 2, "measure": None}),
        line("measure/steady", origin={"entry": REVISED.id}, since=2, version=3),
    )
    given(started, STEADY, REVISED).when(ada.revises(max=7)).then(
        accepted, line("measure/steady", data={"version": 3, "max": 7})
    )


def test_a_rating_is_a_line_of_its_own_and_leaves_the_measure() -> None:
    said = ada.rates(6, words="Better than Monday.")
    told = {"measure": "steady", "version": 1, "value": 6, "words": "Better than Monday."}
    given(started, STEADY).when(said).then(
        accepted,
        line(f"rating/{said.id}", data=told, origin={"entry": said.id, "author": ADA}),
        line("measure/steady", data={"version": 1}, version=2),
        version(3),
    )


def test_every_rating_stays() -> None:
    first, second = ada.rates(6), ada.rates(7)
    given(started, STEADY, first).when(second).then(
        accepted, lines("plan/plan", "measure/steady", f"rating/{first.id}", f"rating/{second.id}")
    )


@pytest.mark.parametrize(("value", "inside"), [(-1, False), (0, True), (10, True), (11, False)])
def test_a_rating_lies_on_the_scale(value: int, inside: bool) -> None:
    said = ada.rates(value)
    given(started, STEADY).when(said).then(accepted if inside else refused("out-of-range"))


@pytest.mark.parametrize(("under", "code"), [(1, "version-mismatch"), (3, "version-mismatch")])
def test_a_rating_is_given_under_the_measure_as_it_is_now(under: int, code: str) -> None:
    given(started, STEADY, REVISED).when(ada.rates(4, under=under)).then(refused(code))
    given(started, STEADY, REVISED).when(ada.rates(4, under=2)).then(accepted)


def test_a_value_off_the_scale_is_told_before_an_old_version() -> None:
    given(started, STEADY, REVISED).when(ada.rates(8, under=1)).then(refused("out-of-range"))


def test_a_rating_keeps_the_version_it_was_given_under() -> None:
    said = ada.rates(8)
    given(started, STEADY, said).when(REVISED).then(
        accepted, line(f"rating/{said.id}", data={"version": 1, "value": 8}, version=3)
    )


def test_what_was_never_defined_cannot_be_rated() -> None:
    given(started, ada.states()).when(ada.rates(4, measure="sea")).then(refused("unknown-target"))


@pytest.mark.parametrize("said", [sam.rates(4), sam.defines(name="other"), sam.revises()])
def test_nobody_else_measures_a_person(said: Event) -> None:
    all_scopes = ada.grants(SAM, "read", "observe", "interpret", "propose", "audit")
    given(started, all_scopes, STEADY).when(said).then(refused("not-yours-to-say"))


@pytest.mark.parametrize(
    ("suggested", "code"),
    [
        (change("measure.defined", id="new", **(SCALE | {"max": 0})), "bad-range"),
        (change("measure.rated", measure="steady", version=1, value=6), "out-of-range"),
        (change("measure.rated", measure="steady", version=1, value=5), "version-mismatch"),
        (change("measure.rated", measure="steady", version=2, value=5), None),
        (change("measure.revised", measure="moon", **SCALE), "unknown-target"),
        (change("advance-choice.revised", choice="home", words="Let me stay."), "wrong-state"),
    ],
)
def test_an_acceptance_earns_what_its_change_earns(
    suggested: dict[str, object], code: str | None
) -> None:
    proposal = sam.proposes(suggested)
    before = (started, sam_may_propose, STEADY, REVISED, HOME, ada.revokes(), proposal)
    given(*before).when(ada.accepts(proposal)).then(refused(code) if code else accepted)


# The safety plan.


def test_a_safety_plan_is_one_line_written_whole() -> None:
    first = ada.writes_safety_plan(contacts=[{"name": "Mrs Hill", "reach": "next door"}])
    second = ada.writes_safety_plan("My own heading")
    sections = [{"heading": "My own heading", "words": "The sea."}]
    given(started, first).when(second).then(
        accepted,
        line("safety-plan/safety-plan", data={"sections": sections, "contacts": None}),
        line("safety-plan/safety-plan", origin={"entry": second.id}, since=2, version=3),
    )


# Choices in advance.


def test_a_choice_in_advance_is_a_line() -> None:
    told = {"words": "Let me stay.", "applies_when": "At night.", "id": None}
    given(started).when(HOME).then(
        accepted, line("choice/home", thing="choice", id="home", state="open", data=told)
    )


def test_two_choices_cannot_bear_one_name() -> None:
    given(started, HOME).when(ada.chooses("Other.")).then(refused("exists"))


def test_a_choice_is_revised_in_its_words_and_in_when_it_applies() -> None:
    words = ada.revises_choice("Let me stay, with her.")
    when = ada.revises_choice("Let me stay.", when="Always.")
    given(started, HOME).when(words).then(
        accepted,
        line("choice/home", data={"words": "Let me stay, with her.", "applies_when": "At night."}),
        line("choice/home", origin={"entry": words.id}, since=2, version=3),
    )
    given(started, HOME).when(when).then(
        accepted, line("choice/home", data={"applies_when": "Always.", "choice": None})
    )


@pytest.mark.parametrize("when", [None, "At night."])
def test_a_choice_revised_to_itself_is_unchanged(when: str | None) -> None:
    given(started, HOME).when(ada.revises_choice("Let me stay.", when=when)).then(
        refused("unchanged")
    )


def test_a_choice_is_revoked_once() -> None:
    given(started, HOME).when(ada.revokes(words="I know them now.")).then(
        accepted, line("choice/home", state="revoked", data={"closing_words": "I know them now."})
    )
    given(started, HOME, ada.revokes()).when(again(ada.revokes())).then(refused("wrong-state"))


def test_a_revoked_choice_is_not_revised() -> None:
    before = given(started, HOME, ada.revokes())
    before.when(ada.revises_choice("Let me go.")).then(refused("wrong-state"))
    before.when(ada.revises_choice("Let me stay.")).then(refused("wrong-state"))


@pytest.mark.parametrize("said", [ada.revises_choice("Go."), ada.revokes()])
def test_what_was_never_chosen_is_not_there(said: Event) -> None:
    given(started, ada.states(name="home")).when(said).then(refused("unknown-target"))


# Words about the person.

OLD_LADY = ada.prefers("Ada", "the old lady")
SPOKEN = given(started, sam_may_observe, sam_may_propose, OLD_LADY)


def test_a_preferred_wording_is_a_line_and_the_last_one_counts() -> None:
    given(started, OLD_LADY).when(ada.prefers("Mrs King", "the old lady")).then(
        accepted,
        line("wording/the old lady", data={"say": "Mrs King"}, since=2, version=3),
        lines("plan/plan", "wording/the old lady"),
    )


@pytest.mark.parametrize(
    "said",
    [
        sam.observes("The old lady walked."),
        sam.observes("THE OLD LADY walked."),
        sam.observes(None, verbatim="I am not the old lady!"),
        sam.observes("Walked.", where="At the old lady's"),
        sam.proposes(change("action.planned", what="Call the old lady", by=SAM)),
        sam.asks(ADA, "Does the old lady walk?"),
        sam.promises(what="Visit the old lady."),
    ],
)
def test_a_partner_who_uses_the_other_words_is_heard_and_warned(said: Event) -> None:
    SPOKEN.when(said).then(warned)


@pytest.mark.parametrize("said", [sam.observes("The lady, who is old."), sam.asks(ADA, "Why?")])
def test_other_words_earn_no_warning(said: Event) -> None:
    SPOKEN.when(said).then(accepted)


def test_what_was_said_before_the_wish_earns_no_warning() -> None:
    given(started, sam_may_observe).when(sam.observes("The old lady walked.")).then(accepted)


@pytest.mark.parametrize(
    "said",
    [
        ada.writes("Me", "Call me the old lady if you must."),
        ada.observes("The old lady walked."),
        ada.prefers("Countess", "the old lady"),
        ada.disagrees(OLD_LADY, "The old lady it is."),
    ],
)
def test_the_person_speaks_of_themselves_as_they_like(said: Event) -> None:
    SPOKEN.when(said).then(accepted)


def test_a_representative_speaks_for_the_person_and_is_not_warned() -> None:
    said = bea.writes("Me", "The old lady.")
    before = given(started, OLD_LADY, ada.sends(bea.id, "about-me.written"))
    before.when(said).then(Accepted(represented=True))


def test_somebody_named_in_an_entry_is_warned_too() -> None:
    seen = ada.observes(who_saw=EVE)
    said = tom.disagrees(ada.observes(who_saw=tom.id), "The old lady is wrong.")
    given(started, OLD_LADY, seen, ada.observes(who_saw=tom.id)).when(said).then(warned)


def test_a_refusal_is_a_refusal_whatever_its_words() -> None:
    SPOKEN.when(sam.rewords("The old lady.")).then(refused("not-yours-to-say"))
    SPOKEN.when(sam.says("observation.recorded", who_saw="the old lady")).then(
        refused("missing-observable")
    )


def test_a_wish_about_words_can_be_suggested_and_counts_once_it_is_accepted() -> None:
    wish = sam.proposes(change("wording.preferred", say="Ada", instead_of="the patient"))
    said = sam.observes("The patient walked.")
    before: Given = given(started, sam_may_observe, sam_may_propose, wish)
    before.when(said).then(accepted)
    given(ada.accepts(wish), plan=before.plan).when(said).then(warned)
