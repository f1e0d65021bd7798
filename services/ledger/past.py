"""Which plan is asked for: now, at a version, or of what was known or true at a moment.

`version=n` is the plan up to the last entry with that planversion; `as-of=T` what was known at
T: the entries recorded at or before it. `true-at=T` is what was true at T: of the entries known,
now or as of a moment, those that had happened by then (services/ledger/plan/then.py). Its version
counts the changes that it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.ledger.kept import Kept
from services.ledger.log import entry
from services.ledger.people import Person, fold_one, take, usable_plan
from services.ledger.plan.model import Plan, copy_of
from services.ledger.plan.then import fold_true
from services.ledger.store import reads
from services.ledger.store.engine import Connection, Row
from services.ledger.vault import Vault
from shared.event import Event


@dataclass(frozen=True, slots=True)
class When:
    """A moment of a plan. Moments are timestamps as entries write them."""

    version: int | None = None
    as_of: str | None = None
    true_at: str | None = None

    @property
    def is_now(self) -> bool:
        """True if nothing is asked for but the plan."""
        return self == NOW


NOW = When()
NEAR = 500  # entries that are folded onto a kept plan; for more, the stored one is opened


@dataclass(frozen=True, slots=True)
class Past:
    """One person's plans, now and before. Their key must be in the vault's memory.

    The plans are kept for others: go on from a copy.
    """

    connection: Connection
    vault: Vault
    log: int
    subject: str
    kept: Kept

    def now(self) -> Person:
        """The person as the entries have them now."""
        last, kid = reads.last_of(self.connection, self.log, self.subject), self._kid()
        if last is None:
            return Person(Plan(self.subject))
        found = self.kept.find(kid, last["leaf"]) or self._from_kept(kid, last["sequence"])
        if found is None:
            found = fold_one(self.connection, self.vault, self.log, self.subject)
        self.kept.keep(kid, last["leaf"], found)
        return found

    def _from_kept(self, kid: str, end: int) -> Person | None:
        """The person, folded on from the last one that was kept; None if that is too far."""
        leaf, old = self.kept.newest(kid) or (b"", None)
        if old is None or not 0 < end - old.sequence <= NEAR:
            return None
        first, *rows = self.rows(old.sequence - 1)
        if first["leaf"] != leaf:
            return None
        person = Person(copy_of(old.plan), old.sequence)
        for row in rows:
            take(self.vault, person, entry.read(row["leaf"]))
        return person

    def person(self, when: When) -> tuple[Person, str | None]:
        """The person at a version or as of a moment, and until when that was so; None: it is."""
        if when.is_now:
            return self.now(), None
        base = reads.snapshot_before(
            self.connection, self.subject, version=when.version, recorded=when.as_of
        )
        leaves, until = self._between(base - 1, when)  # with the entry of the snapshot
        if not leaves:
            return Person(Plan(self.subject)), until
        kid, last = self._kid(), leaves[-1]
        if (found := self.kept.find(kid, last)) is not None:
            return found, until
        person = self._snapped(base)
        if person.sequence < base:
            leaves, until = self._between(0, when)
        for leaf in leaves[bool(person.sequence) :]:
            take(self.vault, person, entry.read(leaf))
        self.kept.keep(kid, last, person)
        return person, until

    def _between(self, after: int, when: When) -> tuple[list[bytes], str | None]:
        """The entries with standing past a sequence and within a version or a moment; and until
        when these were all there were.
        """
        leaves: list[bytes] = []
        for each in self.rows(after):
            later = when.version is not None and each["planversion"] > when.version
            if later or (when.as_of is not None and each["recorded"] > when.as_of):
                return leaves, when.as_of or entry.read(each["leaf"]).received
            leaves.append(each["leaf"])
        return leaves, when.as_of

    def _snapped(self, sequence: int) -> Person:
        """The person as a snapshot has them, or as nobody if it is of no use."""
        row = reads.snapshot(self.connection, self.subject, sequence) if sequence else None
        plan = usable_plan(self.vault, row) if row is not None else None
        return Person(Plan(self.subject)) if plan is None else Person(plan, sequence)

    def _kid(self) -> str:
        key = self.vault.person(self.subject)
        return key.kid if key else ""

    def true(self, true_at: str, as_of: str | None) -> Plan:
        """What was true at a moment, as far as it is known, or was as of another."""
        return fold_true(Plan(self.subject), self._accepted(as_of), true_at)

    def _accepted(self, as_of: str | None) -> Iterator[Event]:
        for row in self.rows(0):
            if as_of is not None and row["recorded"] > as_of:
                return
            each = entry.read(row["leaf"])
            if each.verdict == entry.ACCEPTED:
                yield each.open(self.vault.find(self.subject))

    def rows(self, after: int) -> Iterator[Row]:
        """The person's entries with standing past a sequence."""
        return reads.entries_in_sequence(self.connection, self.log, self.subject, after=after)
