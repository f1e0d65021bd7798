"""Proposals set aside for later: still open, and still lapsing."""

import pytest

from services.ledger.plan.model import Plan
from shared.events.event import Event
from tests.given import (
    LATER,
    NOON,
    SAM,
    Check,
    accepted,
    ada,
    again,
    at,
    beside,
    change,
    given,
    line,
    lines,
    refused,
    sam,
    sam_may_propose,
    started,
    version,
)

WALK = sam.proposes(change("action.planned", id="walk", what="Walk", by=SAM))
SOON = sam.proposes(change("action.planned", id="walk", what="Walk", by=SAM), expires=LATER)
BEGUN = (started, sam_may_propose)
PARKED = ada.parks(WALK, "Ask me in May.")


def bare(said: Event, *, answer: str, words: str | None = None) -> Check:
    """The proposal has that answer and nothing left over from when it was parked."""

    def check(plan: Plan) -> None:
        proposal = plan.beside[said.id]
        assert (proposal.get("answer"), proposal.get("answer_words")) == (answer, words)
        assert "state" not in proposal

    return check


def test_a_parked_proposal_stands_beside_the_plan_and_changes_no_line() -> None:
    given(*BEGUN, WALK).when(PARKED).then(
        accepted,
        beside("beside", WALK, state="parked", answer_words="Ask me in May."),
        lines("plan/plan"),
        version(1),
    )


def test_a_proposal_is_parked_without_a_reason() -> None:
    given(*BEGUN, WALK).when(ada.parks(WALK)).then(accepted, beside("beside", WALK, state="parked"))


def test_a_parked_proposal_can_be_accepted() -> None:
    given(*BEGUN, WALK, PARKED).when(ada.accepts(WALK)).then(
        accepted, line("action/walk", data={"what": "Walk"}), bare(WALK, answer="accepted")
    )


def test_a_parked_proposal_can_be_declined_in_other_words() -> None:
    given(*BEGUN, WALK, PARKED).when(ada.declines(WALK)).then(
        accepted, bare(WALK, answer="declined")
    )
    given(*BEGUN, WALK, PARKED).when(ada.declines(WALK, "No, after all.")).then(
        accepted, bare(WALK, answer="declined", words="No, after all.")
    )


def test_a_proposal_may_be_parked_again_and_says_the_last_words() -> None:
    given(*BEGUN, WALK, PARKED).when(ada.parks(WALK)).then(
        accepted, beside("beside", WALK, state="parked")
    )


def test_parking_stops_no_clock() -> None:
    given(*BEGUN, SOON, ada.parks(SOON)).when(ada.accepts(SOON)).then(accepted)
    given(*BEGUN, SOON, ada.parks(SOON)).when(at(LATER, ada.accepts(SOON))).then(refused("lapsed"))


def test_a_lapsed_proposal_may_still_be_parked_or_declined() -> None:
    for said in (ada.parks(SOON), ada.declines(SOON)):
        given(*BEGUN, SOON).when(at(LATER, said)).then(accepted)


@pytest.mark.parametrize("answer", [ada.accepts(WALK), ada.declines(WALK)])
def test_what_is_answered_is_not_parked(answer: Event) -> None:
    given(*BEGUN, WALK, answer).when(PARKED).then(refused("already-answered"))


def test_what_was_never_proposed_cannot_be_parked() -> None:
    given(*BEGUN).when(PARKED).then(refused("unknown-target"))
    given(*BEGUN).when(ada.parks(started)).then(refused("unknown-target"))


def test_silence_is_never_yes() -> None:
    late = at("2036-03-02T12:00:00.000Z", again(ada.accepts(WALK)))
    given(*BEGUN, WALK, PARKED).when(late).then(refused("lapsed"))


def test_nobody_else_parks_a_proposal() -> None:
    given(*BEGUN, WALK).when(at(NOON, sam.parks(WALK))).then(refused("not-yours-to-say"))
