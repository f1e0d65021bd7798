"""Which plan is asked for: now, at a version, or of what was known or true at a moment.

`version=n` is the plan up to the last entry with that planversion; `as-of=T` what was known at T:
the entries recorded at or before it. `true-at=T` is what was true at T: of the entries known, now
or as of a moment, those that had happened by then (services/ledger/plan/valid_time.py). Its version
counts the changes that it holds.
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
    """A moment of a plan. Moments are timestamps as entries write them."""

    version: int | None = None
    as_of: str | None = None
    true_at: str | None = None

    @property
    def is_now(self) -> bool:
        """True if nothing is asked for but the plan."""
        return self == NOW


NOW = PlanSelector()
NEAR = 500  # entries that are folded onto a kept plan; for more, the stored one is opened


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """One person's plans, now and before. Their key must be in the vault's memory.

    The plans are kept for others: go on from a copy.
    """

    connection: Connection
    vault: Vault
    log: int
    subject: str
    kept: ReadCache

    def now(self) -> PersonState:
        """The person as the entries have them now."""
        return self._at(reads.ends_at(self.connection, self.log, self.subject), None)

    def person(self, when: PlanSelector) -> tuple[PersonState, str | None]:
        """The person at a version or as of a moment, and until when that was so; None: it is."""
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
        """The person right after an entry: as kept, or folded from there, from a snapshot, or for
        the newest entry (`base` None) from the stored plan.
        """
        if end == 0:
            return PersonState(Plan(self.subject))
        kid, last = self._kid(), next(self.rows(end - 1, end))["leaf"]
        found = self.kept.find(kid, last)
        if found is None:
            found = self._from_kept(kid, end) if base is None else self._snapped(base)
            if found is None:
                found = load_state(self.connection, self.vault, self.log, self.subject)
            for row in self.rows(found.sequence, end):
                apply_entry(self.vault, found, entry.parse(row["leaf"]))
            self.kept.keep(kid, last, found)
        return found

    def _from_kept(self, kid: str, end: int) -> PersonState | None:
        """The last person kept, to be folded on; None if they are too far from there."""
        leaf, old = self.kept.newest(kid) or (b"", None)
        if old is None or not 0 < end - old.sequence <= NEAR:
            return None
        if next(self.rows(old.sequence - 1, old.sequence))["leaf"] != leaf:
            return None
        return PersonState(copy_of(old.plan), old.sequence)

    def _snapped(self, sequence: int) -> PersonState:
        """The person as a snapshot has them, or as nobody if it is of no use."""
        row = reads.snapshot(self.connection, self.subject, sequence) if sequence else None
        plan = usable_plan(self.vault, row) if row is not None else None
        return PersonState(Plan(self.subject)) if plan is None else PersonState(plan, sequence)

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
            each = entry.parse(row["leaf"])
            if each.verdict == entry.ACCEPTED:
                yield each.open(self.vault.find(self.subject))

    def rows(self, after: int, until: int | None = None) -> Iterator[Row]:
        """The person's entries with standing past a sequence, up to another."""
        return reads.entries_in_sequence(
            self.connection, self.log, self.subject, after=after, until=until
        )
