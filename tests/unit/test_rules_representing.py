"""What a representative may accept for the person: what they could write, and never their own."""

import pytest

from shared.events.event import Event, Json
from tests.given import (
    ADA,
    BEA,
    EVE,
    LATER,
    SAM,
    accepted,
    ada,
    at,
    bea,
    change,
    for_the_person,
    given,
    line,
    refused,
    sam,
    sam_may_propose,
    started,
    tom,
)

WALK = sam.proposes(change("action.planned", id="walk", what="Walk", by=SAM))
HOME = ada.chooses()
ACCEPTS = ada.sends(BEA, "proposal.accepted")
PLANS = ada.sends(BEA, "action.planned")
BEGUN = (started, sam_may_propose, WALK)


def test_who_may_only_accept_accepts_nothing() -> None:
    given(*BEGUN, ACCEPTS).when(bea.accepts(WALK)).then(refused("not-yours-to-say"))


def test_who_may_accept_and_may_write_the_change_accepts_it() -> None:
    both = ada.sends(BEA, "proposal.accepted", "action.planned")
    said = bea.accepts(WALK)
    given(*BEGUN, both).when(said).then(
        for_the_person, line("action/walk", origin={"author": BEA, "suggested_by": SAM})
    )


def test_what_several_namings_hand_on_counts_together() -> None:
    before = given(*BEGUN, ACCEPTS, PLANS)
    before.when(bea.accepts(WALK)).then(for_the_person)
    given(*BEGUN, ACCEPTS, ada.sends(EVE, "action.planned")).when(bea.accepts(WALK)).then(
        refused("not-yours-to-say")
    )


def test_a_naming_that_ran_out_or_was_ended_hands_on_nothing_any_more() -> None:
    running_out = ada.sends(BEA, "action.planned", until=LATER)
    before = given(*BEGUN, ACCEPTS, running_out)
    before.when(bea.accepts(WALK)).then(for_the_person)
    before.when(at(LATER, bea.accepts(WALK))).then(refused("not-yours-to-say"))
    given(*BEGUN, PLANS, ada.calls_back(BEA), ACCEPTS).when(bea.accepts(WALK)).then(
        refused("not-yours-to-say")
    )


def test_words_of_ones_own_need_the_type_of_the_change_too() -> None:
    mine: Json = {"what": "Rest", "by": ADA}
    given(*BEGUN, ACCEPTS).when(bea.accepts(WALK, mine)).then(refused("not-yours-to-say"))
    given(*BEGUN, ACCEPTS, PLANS).when(bea.accepts(WALK, mine)).then(for_the_person)


OWN = [
    sam.proposes({"type": "advance-choice.revoked", "data": {"choice": "home"}}),
    sam.proposes(change("plan.closed")),
    WALK,
]


@pytest.mark.parametrize("proposal", OWN, ids=lambda said: said.data["change"]["type"])
def test_nobody_accepts_for_the_person_what_they_proposed_themselves(proposal: Event) -> None:
    scope = ("proposal.accepted", "advance-choice.revoked", "plan.closed", "action.planned")
    before = given(started, HOME, sam_may_propose, ada.sends(SAM, *scope), proposal)
    before.when(sam.accepts(proposal)).then(refused("not-yours-to-say"))
    given(plan=before.plan).when(ada.accepts(proposal)).then(accepted)


def test_another_representative_may_accept_what_a_representative_proposed() -> None:
    scope = ("proposal.accepted", "action.planned")
    sent = (ada.sends(SAM, *scope), ada.sends(BEA, *scope))
    given(*BEGUN, *sent).when(bea.accepts(WALK)).then(for_the_person)


def test_where_there_is_no_such_proposal_a_representative_is_told_so() -> None:
    missing = refused("unknown-target", represented=True)
    given(started, ACCEPTS).when(bea.accepts(WALK)).then(missing)
    given(started, ACCEPTS).when(bea.accepts(started)).then(missing)
    given(started, ACCEPTS).when(tom.accepts(WALK)).then(refused("not-yours-to-say"))


@pytest.mark.parametrize("answer", ["declined", "parked"])
def test_declining_and_parking_need_their_own_type_alone(answer: str) -> None:
    said = sam.says(f"proposal.{answer}", proposal=WALK.id)
    given(*BEGUN, ada.sends(SAM, f"proposal.{answer}")).when(said).then(for_the_person)
