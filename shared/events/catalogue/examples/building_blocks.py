"""Building blocks of examples: events without ids, and the events that must precede a type."""

from dataclasses import dataclass, field, replace
from typing import Any

from shared.events.catalogue import CATALOGUE
from shared.events.event import Json

LONG_AGO = "2020-01-01T00:00:00Z"
ADA, EVE, SAM, TOM = "person:ada", "person:eve", "partner:sam", "partner:tom"
COMMAND = "service:command"  # the client in tokens of the local issuer
TARGET = "entry"  # the name of the event whose id replaces ENTRY
_SAMS = {  # types that both may author; in the examples Sam does
    "observation.recorded",
    "question.answered",
    "correction.made",
    "correction.declined",
    "entry.retracted",
}
SCALE = ("aspiration.stated", "measure.defined")
SEEN = ("access.granted", "observation.recorded")
# The events that must precede a type, besides a plan. The last is the event that it points at.
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
    """An event without an id. `more` are attributes; events of one `name` get the same id."""

    author: str
    type: str
    data: Json
    name: str = ""
    via: str = ""
    more: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """A title, the events that precede the event, and the event."""

    title: str
    history: tuple[ExampleEvent, ...]
    event: ExampleEvent


def say(kind: str, **data: Any) -> ExampleEvent:
    """Return the example event of a type; `data` replaces members of its data."""
    row = CATALOGUE[kind]
    by_sam = kind in _SAMS or not row.who.person
    return ExampleEvent(SAM if by_sam else ADA, kind, {**row.example, **data})


def in_a_plan(*items: str | ExampleEvent) -> tuple[ExampleEvent, ...]:
    """Return the start of a plan and these events. ENTRY in any data is the id of the last one."""
    events = [
        item if isinstance(item, ExampleEvent) else say(item) for item in ("plan.started", *items)
    ]
    return (*events[:-1], replace(events[-1], name=TARGET))


def before(kind: str) -> tuple[ExampleEvent, ...]:
    """Return the events that must precede the example of a type for it to be accepted."""
    return () if kind == "plan.started" else in_a_plan(*BEFORE.get(kind, ()))
