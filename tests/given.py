"""Rules in three lines: `given(*events).when(event).then(...)`.

Events are made by voices (tests/voices.py). The events passed to `given` must be accepted.

A refusal must leave every byte of the plan unchanged. An acceptance must move the version exactly
when it changes a line, and the plan must survive a dump and a load. The index must equal an index
computed from scratch.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from services.ledger.plan.decide import (
    ACCEPTED,
    PREFERRED_WORDING,
    Accepted,
    Refusal,
    Verdict,
    decide,
)
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan, dump, index_of, load
from shared.events.event import Event, Json
from shared.events.refusals import Code
from tests.voices import (
    ADA,
    BEA,
    EVE,
    LATER,
    NEXT_YEAR,
    NOON,
    NORTH,
    NOTEBOOK,
    OPINION,
    SAM,
    SCALE,
    SEA,
    SHOES,
    TOM,
    Voice,
    about,
    ada,
    again,
    at,
    bea,
    change,
    eve,
    event,
    north,
    sam,
    sam_may_observe,
    sam_may_propose,
    seeing,
    shoes,
    started,
    through,
    tom,
    under_the_id_of,
)

__all__ = [
    "ADA",
    "BEA",
    "EVE",
    "LATER",
    "NEXT_YEAR",
    "NOON",
    "NORTH",
    "NOTEBOOK",
    "OPINION",
    "SAM",
    "SCALE",
    "SEA",
    "SHOES",
    "TOM",
    "Check",
    "Given",
    "Voice",
    "When",
    "about",
    "accepted",
    "ada",
    "again",
    "at",
    "bea",
    "beside",
    "change",
    "eve",
    "event",
    "fold",
    "for_the_person",
    "given",
    "line",
    "lines",
    "named_in",
    "north",
    "refused",
    "sam",
    "sam_may_observe",
    "sam_may_propose",
    "seeing",
    "shoes",
    "started",
    "through",
    "tom",
    "under_the_id_of",
    "version",
    "warned",
]

Check = Callable[[Plan], None]


def fold(plan: Plan, events: Iterable[Event]) -> list[Verdict]:
    """Decide each event as the projector does, changing the plan; return the verdicts."""
    verdicts = []
    for received in events:
        verdicts.append(decide(plan, received))
        if isinstance(verdicts[-1], Accepted):
            evolve(plan, received)
    return verdicts


@dataclass(frozen=True)
class When:
    """A plan and the event to decide."""

    plan: Plan
    event: Event
    reused: bool = False

    def then(self, verdict: Verdict, *checks: Check) -> None:
        """Compare the verdict, check what holds for every verdict, and check the new plan."""
        plan, before = load(dump(self.plan)), dump(self.plan)
        event = deepcopy(self.event)
        assert decide(plan, event, reused=self.reused) == verdict
        assert dump(plan) == before, "decide changed the plan"
        if isinstance(verdict, Accepted):
            assert evolve(plan, event) is plan
            assert (plan.version != self.plan.version) == (plan.lines != self.plan.lines)
            assert load(dump(plan)) == plan
            assert plan.index == index_of(plan), "the plan's index is outdated"
        assert event == self.event, "the event was changed"
        for check in checks:
            check(plan)


@dataclass(frozen=True)
class Given:
    """A plan, however it was made."""

    plan: Plan

    def when(self, event: Event, *, reused: bool = False) -> When:
        """Add the event. `reused`: the log has its author and id with another digest."""
        return When(self.plan, event, reused)


def given(*events: Event, plan: Plan | None = None) -> Given:
    """Return the plan after events that were accepted."""
    plan = plan or Plan(ADA)
    verdicts = fold(plan, events)
    refusals = [verdict for verdict in verdicts if not isinstance(verdict, Accepted)]
    assert refusals == [], "the events passed to given() must be accepted"
    assert plan.index == index_of(plan), "the plan's index is outdated"
    return Given(plan)


accepted = ACCEPTED
for_the_person = Accepted(represented=True)
warned = Accepted((PREFERRED_WORDING,))


def refused(code: str, *, represented: bool = False) -> Refusal:
    """Return a refusal by its code; `represented`: the author acted for the person."""
    return Refusal(Code(code), represented)


def line(name: str, **members: Any) -> Check:
    """Check a line's members. For `data` and `origin`, only the members named are compared."""

    def check(plan: Plan) -> None:
        actual: Json = {**plan.lines[name]}
        for member, expected in members.items():
            whole = actual[member]
            part = (
                {key: whole.get(key) for key in expected} if isinstance(expected, dict) else whole
            )
            assert part == expected, f"{name}.{member}"

    return check


def lines(*names: str) -> Check:
    """Check that the plan has exactly these lines."""

    def check(plan: Plan) -> None:
        assert sorted(plan.lines) == sorted(names)

    return check


def version(number: int) -> Check:
    """Check the plan's version."""

    def check(plan: Plan) -> None:
        assert plan.version == number

    return check


def beside(shelf: str, event: Event, **members: Any) -> Check:
    """Check what the event put on a shelf beside the plan: its content plus these members."""

    def check(plan: Plan) -> None:
        row = dict(getattr(plan, shelf)[event.id])
        for followed in ("answered", "ended"):  # the entry that answered or ended it
            assert row.pop(followed, {"entry": ""})["entry"] != event.id
        expected = {
            "type": event.type,
            "author": event.author,
            "received": event.received,
            "data": event.data,
        }
        assert row == expected | members

    return check


def named_in(event: Event, names: Sequence[str]) -> Check:
    """Check that the plan recorded the event's author, then the persons it names."""

    def check(plan: Plan) -> None:
        assert plan.entries[event.id] == list(names)

    return check
