"""Rules in three lines: `given(*events).when(event).then(...)`.

Events are made by voices (tests/voices.py). Whatever is `given` must have been accepted.

A refusal is always checked to leave every byte of the plan as it was; an acceptance to move the
version exactly when it moves a line, and to survive a dump and a load. What is derived from the
plan is what is derived from it again.
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
    """Rule on events as the projector does, changing the plan; the verdicts."""
    verdicts = []
    for each in events:
        verdicts.append(decide(plan, each))
        if isinstance(verdicts[-1], Accepted):
            evolve(plan, each)
    return verdicts


@dataclass(frozen=True)
class When:
    """A plan and the event that meets it."""

    plan: Plan
    event: Event
    reused: bool = False

    def then(self, verdict: Verdict, *checks: Check) -> None:
        """Compare the verdict, hold what every verdict promises, and look at the plan after."""
        plan, before = load(dump(self.plan)), dump(self.plan)
        said = deepcopy(self.event)
        assert decide(plan, said, reused=self.reused) == verdict
        assert dump(plan) == before, "decide changed the plan"
        if isinstance(verdict, Accepted):
            assert evolve(plan, said) is plan
            assert (plan.version != self.plan.version) == (plan.lines != self.plan.lines)
            assert load(dump(plan)) == plan
            assert plan.index == index_of(plan), "what is derived was not kept"
        assert said == self.event, "the event was changed"
        for check in checks:
            check(plan)


@dataclass(frozen=True)
class Given:
    """A plan, whatever made it."""

    plan: Plan

    def when(self, said: Event, *, reused: bool = False) -> When:
        """An event comes. `reused`: its author and id stand in the log with another digest."""
        return When(self.plan, said, reused)


def given(*events: Event, plan: Plan | None = None) -> Given:
    """What was accepted before."""
    plan = plan or Plan(ADA)
    verdicts = fold(plan, events)
    refusals = [each for each in verdicts if not isinstance(each, Accepted)]
    assert refusals == [], "what is given must have been accepted"
    assert plan.index == index_of(plan), "what is derived was not kept"
    return Given(plan)


accepted = ACCEPTED
for_the_person = Accepted(represented=True)
warned = Accepted((PREFERRED_WORDING,))


def refused(code: str, *, represented: bool = False) -> Refusal:
    """A refusal by its code; `represented`: of somebody who spoke for the person."""
    return Refusal(Code(code), represented)


def line(name: str, **members: Any) -> Check:
    """The line of that name has these members; `data` and `origin` at least what is told."""

    def check(plan: Plan) -> None:
        found: Json = {**plan.lines[name]}
        for member, told in members.items():
            whole = found[member]
            part = {each: whole.get(each) for each in told} if isinstance(told, dict) else whole
            assert part == told, f"{name}.{member}"

    return check


def lines(*names: str) -> Check:
    """The plan has exactly these lines."""

    def check(plan: Plan) -> None:
        assert sorted(plan.lines) == sorted(names)

    return check


def version(number: int) -> Check:
    """The plan has this version."""

    def check(plan: Plan) -> None:
        assert plan.version == number

    return check


def beside(shelf: str, said: Event, **members: Any) -> Check:
    """What the event put on that shelf beside the plan: as it was said, and with these members."""

    def check(plan: Plan) -> None:
        put = dict(getattr(plan, shelf)[said.id])
        for followed in ("answered", "ended"):  # what was answered or ended, and by which entry
            assert put.pop(followed, {"entry": ""})["entry"] != said.id
        told = {
            "type": said.type,
            "author": said.author,
            "received": said.received,
            "data": said.data,
        }
        assert put == told | members

    return check


def named_in(said: Event, names: Sequence[str]) -> Check:
    """The plan remembers who wrote that event, then who is named in it."""

    def check(plan: Plan) -> None:
        assert plan.entries[said.id] == list(names)

    return check
