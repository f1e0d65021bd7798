"""The model's state: one person's accepted events."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from shared.events.event import Event, Json
from tests.authorship.tables import OVER

# "Named in E": the author's id stands in one of these members of E's data, nested ones too.
NAMING_MEMBERS = ("to", "by", "who_saw", "about", "holder", "representative", "service")
# "A naming of A by P is an accepted entry whose author is P herself and that names A, other than
# the kind whose. […] A proposal.accepted names nobody by itself."
NAMES_NOBODY = {
    "access.granted",
    "access.withdrawn",
    "representative.named",
    "representative.ended",
    "service.barred",
    "service.unbarred",
    "proposal.accepted",
}
Key = tuple[str, str]


@lru_cache(maxsize=100_000)
def instant(text: str) -> datetime:
    """Parse a timestamp, with any offset."""
    return datetime.fromisoformat(text)


def is_past(moment: str, received: str) -> bool:
    """What runs out is judged “by the entry's received”; at its moment it has run out."""
    return moment != "until-withdrawn" and instant(moment) <= instant(received)


def names_in(data: Any) -> Iterator[str]:
    """Yield every party named in some data."""
    if isinstance(data, dict):
        for member, value in data.items():
            if isinstance(value, str) and member in NAMING_MEMBERS:
                yield value
            else:
                yield from names_in(value)
    elif isinstance(data, list):
        for item in data:
            yield from names_in(item)


@dataclass(slots=True)
class Line:
    """A line of the plan; `version`, `low` and `high` are those of a measure."""

    thing: str
    words: tuple[str | None, ...] = ()
    state: str = "open"
    version: int = 1
    low: int = 0
    high: int = 0


@dataclass(slots=True)
class Entry:
    """An accepted event. `state` is the state of a proposal, a question or a commitment."""

    type: str
    author: str
    data: Json
    names: frozenset[str]
    state: str = "open"
    retracted: bool = False
    denied: bool = False
    line: Key | None = None


@dataclass(slots=True)
class Grant:
    """A grant or the naming of a representative: of scopes or of types, until a moment."""

    to: str
    opens: frozenset[str]
    until: str
    ended: bool = False

    def in_force(self, received: str) -> bool:
        """What was ended is “judged by place in the log”, what runs out by `received`."""
        return not self.ended and not is_past(self.until, received)


@dataclass(slots=True)
class State:
    """One person's plan, as far as the rules need it. `phase` is “”, “started” or “erased”."""

    subject: str
    phase: str = ""
    version: int = 0
    lines: dict[Key, Line] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    granted: dict[str, list[Grant]] = field(default_factory=dict)
    sent: dict[str, list[Grant]] = field(default_factory=dict)
    named: dict[str, list[Entry]] = field(default_factory=dict)
    disagreements: dict[str, list[Entry]] = field(default_factory=dict)
    wordings: set[str] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)
    own_bytes: int = 0
    others_bytes: int = 0

    def line(self, space: str, name: str, thing: str = "") -> Line | None:
        """Return the line of that name, of that thing if one is required."""
        line = self.lines.get((space, name))
        return None if line and thing and line.thing != thing else line

    def entry(self, name: str, *kinds: str) -> Entry | None:
        """“References mean accepted entries of the same stream.”"""
        entry = self.entries.get(name)
        return entry if entry and (not kinds or entry.type in kinds) else None

    def grants_in_force(self, who: str, received: str) -> Iterable[Grant]:
        """Return the grants to a party that are in force."""
        return [grant for grant in self.granted.get(who, ()) if grant.in_force(received)]

    def types_of(self, who: str, received: str) -> frozenset[str]:
        """“T is in the union of the scopes of their namings in force.”"""
        sent = (naming.opens for naming in self.sent.get(who, ()) if naming.in_force(received))
        return frozenset().union(*sent)

    def names_in_force(self, who: str) -> bool:
        """Return whether a naming of this party by P is in force."""
        return any(self._still_names(entry) for entry in self.named.get(who, ()))

    def _still_names(self, entry: Entry) -> bool:
        """“It ends when the action it planned is done or dropped, the entry was retracted or
        denied, for a question: it was closed or set aside.”
        """
        if entry.retracted or entry.denied:
            return False
        if entry.type == "action.planned" and entry.line:
            return self.lines[entry.line].state == "open"
        return entry.type != "question.asked" or entry.state not in OVER

    def open_lines(self) -> int:
        """“Open lines of the plan, ratings left out (state open; any thing).”"""
        lines = self.lines.values()
        return sum(line.state == "open" and line.thing != "rating" for line in lines)

    def allowed(self, received: str) -> int:
        """“Grants and namings of representatives in force at received.”"""
        every = (*self.granted.values(), *self.sent.values())
        return sum(grant.in_force(received) for several in every for grant in several)


def words_of(kind: str, data: Json) -> tuple[str | None, ...]:
    """Return the words that a later rewording is compared with."""
    if kind.startswith("advance-choice."):
        return data["words"], data.get("applies_when")
    return (data["what"] if kind == "action.planned" else data["words"],)


def change_of(proposal: Entry, answer: Event) -> Event:
    """Return the change that an answer makes, in P's words if there are some, with its id."""
    change = proposal.data["change"]
    data = answer.data.get("in_my_words", change["data"])
    return answer._replace(type=change["type"], data=data)
