"""A plan: the fold of a person's accepted entries.

Its **lines** are changed only by *plan* and *answer* events. `beside` holds everything that
annotates the plan: proposals, observations, questions. `whose` holds grants, `disagreements` the
objections to entries. `entries` lists, for every accepted event, its author and then the parties
named in it. `planned` maps each open action that the person planned for another party to its
entry. `own_bytes` and `others_bytes` count the bytes of accepted events: by the person or a
representative, and by all others. Nothing here depends on a clock or changes by a refusal.

**Bytes** (`dump`): canonical JSON (RFC 8785) of the members of `Plan` that are not empty, so that
a new member does not change older bytes. They are stored encrypted and compared; golden files:
tests/golden/plan.

>>> dump(Plan("person:ada", state="started"))
b'{"state":"started","subject":"person:ada"}'
>>> load(dump(Plan("person:ada"))) == Plan("person:ada")
True
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from json.encoder import encode_basestring_ascii
from typing import Literal, NotRequired, TypedDict

import orjson

from services.ledger.plan.index import ENDED, Index, counts
from shared.events.event import Json, canonical
from shared.events.type_names import Type

State = Literal["", "started", "erased"]


class Origin(TypedDict):
    """The source of a line's present words. `proposal` is set if another party suggested them."""

    entry: str
    author: str
    received: str
    proposal: NotRequired[str]
    suggested_by: NotRequired[str]
    reworded: NotRequired[bool]


class Line(TypedDict):
    """One line of the plan: its data, its state, and its origin.

    `since` and `version` are the plan versions that first and last wrote it.
    """

    thing: str
    id: str
    state: str
    data: Json
    origin: Origin
    ended: NotRequired[Origin]
    since: int
    version: int


class Beside(TypedDict):
    """An event that annotates the plan, or a grant, as its author posted it.

    `type` is the type of its event, `answer` the person's answer to a proposal, `retracted` the
    entry by which its author retracted it, whatever its other state.
    """

    type: str
    author: str
    received: str
    data: Json
    state: NotRequired[str]
    answer: NotRequired[str]
    answer_words: NotRequired[str]
    answered: NotRequired[Origin]
    ended: NotRequired[Origin]
    retracted: NotRequired[str]


@dataclass(slots=True)
class Plan:
    """A person's plan. The fold that owns it modifies it in place."""

    subject: str
    state: State = ""
    version: int = 0
    lines: dict[str, Line] = field(default_factory=dict)
    beside: dict[str, Beside] = field(default_factory=dict)
    whose: dict[str, Beside] = field(default_factory=dict)
    disagreements: dict[str, list[Json]] = field(default_factory=dict)
    denied: dict[str, str] = field(default_factory=dict)
    avoid: dict[str, str] = field(default_factory=dict)
    entries: dict[str, list[str]] = field(default_factory=dict)
    planned: dict[str, str] = field(default_factory=dict)
    own_bytes: int = 0
    others_bytes: int = 0
    _index: Index | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def index(self) -> Index:
        """The data derived from the plan, built on first use."""
        if self._index is None:
            self._index = index_of(self)
        return self._index

    @property
    def accepted_bytes(self) -> int:
        """The number of canonical bytes of all accepted events."""
        return self.own_bytes + self.others_bytes

    def line(self, thing: str, name: str) -> Line | None:
        """Return the line of this thing and name, or None."""
        return self.lines.get(line_key(thing, name))

    def annotation_of_type(self, kind: Type, name: str) -> Beside | None:
        """Return the annotation with this event id if it is of that type, or None."""
        annotation = self.beside.get(name)
        return annotation if annotation and annotation["type"] == kind else None

    def is_retractable(self, name: str) -> bool:
        """Return whether its author can retract the entry: it is of kind *beside* or *equal*."""
        return name in self.beside or self.disagreement(name) is not None

    def disagreement(self, name: str) -> Json | None:
        """Return the disagreement that an event stated, or None."""
        row = self.index.disagreements.by_event.get(name)
        return row["stated"] if row else None


def others_named(plan: Plan, entry: str) -> list[str]:
    """Return the parties that an entry names, without its author."""
    return plan.entries[entry][1:]


def index_of(plan: Plan) -> Index:
    """Build the index of a plan."""
    index = Index(sum(counts(line["thing"], line["state"]) for line in plan.lines.values()))
    for name, grant in plan.whose.items():
        if grant["type"] == "service.barred":
            index.access.barred += 1
        elif "state" not in grant:
            index.access.add(name, grant["type"], grant["data"])
        elif grant["type"] == "representative.named":
            index.access.remember(grant["data"]["representative"])
    for entry, disagreements in plan.disagreements.items():
        for stated in disagreements:
            index.disagreements.add(entry, stated)
    for wording in plan.avoid:
        index.avoided.add(wording)
    for entry in _naming(plan):
        if entry not in plan.denied:
            index.named.begin(entry, others_named(plan, entry))
    return index


def _naming(plan: Plan) -> Iterator[str]:
    """Yield the person's entries whose namings are in force, denied ones included."""
    yield from plan.planned.values()
    for name, annotation in plan.beside.items():
        ended = "retracted" in annotation or annotation.get("state") in ENDED
        if annotation["author"] == plan.subject and not ended:
            yield name


_MEMBERS = tuple(member.name for member in fields(Plan) if member.init)


def line_key(thing: str, name: str) -> str:
    r"""Return a line's key in `Plan.lines`: ASCII, escaped as in a JSON string (RFC 8259).

    ASCII member names have the same order under RFC 8785 as under any other sort.

    >>> line_key("about-me", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    'about-me/Zo\\u00eb'
    """
    return encode_basestring_ascii(f"{thing}/{name}")[1:-1]


def dump(plan: Plan) -> bytes:
    """Return the plan's bytes: equal plans have equal bytes."""
    return canonical({name: value for name in _MEMBERS if (value := getattr(plan, name))})


def copy_of(plan: Plan) -> Plan:
    """Return a copy that can be folded further without changing the original.

    What a fold modifies in place is copied; the two plans share the rest.
    """
    copied = Plan(plan.subject, plan.state, plan.version)
    copied.lines = {key: copy_of_line(line) for key, line in plan.lines.items()}
    copied.beside = {name: row.copy() for name, row in plan.beside.items()}
    copied.whose = {name: row.copy() for name, row in plan.whose.items()}
    copied.disagreements = {
        name: [row.copy() for row in rows] for name, rows in plan.disagreements.items()
    }
    copied.denied, copied.avoid = plan.denied.copy(), plan.avoid.copy()
    copied.entries, copied.planned = plan.entries.copy(), plan.planned.copy()
    copied.own_bytes, copied.others_bytes = plan.own_bytes, plan.others_bytes
    return copied


def copy_of_line(line: Line) -> Line:
    """Return a copy of a line that a fold of the original does not change."""
    copied = line.copy()
    copied["data"] = line["data"].copy()
    return copied


def load(stored: bytes) -> Plan:
    """Parse the output of `dump`."""
    return Plan(**orjson.loads(stored))
