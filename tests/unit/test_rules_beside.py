"""What stands beside the plan: observations and disagreements."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.event import Event
from tests.given import (
    ADA,
    EVE,
    SAM,
    SHOES,
    TOM,
    Check,
    Voice,
    accepted,
    ada,
    beside,
    change,
    eve,
    given,
    lines,
    named_in,
    refused,
    sam,
    sam_may_observe,
    sam_may_propose,
    shoes,
    started,
    tom,
    version,
)

BEGUN = (started, sam_may_observe, sam_may_propose)
SEEN = sam.observes("Walked to the gate.", who_saw=TOM, about=SHOES)
WALK = sam.proposes(change("action.planned", what="Walk", by=TOM))


def pinned(entry: Event, *disagreements: Event) -> Check:
    """That entry carries exactly these disagreements, in order."""
    told = [
        {"entry": each.id, "author": each.author, "words": each.data["words"]}
        for each in disagreements
    ]

    def check(plan: Plan) -> None:
        assert plan.disagreements[entry.id] == told

    return check


def test_an_observation_stands_beside_the_plan_and_changes_no_line() -> None:
    given(*BEGUN).when(SEEN).then(
        accepted,
        beside("beside", SEEN),
        lines("plan/plan"),
        version(1),
        named_in(SEEN, [SAM, SHOES, TOM]),
    )


def test_a_person_records_what_they_saw_themselves() -> None:
    said = ada.observes("I walked to the gate.", who_saw="me")
    given(started).when(said).then(
        accepted, beside("beside", said), named_in(said, [ADA]), version(1)
    )


@pytest.mark.parametrize(
    "observable",
    [{"seen_or_heard": "Walked."}, {"verbatim": "I walked!"}, {"value": "400", "unit": "steps"}],
)
def test_an_observation_says_what_was_seen_or_heard_or_measured(
    observable: dict[str, str],
) -> None:
    said = sam.says("observation.recorded", who_saw=SAM, **observable)
    given(*BEGUN).when(said).then(accepted)


@pytest.mark.parametrize("rest", [{}, {"where": "At the gate"}, {"unit": "m"}, {"about": ADA}])
def test_an_observation_without_an_observable_is_refused(rest: dict[str, str]) -> None:
    said = sam.says("observation.recorded", who_saw=SAM, **rest)
    given(*BEGUN).when(said).then(refused("missing-observable"))


def test_a_person_disagrees_with_what_was_observed() -> None:
    no = ada.disagrees(SEEN)
    given(*BEGUN, SEEN).when(no).then(
        accepted, pinned(SEEN, no), beside("beside", SEEN), version(1)
    )


def test_a_person_may_disagree_with_an_entry_of_their_own() -> None:
    no = ada.disagrees(started, "I did not mean to.")
    given(started).when(no).then(accepted, pinned(started, no), lines("plan/plan"))


def test_disagreements_with_one_entry_keep_their_order() -> None:
    first, second = ada.disagrees(SEEN, "No."), sam.disagrees(SEEN, "Yes.")
    given(*BEGUN, SEEN, first).when(second).then(accepted, pinned(SEEN, first, second))


def test_a_disagreement_can_itself_be_disagreed_with() -> None:
    no = ada.disagrees(SEEN)
    given(*BEGUN, SEEN, no).when(ada.disagrees(no)).then(accepted, pinned(no, ada.disagrees(no)))


def test_the_author_of_an_entry_may_disagree_with_it_while_a_grant_is_in_force() -> None:
    given(*BEGUN, SEEN).when(sam.disagrees(SEEN)).then(accepted)
    ended = ada.withdraws(sam_may_observe), ada.withdraws(sam_may_propose)
    given(*BEGUN, SEEN, *ended).when(sam.disagrees(SEEN)).then(refused("no-grant"))


@pytest.mark.parametrize("voice", [tom, shoes], ids=lambda voice: str(voice.id))
def test_somebody_named_by_a_partner_may_not_disagree_by_that(voice: Voice) -> None:
    given(*BEGUN, SEEN).when(voice.disagrees(SEEN)).then(refused("no-grant"))


def test_another_person_named_in_an_entry_may_disagree_with_it() -> None:
    said = ada.observes("Eve came to see me.", who_saw=EVE)
    given(started, said).when(eve.disagrees(said)).then(accepted)


def test_a_partner_not_named_in_an_entry_may_not_disagree_with_it() -> None:
    said = ada.observes("I walked.", who_saw="me")
    given(*BEGUN, said).when(sam.disagrees(said)).then(refused("no-grant"))


def test_a_name_inside_a_sentence_is_not_being_named() -> None:
    said = ada.observes(f"I saw {TOM} today.", who_saw=f"{TOM} and I")
    given(started, said).when(tom.disagrees(said)).then(refused("no-grant"))


def test_only_a_whole_id_names_somebody() -> None:
    said = ada.observes(TOM + "!", who_saw=f"{TOM} and I", where=f" {TOM}")
    given(started).when(said).then(accepted, named_in(said, [ADA]))


def test_whoever_is_named_twice_is_named_once() -> None:
    said = sam.observes(who_saw=TOM, about=TOM, where=SAM)
    given(*BEGUN).when(said).then(accepted, named_in(said, [SAM, TOM]))


def test_a_grant_for_something_else_does_not_open_disagreeing() -> None:
    said = ada.states()
    given(*BEGUN, said).when(sam.disagrees(said)).then(refused("no-grant"))


def test_the_partner_of_a_grant_is_named_in_it() -> None:
    given(*BEGUN).when(sam.disagrees(sam_may_observe)).then(accepted)


def test_a_person_cannot_disagree_with_an_entry_that_is_not_there() -> None:
    given(*BEGUN).when(ada.disagrees(SEEN)).then(refused("unknown-target"))


def test_nobody_else_learns_whether_an_entry_is_there() -> None:
    given(*BEGUN).when(sam.disagrees(SEEN)).then(refused("no-grant"))


def test_somebody_named_in_a_proposed_change_may_disagree_by_a_grant_alone() -> None:
    given(*BEGUN, WALK).when(tom.disagrees(WALK)).then(refused("no-grant"))
    given(*BEGUN, WALK, ada.grants(TOM, "read")).when(tom.disagrees(WALK)).then(accepted)
