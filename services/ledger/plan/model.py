"""A plan, as the fold of a person's accepted entries.

A plan is its **lines**, changed by *plan* and *answer* events alone. Everything else stands
`beside` it: proposals, observations. `whose` holds grants, `disagreements` what is said against
an entry; `entries` names, for every accepted event, who wrote it and who is named in it. `planned`
holds, by the name of an open action that the person planned for somebody else, the entry that did
so. `own_bytes` and `others_bytes` are the bytes of accepted events: of the person or a
representative, and of everybody else. Nothing here depends on a clock, and nothing here is moved
by a refusal.

**Bytes** (`dump`): canonical JSON (RFC 8785) of the members of `Plan` that are not empty, so that
a member that comes later changes no older bytes. They are what is stored, sealed and compared;
golden files: tests/golden/plan.

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
    """Where a line's present words come from. With `proposal`, somebody suggested it."""

    entry: str
    author: str
    received: str
    proposal: NotRequired[str]
    suggested_by: NotRequired[str]
    reworded: NotRequired[bool]


class Line(TypedDict):
    """One line of the plan: what was written, its state, and its origin.

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
    """Something that stands beside the plan, or says whose it is, as its author put it.

    `type` is the type of its event; `answer` the person's answer to a proposal; `retracted` the
    entry by which its author took it back, whatever had become of it.
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
    """A person's plan. Inside a fold it is changed in place by its owner, the fold."""

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
        """What is derived from the plan; it is made when it is first asked for."""
        if self._index is None:
            self._index = index_of(self)
        return self._index

    @property
    def accepted_bytes(self) -> int:
        """The canonical bytes of all accepted events."""
        return self.own_bytes + self.others_bytes

    def line(self, thing: str, name: str) -> Line | None:
        """The line of that thing and name, if there is one."""
        return self.lines.get(line_key(thing, name))

    def standing_beside(self, kind: Type, name: str) -> Beside | None:
        """What stands beside the plan under an event's id, if it is of that type."""
        found = self.beside.get(name)
        return found if found and found["type"] == kind else None

    def stands_beside(self, name: str) -> bool:
        """True for what its author can take back: an entry of kind *beside* or *equal*."""
        return name in self.beside or self.disagreement(name) is not None

    def disagreement(self, name: str) -> Json | None:
        """The disagreement that was stated in an event, if it was one."""
        known = self.index.disagreements.by_event.get(name)
        return known["stated"] if known else None


def others_named(plan: Plan, entry: str) -> list[str]:
    """Whom an entry names, besides its author."""
    return plan.entries[entry][1:]


def index_of(plan: Plan) -> Index:
    """Build the index of a plan."""
    made = Index(sum(counts(line["thing"], line["state"]) for line in plan.lines.values()))
    for name, grant in plan.whose.items():
        if grant["type"] == "service.barred":
            made.access.barred += 1
        elif "state" not in grant:
            made.access.add(name, grant["type"], grant["data"])
        elif grant["type"] == "representative.named":
            made.access.remember(grant["data"]["representative"])
    for entry, several in plan.disagreements.items():
        for stated in several:
            made.disagreements.add(entry, stated)
    for wording in plan.avoid:
        made.avoided.add(wording)
    for entry in _naming(plan):
        if entry not in plan.denied:
            made.named.begin(entry, others_named(plan, entry))
    return made


def _naming(plan: Plan) -> Iterator[str]:
    """Entries of the person's own whose naming lasts, unless it was denied."""
    yield from plan.planned.values()
    for name, each in plan.beside.items():
        ended = "retracted" in each or each.get("state") in ENDED
        if each["author"] == plan.subject and not ended:
            yield name


_MEMBERS = tuple(each.name for each in fields(Plan) if each.init)


def line_key(thing: str, name: str) -> str:
    r"""Where a line stands in `Plan.lines`: in ASCII, escaped as JSON escapes a string (RFC 8259),
    since member names of RFC 8785 sort there as they do anywhere.

    >>> line_key("about-me", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    'about-me/Zo\\u00eb'
    """
    return encode_basestring_ascii(f"{thing}/{name}")[1:-1]


def dump(plan: Plan) -> bytes:
    """The plan's bytes: equal plans have equal bytes."""
    return canonical({name: each for name in _MEMBERS if (each := getattr(plan, name))})


def copy_of(plan: Plan) -> Plan:
    """A plan that can be folded on while the other stays as it is: whatever a fold changes in
    place is new, and the two share the rest.
    """
    copied = Plan(plan.subject, plan.state, plan.version)
    copied.lines = {key: copy_of_line(line) for key, line in plan.lines.items()}
    copied.beside = {name: each.copy() for name, each in plan.beside.items()}
    copied.whose = {name: each.copy() for name, each in plan.whose.items()}
    copied.disagreements = {
        name: [each.copy() for each in several] for name, several in plan.disagreements.items()
    }
    copied.denied, copied.avoid = plan.denied.copy(), plan.avoid.copy()
    copied.entries, copied.planned = plan.entries.copy(), plan.planned.copy()
    copied.own_bytes, copied.others_bytes = plan.own_bytes, plan.others_bytes
    return copied


def copy_of_line(line: Line) -> Line:
    """A line that stays as it is while the other is folded on."""
    copied = line.copy()
    copied["data"] = line["data"].copy()
    return copied


def load(stored: bytes) -> Plan:
    """The plan of `dump`'s bytes."""
    return Plan(**orjson.loads(stored))
