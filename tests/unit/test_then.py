"""What was true at a moment: events that had happened by then, whenever they were recorded."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ledger.plan.decide import Accepted
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump
from services.ledger.plan.valid_time import fold_true
from services.ledger.presentation.plan_view import plan_view
from shared.events.event import Event
from tests.given import ADA, fold
from tests.given import given as given_events
from tests.histories import go_on
from tests.voices import SAM, ada, at, happening, sam, started

MANY = settings(
    max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBER = st.integers(0, 2**40)
HISTORY = st.lists(NUMBER, max_size=9) | st.lists(NUMBER, min_size=25, max_size=60)
MONDAY, TUESDAY, FRIDAY = (f"2026-03-0{day}T12:00:00.000Z" for day in (2, 3, 6))
FOR_EVER = "9999-12-31T23:59:59.999Z"
CLOCKS = ["2026-03-02T12:%02d:30+00:00", "2026-03-02T14:%02d:00.5+02:00", "2025-07-01T00:%02d:00Z"]


def accepted(numbers: Sequence[int]) -> tuple[Plan, list[Event]]:
    """A history's plan, and the events that made it."""
    plan = Plan(ADA)
    steps = go_on(plan, numbers)
    return plan, [said for said, verdict in steps if isinstance(verdict, Accepted)]


def told_of(events: Sequence[Event], dice: Random) -> list[Event]:
    """The same, some of them told of another time."""
    return [
        happening(dice.choice(CLOCKS) % dice.randint(0, 59), said) if dice.random() < 0.5 else said
        for said in events
    ]


@MANY
@given(HISTORY, st.integers())
def test_at_the_end_of_time_everything_is_true(numbers: list[int], seed: int) -> None:
    _, events = accepted(numbers)
    events = told_of(events, Random(seed))
    plan = Plan(ADA)
    for said in events:  # not judged again: an event with a time has more bytes
        evolve(plan, said)
    assert dump(fold_true(Plan(ADA), events, FOR_EVER)) == dump(plan)


@MANY
@given(HISTORY, st.data())
def test_where_nobody_tells_a_time_it_is_what_was_received(
    numbers: list[int], data: st.DataObject
) -> None:
    _, events = accepted(numbers)
    events = sorted(events, key=lambda said: said.received)  # as one clock gives them
    place = data.draw(st.integers(0, len(events)), label="until")
    moment = events[place - 1].received if place else "2026-01-01T00:00:00.000Z"
    until = [said for said in events if said.received <= moment]
    whole, part = Plan(ADA), Plan(ADA)
    assert dump(fold_true(whole, events, moment)) == dump(fold_true(part, until, FOR_EVER))


@MANY
@given(HISTORY, st.integers())
def test_whatever_is_left_out_the_rest_can_be_folded_and_shown(
    numbers: list[int], seed: int
) -> None:
    now, events = accepted(numbers)
    dice = Random(seed)
    told = told_of(events, dice)
    for _ in range(5):
        moment = f"2026-03-02T12:{dice.randint(0, 59):02}:00.000Z"
        plan = fold_true(Plan(ADA), told, moment)
        assert plan.entries.keys() <= now.entries.keys()
        if plan.state == "started":
            assert plan_view(plan, moment, now)["subject"] == ADA


def true_on(moment: str, *events: Event) -> Plan:
    given_events(*events)  # they are such as are accepted
    return fold_true(Plan(ADA), events, moment)


def test_what_is_told_later_of_an_earlier_time_was_true_then() -> None:
    late = happening(TUESDAY, at(FRIDAY, ada.states("Dance.", name="dance")))
    assert "aspiration/dance" in true_on(TUESDAY, started, late).lines
    assert "aspiration/dance" not in true_on(MONDAY, started, late).lines


def test_a_time_counts_to_the_millisecond_in_any_zone() -> None:
    said = happening("2026-03-03T13:00:00.0009+01:00", at(FRIDAY, ada.states()))
    assert "aspiration/sea" in true_on(TUESDAY, started, said).lines
    assert "aspiration/sea" not in true_on("2026-03-03T11:59:59.999Z", started, said).lines


LATER_STATED = at(TUESDAY, ada.states())
SCALE = at(TUESDAY, ada.revises(min=0, max=100))
MISSING = {
    "a rewording of what is not there": (LATER_STATED, ada.rewords("Run.")),
    "an action for what is not there": (LATER_STATED, ada.plans(aspiration="sea")),
    "an order of what is not there": (LATER_STATED, ada.ranks("sea")),
    "a rest of what is not there": (LATER_STATED, ada.pauses()),
    "a disagreement with what is not there": (LATER_STATED, ada.disagrees(LATER_STATED)),
    "an end of a rest that is not there": (ada.states(), at(TUESDAY, ada.pauses()), ada.resumes()),
    "a rating on a scale that is not there": (ada.defines(), SCALE, ada.rates(7, under=2)),
    "a rating off the scale that is there": (ada.defines(), SCALE, ada.rates(70, under=2)),
    "an answer to no suggestion": (
        at(MONDAY, ada.grants(SAM, "propose")),
        suggestion := at(TUESDAY, sam.proposes({"type": "plan.closed", "data": {}})),
        ada.accepts(suggestion),
    ),
}


@pytest.mark.parametrize("events", MISSING.values(), ids=MISSING.keys())
def test_what_has_no_target_has_no_effect(events: tuple[Event, ...]) -> None:
    *before, last = events
    told = [*before, happening(MONDAY, at(FRIDAY, last))]
    without = fold_true(Plan(ADA), [started, *before], MONDAY)
    assert dump(true_on(MONDAY, started, *told)) == dump(without)
    assert last.id not in without.entries


def test_what_was_accepted_is_not_judged_again() -> None:
    """A grant that is told of a later time: what came by it stays."""
    grant = happening(FRIDAY, at(FRIDAY, ada.grants(SAM, "observe")))
    seen = happening(TUESDAY, at(FRIDAY, sam.observes()))
    plan = true_on(TUESDAY, started, grant, seen)
    assert (grant.id in plan.entries, seen.id in plan.entries) == (False, True)


def test_before_the_plan_was_started_there_was_none() -> None:
    begun = happening(TUESDAY, at(FRIDAY, started))
    old = happening(MONDAY, at(FRIDAY, ada.states()))
    plan = Plan(ADA)
    fold(plan, [begun, old])
    assert fold_true(Plan(ADA), [begun, old], MONDAY).state == ""
