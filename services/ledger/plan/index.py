"""Index of a plan for `decide`, with look-ups whose cost does not grow with the plan.

It is derived and never stored. `Plan.index` builds it on first use, `evolve` updates it, and it
always equals a newly built one. Expired items are not removed, because the `received` times of
successive events may decrease.
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
    """Return a moment in microseconds since 1970, exactly; "until withdrawn" is infinite."""
    return inf if text == UNTIL_WITHDRAWN else (parse_time(text) - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Access:
    """Grants, namings of representatives and barred services that were not ended.

    `_ends` holds the sorted expiry times for each party and scope or type; `_all` those of the
    whole plan. `_namings` holds the active namings of every representative ever named.
    """

    barred: int = 0
    _ends: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _all: list[float] = field(default_factory=list)
    _namings: dict[str, set[str]] = field(default_factory=dict)

    def in_force(self, who: str, what: str, received: str) -> bool:
        """Return whether anything that opens `what` to a party has not expired at `received`."""
        ends = self._ends.get((who, what))
        return ends is not None and (ends[-1] == inf or ends[-1] > moment(received))

    def count(self, received: str) -> int:
        """Return the number of grants and namings that have not expired at `received`."""
        return len(self._all) - bisect_right(self._all, moment(received))

    def namings(self, representative: str) -> set[str] | None:
        """Return the active namings of a representative; None if they were never named."""
        return self._namings.get(representative)

    def add(self, name: str, kind: str, data: Json) -> None:
        """Add a grant, or the naming of a representative, under the id of its event."""
        who, opened, end = _opens(kind, data)
        if kind == "representative.named":
            self._namings.setdefault(who, set()).add(name)
        insort(self._all, end)
        for what in opened:
            insort(self._ends.setdefault((who, what), []), end)

    def remember(self, representative: str) -> None:
        """Record that a party was named as a representative, even if that has ended."""
        self._namings.setdefault(representative, set())

    def end(self, name: str, kind: str, data: Json) -> None:
        """Remove a grant or naming that was ended."""
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
    """Return the party to whom something is opened, what is opened, and its expiry."""
    if kind == "access.granted":
        return data["to"], {ANY_GRANT, *data["scopes"]}, moment(data["until"])
    return data["representative"], {ANY_NAMING, *data["scope"]}, moment(data["until"])


@dataclass(slots=True)
class Named:
    """Entries in which the person names other parties, while these namings are in force."""

    _entries: dict[str, set[str]] = field(default_factory=dict)

    def __contains__(self, who: str) -> bool:
        """Return whether a naming of the party is in force."""
        return who in self._entries

    def begin(self, entry: str, names: Iterable[str]) -> None:
        """Add the parties that an entry names."""
        for who in names:
            self._entries.setdefault(who, set()).add(entry)

    def end(self, entry: str, names: Iterable[str]) -> None:
        """Remove the parties that an entry names; unknown ones are skipped."""
        for who in names:
            entries = self._entries.get(who)
            if entries is not None:
                entries.discard(entry)
                if not entries:
                    del self._entries[who]


@dataclass(slots=True)
class Disagreements:
    """Disagreements by their events, with the numbers of open ones and of all."""

    by_event: dict[str, Json] = field(default_factory=dict)
    _counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def counts(self, entry: str, author: str) -> tuple[int, int]:
        """Return the numbers of open and of all disagreements of one author with one entry."""
        return self._counts.get((entry, author), (0, 0))

    def add(self, entry: str, stated: Json) -> None:
        """Add a disagreement with an entry."""
        author, is_open = stated["author"], "retracted" not in stated
        still_open, total = self.counts(entry, author)
        self._counts[entry, author] = still_open + is_open, total + 1
        self.by_event[stated["entry"]] = {"with": entry, "stated": stated}

    def retract(self, name: str, by: str) -> None:
        """Mark a disagreement as retracted; idempotent."""
        known = self.by_event[name]
        stated, entry = known["stated"], known["with"]
        if "retracted" not in stated:
            stated["retracted"] = by
            still_open, total = self._counts[entry, stated["author"]]
            self._counts[entry, stated["author"]] = still_open - 1, total


@dataclass(slots=True)
class Index:
    """Everything that is derived from one plan. `open_lines` does not count ratings."""

    open_lines: int = 0
    access: Access = field(default_factory=Access)
    named: Named = field(default_factory=Named)
    disagreements: Disagreements = field(default_factory=Disagreements)
    avoided: Avoided = field(default_factory=Avoided)


def counts(thing: str, state: str) -> bool:
    """Return whether a line counts as open."""
    return state == "open" and thing != "rating"
