"""What `decide` asks of a plan, at a cost that does not grow with the plan. Derived, never stored.

`Plan.index` makes it from the plan when it is first asked for, and `evolve` keeps it. What it says
is always what a new one would say. So nothing is dropped because its time has come: events
come with any `received`, also with earlier ones than before.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import inf

from services.ledger.plan.avoided_words import Avoided
from shared.events.event import Json
from shared.events.schema_fields import UNTIL_WITHDRAWN, parse_time

ANY_GRANT, ANY_NAMING = "grant", "naming"  # no scope of a grant, and no type, has such a name
ENDED = frozenset({"closed", "set-aside"})
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@lru_cache(maxsize=64)
def moment(text: str) -> float:
    """A moment in microseconds since 1970, exactly; what does not run out is infinite."""
    return inf if text == UNTIL_WITHDRAWN else (parse_time(text) - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Access:
    """Grants, namings of representatives and barred services that were not ended.

    `_ends` holds the moments at which they run out, in order: by party, and by each scope or type
    that is opened to them; `_all` those of the whole plan. `_namings` are the namings of each
    representative who was ever named.
    """

    barred: int = 0
    _ends: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _all: list[float] = field(default_factory=list)
    _namings: dict[str, set[str]] = field(default_factory=dict)

    def in_force(self, who: str, what: str, received: str) -> bool:
        """True when something that opens `what` to a party has not run out at `received`."""
        ends = self._ends.get((who, what))
        return ends is not None and (ends[-1] == inf or ends[-1] > moment(received))

    def count(self, received: str) -> int:
        """How many grants and namings have not run out at `received`."""
        return len(self._all) - bisect_right(self._all, moment(received))

    def namings(self, representative: str) -> set[str] | None:
        """The namings of a representative that were not ended; None if they were never named."""
        return self._namings.get(representative)

    def add(self, name: str, kind: str, data: Json) -> None:
        """Take up a grant, or the naming of a representative, under the id of its event."""
        who, opened, end = _opens(kind, data)
        if kind == "representative.named":
            self._namings.setdefault(who, set()).add(name)
        insort(self._all, end)
        for what in opened:
            insort(self._ends.setdefault((who, what), []), end)

    def remember(self, representative: str) -> None:
        """Know that somebody was named as a representative, be it ended or not."""
        self._namings.setdefault(representative, set())

    def end(self, name: str, kind: str, data: Json) -> None:
        """Leave out what was ended."""
        who, opened, end = _opens(kind, data)
        if kind == "representative.named":
            self._namings[who].discard(name)
        del self._all[bisect_left(self._all, end)]
        for what in opened:
            ends = self._ends[who, what]
            del ends[bisect_left(ends, end)]
            if not ends:
                del self._ends[who, what]


def _opens(kind: str, data: Json) -> tuple[str, set[str], float]:
    """To whom something is opened, what, and until when."""
    if kind == "access.granted":
        return data["to"], {ANY_GRANT, *data["scopes"]}, moment(data["until"])
    return data["representative"], {ANY_NAMING, *data["scope"]}, moment(data["until"])


@dataclass(slots=True)
class Named:
    """Entries by which the person themselves names somebody, as long as that naming lasts."""

    _entries: dict[str, set[str]] = field(default_factory=dict)

    def __contains__(self, who: str) -> bool:
        """True when a naming of somebody lasts."""
        return who in self._entries

    def begin(self, entry: str, names: Iterable[str]) -> None:
        """An entry names these."""
        for who in names:
            self._entries.setdefault(who, set()).add(entry)

    def end(self, entry: str, names: Iterable[str]) -> None:
        """An entry names them no longer, or never did."""
        for who in names:
            entries = self._entries.get(who)
            if entries is not None:
                entries.discard(entry)
                if not entries:
                    del self._entries[who]


@dataclass(slots=True)
class Disagreements:
    """Disagreements by the event that stated them; how many are open, and how many there are, of
    one author with one entry.
    """

    by_event: dict[str, Json] = field(default_factory=dict)
    _counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def counts(self, entry: str, author: str) -> tuple[int, int]:
        """Of one author with one entry: open ones, and all."""
        return self._counts.get((entry, author), (0, 0))

    def add(self, entry: str, stated: Json) -> None:
        """Take up a disagreement with an entry."""
        author, is_open = stated["author"], "retracted" not in stated
        still_open, every = self.counts(entry, author)
        self._counts[entry, author] = still_open + is_open, every + 1
        self.by_event[stated["entry"]] = {"with": entry, "stated": stated}

    def retract(self, name: str, by: str) -> None:
        """Mark a disagreement as taken back; only the first time counts."""
        known = self.by_event[name]
        stated, entry = known["stated"], known["with"]
        if "retracted" not in stated:
            stated["retracted"] = by
            still_open, every = self._counts[entry, stated["author"]]
            self._counts[entry, stated["author"]] = still_open - 1, every


@dataclass(slots=True)
class Index:
    """Everything that is derived from one plan. `open_lines` leaves ratings out."""

    open_lines: int = 0
    access: Access = field(default_factory=Access)
    named: Named = field(default_factory=Named)
    disagreements: Disagreements = field(default_factory=Disagreements)
    avoided: Avoided = field(default_factory=Avoided)


def counts(thing: str, state: str) -> bool:
    """True for a line that counts as an open one."""
    return state == "open" and thing != "rating"
