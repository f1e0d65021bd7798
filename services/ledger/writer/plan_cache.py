"""The worker's cache of folded plans.

A cached plan is used only if its sequence equals the row read under the head lock and it was
made by the same rules. A batch that does not commit drops every plan it touched. Plans that are
not cached are folded again (services/ledger/fold.py).
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.ledger.fold import PersonState, fold_each, unwrap_each
from services.ledger.store import reads
from services.ledger.store.database import Connection, Row
from services.ledger.vault import Vault
from shared.errors import DecryptionError

LIMIT = 20_000  # cached people
CACHE_BYTES = 32 * 1024 * 1024  # of accepted events in cached plans: ten times that in memory


class PlanCache:
    """The cached people of one ledger."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._known: OrderedDict[str, PersonState] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0

    def weights(self, connection: Connection, subjects: Iterable[str]) -> dict[str, int]:
        """Return the bytes to read from the store for people who are not cached."""
        missing = [subject for subject in subjects if subject not in self._known]
        return reads.plan_bytes(connection, missing) if missing else {}

    def load(
        self,
        connection: Connection,
        log: int,
        subjects: set[str],
        pinned: frozenset[str] = frozenset(),
    ) -> dict[str, Exception]:
        """Load people and their keys, consistent with the rows under the head lock.

        Returns the errors of people whose key or entries are unavailable or damaged. Those in
        `pinned` stay in memory even if it is short, since a batch changed their plans.
        """
        rows = reads.people_of(connection, subjects)
        keyless = (subject for subject in subjects if self.vault.person(subject) is None)
        failed: dict[str, Exception] = {**unwrap_each(connection, self.vault, keyless)}
        stale = [
            subject
            for subject in subjects
            if subject not in failed and not self._is_true(subject, rows.get(subject))
        ]
        people, broken = self._fold(connection, log, stale, pinned)
        for subject, person in people.items():
            row = rows.get(subject)
            if row and person.sequence != row["sequence"]:
                broken[subject] = DecryptionError("the entries and the row of people differ")
            else:
                self.replace(subject, person)
        failed |= broken
        self.drop(failed)
        for subject in subjects - failed.keys():
            self._known.move_to_end(subject)
        return failed

    def _fold(
        self, connection: Connection, log: int, subjects: list[str], pinned: frozenset[str]
    ) -> tuple[dict[str, PersonState], dict[str, Exception]]:
        """Fold people; if memory does not suffice, one by one with an otherwise empty cache."""
        try:
            return fold_each(connection, self.vault, log, subjects) if subjects else ({}, {})
        except MemoryError:
            self.drop([name for name in self._known if name not in pinned])
        people, failed = dict[str, PersonState](), dict[str, Exception]()
        for subject in subjects:
            try:
                one, error = fold_each(connection, self.vault, log, [subject])
                people, failed = people | one, failed | error
            except MemoryError as fault:
                failed[subject] = fault
        return people, failed

    def _is_true(self, subject: str, row: Row | None) -> bool:
        person = self._known.get(subject)
        return person is not None and person.sequence == (row["sequence"] if row else 0)

    def __getitem__(self, subject: str) -> PersonState:
        """Return a person who was loaded."""
        return self._known[subject]

    def replace(self, subject: str, person: PersonState) -> None:
        """Replace the cached state of a person."""
        self._known[subject] = person
        self._weigh(subject, person.plan.accepted_bytes)

    def drop(self, subjects: Iterable[str]) -> None:
        """Evict people, for example those of a batch that did not commit."""
        for subject in subjects:
            self._known.pop(subject, None)
            self._weigh(subject, 0)
            self.vault.forget(subject)

    def clear(self) -> None:
        """Evict all people."""
        self.drop(list(self._known))

    def _weigh(self, subject: str, weight: int) -> None:
        self._weight += weight - self._weights.pop(subject, 0)
        if weight:
            self._weights[subject] = weight

    def __len__(self) -> int:
        return len(self._known)

    def trim(self, touched: Iterable[str] = ()) -> None:
        """Evict the oldest people beyond the limits; call it only when no plan is in use."""
        for subject in touched:
            if subject in self._known:
                self._weigh(subject, self._known[subject].plan.accepted_bytes)
        while len(self._known) > LIMIT or (self._weight > CACHE_BYTES and len(self._known) > 1):
            self.drop([next(iter(self._known))])
