"""Rebuild: derived tables folded anew from entries and keys, beside the old, compared, switched.

`people`, `plans`, `snapshots` and `tiles` are functions of entries and keys. `Rebuilding` folds
them at one moment, beside whoever reads and writes, and puts each row that differs, is missing or
is of nothing into a file (spool.py). `switch` then puts these rows in the place of the old ones in
one transaction, under the heads' locks, with what was recorded meanwhile. A crash leaves the old
or the new; where nothing differs, nothing is written.

Heads, entries and keys are no rows to be made anew: where the tree of the entries is not the
head's, or a key is missing, that is a finding that a rebuild cannot mend.
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
    """A stored row that is not as entries and keys say. `mends`: a rebuild puts it right."""

    table: str
    log: int
    person: str | None
    sequence: int | None
    detail: str
    mends: bool = True


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild found, and whether the new rows were put in place."""

    entries: int = 0
    findings: list[RebuildFinding] = field(default_factory=list)
    switched: bool = False


@dataclass(slots=True)
class _Folded(PersonState):
    """A person, as folded so far; `differs` names the tables in which something of theirs does."""

    differs: set[str] = field(default_factory=set)
    broken: bool = False


class Rebuilding:
    """Folds all logs of a ledger at one moment of `connection`; what differs goes to `spool`."""

    def __init__(self, connection: Connection, vault: Vault, logs: int, spool: Spool) -> None:
        self.report = RebuildReport()
        self._connection = connection
        self._vault = vault
        self._logs = logs
        self._spool = spool

    def run(self, tick: Callable[[int], None] = lambda _: None) -> RebuildReport:
        """Fold, compare, note what differs. `tick` hears of entries."""
        for table, subject, log in derived_tables.delete_rows_of_unknown_logs(
            self._connection, self._logs
        ):
            mends = table != "entries"
            self._note(table, log, subject, None, "is of a log that is not here", mends=mends)
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
                for wanted, tile in tree.full():
                    self._tile(wanted, tile)
            self._entry(row)
            self.report.entries += 1
            tick(1)
        self._end(log, tree.frontier())

    def _entry(self, row: Row) -> None:
        """Take a person past an entry, and compare what is stored of them there."""
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
            told = f"cannot be folded: {fault}; this person's rows stay as they are"
            self._note("entries", self._log, subject, row["sequence"], told, mends=False)
            return
        tables = self._stored.pop((subject, person.sequence), ())
        for table in tables:
            self._compare(table, person, row["recorded"])
        if "snapshots" not in tables and is_snapshot_due(before, person):
            self._person_differs("snapshots", person, "is missing")
            self._spool.put("snapshots", self._snapshot(person, row["recorded"]))

    def _compare(self, table: str, person: _Folded, recorded: str) -> None:
        """A stored plan or snapshot, at the place it says it is of."""
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
        """What is wrong with a stored plan; nothing, if it is right."""
        place: dict[str, object] = {"log": self._log, "planversion": person.plan.version}
        moment = {"recorded": recorded} if "recorded" in row else {}
        wanted = place | {"rules": RULES} | moment
        for name, value in wanted.items():
            if row[name] != value:
                return f"{name} is {row[name]}; the entries say {value}"
        try:
            return "" if dump(open_plan(self._vault, row)) == dump(person.plan) else "plan differs"
        except (DecryptionError, ValueError, KeyError, TypeError) as fault:
            return f"plan does not open: {fault}"

    def _snapshot(self, person: PersonState, recorded: str) -> dict[str, Any]:
        return self._plan_row(person) | {"recorded": recorded}

    def _plan_row(self, person: PersonState) -> dict[str, Any]:
        key = self._vault.person(person.plan.subject)
        if key is None:
            raise DecryptionError(f"no key of {person.plan.subject}")
        return plan_row(self._log, key, person)

    def _end(self, log: int, tree: Frontier) -> None:
        """After the last entry: where everybody stands, and what is stored of nothing."""
        for (subject, sequence), tables in self._stored.items():
            person = self._people.get(subject)
            if person and person.broken:
                continue
            for table in tables:
                self._note(table, log, subject, sequence, "no entry reaches it")
                self._spool.gone(table, subject=subject, sequence=sequence, log=log)
                if person:
                    person.differs.add(table)
        self._standing(log)
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
            told = "is not that of the entries; run 'firsthand replay --all'"
            self._note("heads", log, None, None, told, mends=False)

    def _standing(self, log: int) -> None:
        """Rows of `people`: right, wrong, of nobody, or missing."""
        there = derived_tables.person_rows(self._connection, log)
        for subject in there.keys() - self._people.keys():
            self._note("people", log, subject, None, "there are no entries with standing")
            self._spool.gone("people", subject=subject, log=log)
        for subject, person in self._people.items():
            wanted = {"sequence": person.sequence, "planversion": person.plan.version}
            row = there.get(subject)
            told = "is missing" if row is None else ""
            for name, value in wanted.items() if row else ():
                if row and row[name] != value:
                    told = f"{name} is {row[name]}; the entries say {value}"
            if told and not person.broken:
                self._person_differs("people", person, told)

    def _last(self, person: _Folded) -> None:
        """A stored plan that is overdue; and for whoever differs, the right one."""
        if is_store_due(person) and "plans" not in person.differs:
            self._person_differs("plans", person, "is missing")
        if person.differs:
            self._spool.put("plans", self._plan_row(person))

    def _tile(self, wanted: FullTile, tile: Tile) -> None:
        kept = stored_tile(self._connection, self._log, wanted.level, wanted.number)
        if kept == wanted:
            return
        told = "is missing" if kept is None else "differs from what the entries say"
        self._note("tiles", self._log, None, None, f"{tile.path} {told}")
        row = {"log": self._log, "level": wanted.level, "index": wanted.number}
        self._spool.put("tiles", row | {"root": wanted.root, "hashes": wanted.hashes})

    def _person_differs(self, table: str, person: _Folded, told: str) -> None:
        person.differs.add(table)
        self._note(table, self._log, person.plan.subject, person.sequence, told)

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
