"""The worker's cache of folded plans.

A cached plan is used only if its sequence equals the row read under the head lock, and was made
by the same rules; a batch that does not commit drops every plan it touched. Whatever is not
cached is folded again (services/ledger/fold.py).
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.ledger.fold import PersonState, fold_each, unwrap_each
from services.ledger.store import reads
from services.ledger.store.database import Connection, Row
from services.ledger.vault import Vault
from shared.errors import DecryptionError

LIMIT = 20_000  # people kept in memory
CACHE_BYTES = 32 * 1024 * 1024  # of accepted events in the plans kept: ten times that in memory


class PlanCache:
    """The people of one ledger, as this process knows them."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._known: OrderedDict[str, PersonState] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0

    def weights(self, connection: Connection, subjects: Iterable[str]) -> dict[str, int]:
        """Bytes to be read from the store for people who are not in memory."""
        missing = [each for each in subjects if each not in self._known]
        return reads.plan_bytes(connection, missing) if missing else {}

    def load(
        self,
        connection: Connection,
        log: int,
        subjects: set[str],
        kept: frozenset[str] = frozenset(),
    ) -> dict[str, Exception]:
        """Bring people into memory, true to what the head lock shows, with their keys.

        Returns why, of those who cannot be: their key or their entries are not what they must be.
        Those `kept` stay in memory, whatever it takes: a batch changed their plans.
        """
        rows = reads.people_of(connection, subjects)
        keyless = (each for each in subjects if self.vault.person(each) is None)
        failed: dict[str, Exception] = {**unwrap_each(connection, self.vault, keyless)}
        stale = [
            each
            for each in subjects
            if each not in failed and not self._is_true(each, rows.get(each))
        ]
        found, broken = self._fold(connection, log, stale, kept)
        for subject, person in found.items():
            row = rows.get(subject)
            if row and person.sequence != row["sequence"]:
                broken[subject] = DecryptionError(
                    "the entries end where the row of people does not"
                )
            else:
                self.replace(subject, person)
        failed |= broken
        self.drop(failed)
        for subject in subjects - failed.keys():
            self._known.move_to_end(subject)
        return failed

    def _fold(
        self, connection: Connection, log: int, subjects: list[str], kept: frozenset[str]
    ) -> tuple[dict[str, PersonState], dict[str, Exception]]:
        """Fold people; where memory does not suffice, one by one with nothing else in memory."""
        try:
            return fold_each(connection, self.vault, log, subjects) if subjects else ({}, {})
        except MemoryError:
            self.drop([each for each in self._known if each not in kept])
        found, failed = dict[str, PersonState](), dict[str, Exception]()
        for subject in subjects:
            try:
                some, none = fold_each(connection, self.vault, log, [subject])
                found, failed = found | some, failed | none
            except MemoryError as fault:
                failed[subject] = fault
        return found, failed

    def _is_true(self, subject: str, row: Row | None) -> bool:
        person = self._known.get(subject)
        return person is not None and person.sequence == (row["sequence"] if row else 0)

    def __getitem__(self, subject: str) -> PersonState:
        """Somebody who was loaded."""
        return self._known[subject]

    def replace(self, subject: str, person: PersonState) -> None:
        """Put a freshly folded person in place of the one at hand."""
        self._known[subject] = person
        self._weigh(subject, person.plan.accepted_bytes)

    def drop(self, subjects: Iterable[str]) -> None:
        """Forget people whose batch did not commit."""
        for subject in subjects:
            self._known.pop(subject, None)
            self._weigh(subject, 0)
            self.vault.forget(subject)

    def clear(self) -> None:
        """Forget everybody."""
        self.drop(list(self._known))

    def _weigh(self, subject: str, weight: int) -> None:
        self._weight += weight - self._weights.pop(subject, 0)
        if weight:
            self._weights[subject] = weight

    def __len__(self) -> int:
        return len(self._known)

    def trim(self, touched: Iterable[str] = ()) -> None:
        """Keep the newest people only, by number and by bytes. Nobody holds a plan meanwhile."""
        for subject in touched:
            if subject in self._known:
                self._weigh(subject, self._known[subject].plan.accepted_bytes)
        while len(self._known) > LIMIT or (self._weight > CACHE_BYTES and len(self._known) > 1):
            self.drop([next(iter(self._known))])
