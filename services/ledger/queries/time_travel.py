"""Past plans: at a version, or of what was recorded or true at a moment.

`version=n` is the plan up to the last entry with that planversion. `as-of=T` is the plan from the
entries recorded at or before T. `true-at=T` is the plan from the recorded entries, now or as of a
moment, that had happened by T (services/ledger/plan/valid_time.py); its version counts the changes
that it holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.ledger.fold import PersonState, apply_entry, load_state, usable_plan
from services.ledger.log import entry
from services.ledger.plan.model import Plan, copy_of
from services.ledger.plan.valid_time import fold_true
from services.ledger.queries.read_cache import ReadCache
from services.ledger.store import reads
from services.ledger.store.database import Connection, Row
from services.ledger.vault import Vault
from shared.events.event import Event


@dataclass(frozen=True, slots=True)
class PlanSelector:
    """Selector of a plan. Moments are timestamps in the format of entries."""

    version: int | None = None
    as_of: str | None = None
    true_at: str | None = None

    @property
    def is_now(self) -> bool:
        """Return True if the current plan is selected."""
        return self == NOW


NOW = PlanSelector()
NEAR = 500  # entries folded onto a cached plan; for more, the stored plan is read


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """One person's plans, now and in the past. Their key must be in the vault's memory.

    The plans are cached for other readers: modify only copies.
    """

    connection: Connection
    vault: Vault
    log: int
    subject: str
    cache: ReadCache

    def now(self) -> PersonState:
        """Return the person after their last entry."""
        return self._at(reads.ends_at(self.connection, self.log, self.subject), None)

    def person(self, when: PlanSelector) -> tuple[PersonState, str | None]:
        """Return the person at a version or as of a moment, and when that state ended; None if
        current.
        """
        if when.is_now:
            return self.now(), None
        within = reads.Cutoff(when.version, when.as_of)
        base, above = reads.snapshots_around(self.connection, self.subject, within)
        end = reads.last_within(
            self.connection, self.log, self.subject, within, after=base, before=above
        )
        until = when.as_of
        if until is None:
            following = next(self.rows(end, end + 1), None)
            until = entry.parse(following["leaf"]).received if following else None
        return self._at(end, base), until

    def _at(self, end: int, base: int | None) -> PersonState:
        """Return the person after an entry.

        The state is cached, or folded from a cached plan, from a snapshot, or for the newest entry
        (`base` is None) from the stored plan.
        """
        if end == 0:
            return PersonState(Plan(self.subject))
        kid, last = self._kid(), next(self.rows(end - 1, end))["leaf"]
        person = self.cache.find(kid, last)
        if person is None:
            person = self._from_cache(kid, end) if base is None else self._from_snapshot(base)
            if person is None:
                person = load_state(self.connection, self.vault, self.log, self.subject)
            for row in self.rows(person.sequence, end):
                apply_entry(self.vault, person, entry.parse(row["leaf"]))
            self.cache.keep(kid, last, person)
        return person

    def _from_cache(self, kid: str, end: int) -> PersonState | None:
        """Return a copy of the newest cached person to fold on; None if too many entries follow."""
        leaf, cached = self.cache.newest(kid) or (b"", None)
        if cached is None or not 0 < end - cached.sequence <= NEAR:
            return None
        if next(self.rows(cached.sequence - 1, cached.sequence))["leaf"] != leaf:
            return None
        return PersonState(copy_of(cached.plan), cached.sequence)

    def _from_snapshot(self, sequence: int) -> PersonState:
        """Return the person from a snapshot, or an empty one if the snapshot is unusable."""
        row = reads.snapshot(self.connection, self.subject, sequence) if sequence else None
        plan = usable_plan(self.vault, row) if row is not None else None
        return PersonState(Plan(self.subject)) if plan is None else PersonState(plan, sequence)

    def _kid(self) -> str:
        key = self.vault.person(self.subject)
        return key.kid if key else ""

    def true(self, true_at: str, as_of: str | None) -> Plan:
        """Return what was true at a moment, from the entries recorded by now or another moment."""
        return fold_true(Plan(self.subject), self._accepted(as_of), true_at)

    def _accepted(self, as_of: str | None) -> Iterator[Event]:
        for row in self.rows(0):
            if as_of is not None and row["recorded"] > as_of:
                return
            record = entry.parse(row["leaf"])
            if record.verdict == entry.ACCEPTED:
                yield record.open(self.vault.find(self.subject))

    def rows(self, after: int, until: int | None = None) -> Iterator[Row]:
        """Yield the person's entries with a sequence after one, up to another."""
        return reads.entries_in_sequence(
            self.connection, self.log, self.subject, after=after, until=until
        )
