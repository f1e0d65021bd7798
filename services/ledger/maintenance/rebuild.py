"""Rebuild of derived tables: folds them from entries and keys, compares, and replaces rows.

`people`, `plans`, `snapshots` and `tiles` are functions of entries and keys. `Rebuilding` folds
them in one snapshot of the database, while others read and write, and writes mismatched, missing
and orphaned rows to a file (rebuild_spool.py). `switch` then replaces these rows in one
transaction, under the heads' locks, with what was recorded meanwhile. A crash leaves the old state
or the new one; if nothing differs, nothing is written.

Heads, entries and keys cannot be rebuilt: a tree that does not match the head, or a missing key, is
a finding that a rebuild cannot repair.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.ledger.fold import (
    PersonState,
    apply_entry,
    is_snapshot_due,
    is_store_due,
    open_plan,
    plan_row,
    unwrap_keys,
)
from services.ledger.log import entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.tiles import FullTile, Tile, hashes_at
from services.ledger.log.tree_builder import TreeBuilder
from services.ledger.maintenance.rebuild_spool import Spool
from services.ledger.plan.decide import RULES
from services.ledger.plan.model import Plan, dump
from services.ledger.store import derived_tables, reads
from services.ledger.store.database import Connection, Row
from services.ledger.store.tile_store import stored_tile
from services.ledger.vault import KeyUnwrapError, Vault
from shared.errors import DecryptionError

TABLES = ("people", "plans", "snapshots", "tiles")


@dataclass(frozen=True, slots=True)
class RebuildFinding:
    """A stored row that differs from entries and keys; the last field: a rebuild repairs it."""

    table: str
    log: int
    person: str | None
    sequence: int | None
    detail: str
    mends: bool = True


@dataclass(slots=True)
class RebuildReport:
    """The findings of a rebuild, and whether the rows were replaced."""

    entries: int = 0
    findings: list[RebuildFinding] = field(default_factory=list)
    switched: bool = False


@dataclass(slots=True)
class _Folded(PersonState):
    """A person as folded so far; `differs` names the tables with mismatched rows."""

    differs: set[str] = field(default_factory=set)
    broken: bool = False


class Rebuilding:
    """Fold all logs of a ledger in one snapshot; write the differences to `spool`."""

    def __init__(self, connection: Connection, vault: Vault, logs: int, spool: Spool) -> None:
        self.report = RebuildReport()
        self._connection = connection
        self._vault = vault
        self._logs = logs
        self._spool = spool

    def run(self, tick: Callable[[int], None] = lambda _: None) -> RebuildReport:
        """Fold, compare and record differences. `tick` is called with numbers of entries."""
        for table, subject, log in derived_tables.delete_rows_of_unknown_logs(
            self._connection, self._logs
        ):
            mends = table != "entries"
            self._note(table, log, subject, None, "is of an unknown log", mends=mends)
            if mends:
                self._spool.gone(table, subject=subject, log=log)
        for log in range(self._logs):
            self._whole(log, tick)
        return self.report

    def _whole(self, log: int, tick: Callable[[int], None]) -> None:
        self._log, tree = log, TreeBuilder()
        self._people: dict[str, _Folded] = {}
        self._stored = derived_tables.stored_plan_positions(self._connection, log)
        for row in reads.entries_in_order(self._connection, log):
            tree.add(leaf_hash(row["leaf"]))
            if not tree.room:
                for full, tile in tree.full():
                    self._tile(full, tile)
            self._entry(row)
            self.report.entries += 1
            tick(1)
        self._end(log, tree.frontier())

    def _entry(self, row: Row) -> None:
        """Apply an entry to its person, and compare the rows stored at that position."""
        subject = row["subject"]
        if row["sequence"] is None:
            return
        person = self._people.get(subject)
        if person is None:
            unwrap_keys(self._connection, self._vault, [subject])
            person = self._people[subject] = _Folded(Plan(subject))
        if person.broken:
            return
        before = person.plan.accepted_bytes
        try:
            apply_entry(self._vault, person, entry.parse(row["leaf"]))
        except (DecryptionError, KeyUnwrapError, ValueError, KeyError, TypeError) as fault:
            person.broken = True
            message = f"cannot be folded: {fault}; this person's rows remain unchanged"
            self._note("entries", self._log, subject, row["sequence"], message, mends=False)
            return
        tables = self._stored.pop((subject, person.sequence), ())
        for table in tables:
            self._compare(table, person, row["recorded"])
        if "snapshots" not in tables and is_snapshot_due(before, person):
            self._person_differs("snapshots", person, "is missing")
            self._spool.put("snapshots", self._snapshot(person, row["recorded"]))

    def _compare(self, table: str, person: _Folded, recorded: str) -> None:
        """Compare a stored plan or snapshot at its position."""
        subject = person.plan.subject
        row = derived_tables.plan_at(self._connection, table, subject, person.sequence)
        why = self._wrong(row, person, recorded)
        if table == "plans" and not why:
            person.stored, person.unstored = person.sequence, 0
        if why:
            self._person_differs(table, person, why)
            if table == "snapshots":
                self._spool.put(table, self._snapshot(person, recorded))

    def _wrong(self, row: Row, person: _Folded, recorded: str) -> str:
        """Return the difference of a stored plan; empty if it is right."""
        position: dict[str, object] = {"log": self._log, "planversion": person.plan.version}
        moment = {"recorded": recorded} if "recorded" in row else {}
        expected = position | {"rules": RULES} | moment
        for name, value in expected.items():
            if row[name] != value:
                return f"{name} is {row[name]}; the entries yield {value}"
        try:
            return "" if dump(open_plan(self._vault, row)) == dump(person.plan) else "plan differs"
        except (DecryptionError, ValueError, KeyError, TypeError) as fault:
            return f"plan cannot be decrypted: {fault}"

    def _snapshot(self, person: PersonState, recorded: str) -> dict[str, Any]:
        return self._plan_row(person) | {"recorded": recorded}

    def _plan_row(self, person: PersonState) -> dict[str, Any]:
        key = self._vault.person(person.plan.subject)
        if key is None:
            raise DecryptionError(f"no key of {person.plan.subject}")
        return plan_row(self._log, key, person)

    def _end(self, log: int, tree: Frontier) -> None:
        """Compare positions, orphaned rows, overdue plans and the head after the last entry."""
        for (subject, sequence), tables in self._stored.items():
            person = self._people.get(subject)
            if person and person.broken:
                continue
            for table in tables:
                self._note(table, log, subject, sequence, "no entry has this sequence")
                self._spool.gone(table, subject=subject, sequence=sequence, log=log)
                if person:
                    person.differs.add(table)
        self._compare_people(log)
        for person in self._people.values():
            if not person.broken:
                self._last(person)
        for level, number in derived_tables.tile_positions(self._connection, log):
            if number >= hashes_at(level + 1, tree.size):
                path = Tile(level, number).path
                self._note("tiles", log, None, None, f"{path} is not filled by the entries")
                self._spool.gone("tiles", log=log, level=level, index=number)
        head = reads.head(self._connection, log)
        if head is None or (head.size, head.root) != (tree.size, tree.root()):
            message = "does not match the entries; run 'firsthand replay --all'"
            self._note("heads", log, None, None, message, mends=False)

    def _compare_people(self, log: int) -> None:
        """Compare `people` rows with the folded streams."""
        rows = derived_tables.person_rows(self._connection, log)
        for subject in rows.keys() - self._people.keys():
            self._note("people", log, subject, None, "there are no entries with standing")
            self._spool.gone("people", subject=subject, log=log)
        for subject, person in self._people.items():
            expected = {"sequence": person.sequence, "planversion": person.plan.version}
            row = rows.get(subject)
            message = "is missing" if row is None else ""
            for name, value in expected.items() if row else ():
                if row and row[name] != value:
                    message = f"{name} is {row[name]}; the entries yield {value}"
            if message and not person.broken:
                self._person_differs("people", person, message)

    def _last(self, person: _Folded) -> None:
        """Report an overdue plan; write the right one if the person has differences."""
        if is_store_due(person) and "plans" not in person.differs:
            self._person_differs("plans", person, "is missing")
        if person.differs:
            self._spool.put("plans", self._plan_row(person))

    def _tile(self, expected: FullTile, tile: Tile) -> None:
        stored = stored_tile(self._connection, self._log, expected.level, expected.number)
        if stored == expected:
            return
        message = "is missing" if stored is None else "differs from the entries"
        self._note("tiles", self._log, None, None, f"{tile.path} {message}")
        row = {"log": self._log, "level": expected.level, "index": expected.number}
        self._spool.put("tiles", row | {"root": expected.root, "hashes": expected.hashes})

    def _person_differs(self, table: str, person: _Folded, message: str) -> None:
        person.differs.add(table)
        self._note(table, self._log, person.plan.subject, person.sequence, message)

    def _note(
        self,
        table: str,
        log: int,
        person: str | None,
        sequence: int | None,
        detail: str,
        *,
        mends: bool = True,
    ) -> None:
        self.report.findings.append(RebuildFinding(table, log, person, sequence, detail, mends))
