"""What examples are made of: events before they have ids, and what stands before a type's event."""

from dataclasses import dataclass, field, replace
from typing import Any

from shared.events.catalogue import CATALOGUE
from shared.events.event import Json

LONG_AGO = "2020-01-01T00:00:00Z"
ADA, EVE, SAM, TOM = "person:ada", "person:eve", "partner:sam", "partner:tom"
COMMAND = "service:command"  # what tokens of the local key name as their client
TARGET = "entry"  # the name of what ENTRY stands for
_SAMS = {  # types that both may author, but in these examples Sam does
    "observation.recorded",
    "question.answered",
    "correction.made",
    "correction.declined",
    "entry.retracted",
}
SCALE = ("aspiration.stated", "measure.defined")
SEEN = ("access.granted", "observation.recorded")
# What stands before a type's event, besides a plan; the last is what the event points at.
_FIRST = {
    ("plan.closed",): "plan.reopened",
    ("aspiration.stated",): (
        "aspiration.reworded aspiration.paused aspiration.reached aspiration.let-go "
        "aspirations.ranked action.planned measure.defined authorship.denied"
    ),
    ("aspiration.stated", "aspiration.paused"): "aspiration.resumed",
    ("strength.named",): "strength.reworded",
    ("need.named",): "need.reworded item.withdrawn",
    ("aspiration.stated", "action.planned"): "action.reworded action.done action.dropped",
    SCALE: "measure.revised measure.rated",
    ("advance-choice.made",): "advance-choice.revised advance-choice.revoked",
    ("access.granted",): (
        "proposal.made observation.recorded question.asked commitment.made access.withdrawn"
    ),
    ("access.granted", "proposal.made"): "proposal.accepted proposal.declined proposal.parked",
    SEEN: (
        "interpretation.offered disagreement.stated correction.requested correction.made "
        "correction.declined entry.retracted"
    ),
    ("access.granted", "question.asked"): "question.answered question.closed question.set-aside",
    ("access.granted", "commitment.made"): "commitment.kept commitment.not-kept",
    ("access.granted", "advance-choice.made"): "advance-choice.departed-from",
    ("representative.named",): "representative.ended",
    ("service.barred",): "service.unbarred",
}
BEFORE = {kind: first for first, kinds in _FIRST.items() for kind in kinds.split()}


@dataclass(frozen=True, slots=True)
class ExampleEvent:
    """An event, before it has ids. `more` are attributes; two of one `name` bear the same id."""

    author: str
    type: str
    data: Json
    name: str = ""
    via: str = ""
    more: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """What happens, what was said before it, and the event."""

    title: str
    given: tuple[ExampleEvent, ...]
    event: ExampleEvent


def say(kind: str, **data: Any) -> ExampleEvent:
    """A type's own example, with other members where they are told."""
    row = CATALOGUE[kind]
    theirs = kind in _SAMS or not row.who.person
    return ExampleEvent(SAM if theirs else ADA, kind, {**row.example, **data})


def in_a_plan(*told: str | ExampleEvent) -> tuple[ExampleEvent, ...]:
    """A plan, and what was said in it. ENTRY in any data is the id of the last of these."""
    said = [
        each if isinstance(each, ExampleEvent) else say(each) for each in ("plan.started", *told)
    ]
    return (*said[:-1], replace(said[-1], name=TARGET))


def before(kind: str) -> tuple[ExampleEvent, ...]:
    """What is said before a type's own example, for it to be accepted."""
    return () if kind == "plan.started" else in_a_plan(*BEFORE.get(kind, ()))
