"""Plans that were folded for readers, kept in memory for the next one.

A plan after an entry is for ever what it is. So a plan is kept under that entry's bytes, which no
other entry has, and under the `kid` of the person's key: what is kept is never out of date, and
whoever has no such key finds nothing. Nobody changes a plan that is kept: a fold goes on from a
copy.
"""

from collections import OrderedDict
from threading import Lock

from services.ledger.fold import PersonState

LIMIT = 50_000  # accepted entries that the kept plans hold together: some 80 MB
ENTRY_BYTES = 600  # a plan of longer events counts as one of so many more entries


def _weight(person: PersonState) -> int:
    """How many entries of common length a plan takes the room of."""
    return max(len(person.plan.entries), person.plan.accepted_bytes // ENTRY_BYTES)


class ReadCache:
    """People as they were asked for last, by kid and by the last entry of each."""

    def __init__(self) -> None:
        self._people: OrderedDict[tuple[str, bytes], PersonState] = OrderedDict()
        self._newest: dict[str, bytes] = {}
        self._held = 0
        self._lock = Lock()

    def find(self, kid: str, leaf: bytes) -> PersonState | None:
        """The person right after an entry, if they are kept."""
        with self._lock:
            person = self._people.get((kid, leaf))
            if person is not None:
                self._people.move_to_end((kid, leaf))
            return person

    def newest(self, kid: str) -> tuple[bytes, PersonState] | None:
        """The last entry after which the person of a key is kept, and the person."""
        with self._lock:
            leaf = self._newest.get(kid)
            return (leaf, self._people[kid, leaf]) if leaf is not None else None

    def keep(self, kid: str, leaf: bytes, person: PersonState) -> None:
        """Keep a person, and as many of those asked for last as there is room for."""
        with self._lock:
            if (kid, leaf) in self._people:
                return
            self._people[kid, leaf] = person
            self._held += _weight(person)
            newest = self._newest.get(kid)
            if newest is None or self._people[kid, newest].sequence < person.sequence:
                self._newest[kid] = leaf
            while self._held > LIMIT and len(self._people) > 1:
                (old, place), dropped = self._people.popitem(last=False)
                self._held -= _weight(dropped)
                if self._newest.get(old) == place:
                    del self._newest[old]
