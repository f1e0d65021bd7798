"""Cache of folded plans for readers.

The plan after an entry never changes. A plan is cached under the bytes of that entry, which are
unique, and the `kid` of the person's key: cached plans are never stale, and cannot be looked up
without the key. Cached plans are not modified: a fold continues on a copy.
"""

from collections import OrderedDict
from threading import Lock

from services.ledger.fold import PersonState

LIMIT = 50_000  # accepted entries in all cached plans: about 80 MB
ENTRY_BYTES = 600  # longer events count as several entries


def _weight(person: PersonState) -> int:
    """Return the size of a plan, in entries of common length."""
    return max(len(person.plan.entries), person.plan.accepted_bytes // ENTRY_BYTES)


class ReadCache:
    """Least recently used cache of people, by kid and last entry."""

    def __init__(self) -> None:
        self._people: OrderedDict[tuple[str, bytes], PersonState] = OrderedDict()
        self._newest: dict[str, bytes] = {}
        self._held = 0
        self._lock = Lock()

    def find(self, kid: str, leaf: bytes) -> PersonState | None:
        """Return the person after an entry, if cached."""
        with self._lock:
            person = self._people.get((kid, leaf))
            if person is not None:
                self._people.move_to_end((kid, leaf))
            return person

    def newest(self, kid: str) -> tuple[bytes, PersonState] | None:
        """Return the last cached entry of a key, and the person after it."""
        with self._lock:
            leaf = self._newest.get(kid)
            return (leaf, self._people[kid, leaf]) if leaf is not None else None

    def keep(self, kid: str, leaf: bytes, person: PersonState) -> None:
        """Cache a person, and evict the least recently used ones beyond the limit."""
        with self._lock:
            if (kid, leaf) in self._people:
                return
            self._people[kid, leaf] = person
            self._held += _weight(person)
            newest = self._newest.get(kid)
            if newest is None or self._people[kid, newest].sequence < person.sequence:
                self._newest[kid] = leaf
            while self._held > LIMIT and len(self._people) > 1:
                (old, last), dropped = self._people.popitem(last=False)
                self._held -= _weight(dropped)
                if self._newest.get(old) == last:
                    del self._newest[old]
