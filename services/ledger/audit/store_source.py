"""Live store as an audit source: its entries and derived rows, decrypted with the vault."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from services.ledger.audit.engine import Found, FoundOfPerson, Read
from services.ledger.audit.entry_checks import SealedPart
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.fold import PersonState, plan_bytes
from services.ledger.log import entry
from services.ledger.log.signed_note import Checkpoint, read_checkpoint, split_note
from services.ledger.log.tiles import FullTile, Tile
from services.ledger.log.tree_builder import TreeBuilder
from services.ledger.plan.decide import RULES
from services.ledger.plan.model import dump
from services.ledger.store import audit_reads, reads
from services.ledger.store.checkpoint_archive import archived_checkpoints, last_archived
from services.ledger.store.database import Connection, Row
from services.ledger.store.tables import FORMAT
from services.ledger.store.tile_store import count_tiles, stored_tile
from services.ledger.vault import LEDGER, KeyUnwrapError, Vault
from shared.errors import DecryptionError
from shared.events.event import Json, partition_of


class AuditStoreSource:
    """One snapshot of a database.

    `own_vkeys` are the ledger's keys by log; `vkeys`, if any, replace them. `published` are the
    last published checkpoints by log, from outside the store. None skips them and the heads, since
    a replay needs entries and keys only.
    """

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        own_vkeys: Sequence[list[str]],
        vkeys: Sequence[str] = (),
        published: Mapping[int, str] | None = None,
    ) -> None:
        self.findings: list[tuple[int, str]] = []  # log, problem of the expected keys
        self.compared: Counter[str] = Counter()
        self.opening = VaultOpener(connection, vault)
        self._connection = connection
        self._own_vkeys = own_vkeys
        self._vkeys = [self._chosen(log, vkeys) for log in range(len(own_vkeys))]
        self._published = published
        self._tiles = 0

    def _chosen(self, log: int, vkeys: Sequence[str]) -> list[str]:
        """Return the keys that verify a log: `vkeys` of its name, or the ledger's keys."""
        if not vkeys:
            return self._own_vkeys[log]
        chosen = [vkey for vkey in vkeys if vkey.partition("+")[0] == self.origin(log)]
        if not {*chosen} & {*self._own_vkeys[log]}:
            self.findings.append((log, f"none of the expected keys signs {self.origin(log)}"))
        return chosen

    @property
    def logs(self) -> int:
        """The number of its logs."""
        return len(self._vkeys)

    def size(self, log: int) -> int:
        """Return the number of entries of a log, by its newest entry."""
        return reads.log_size(self._connection, log)

    def origin(self, log: int) -> str:
        """Return the name of the log, which is the name of its keys."""
        return self._own_vkeys[log][0].partition("+")[0]

    def keys(self, log: int) -> list[str]:
        """Return the vkeys that may sign the log's checkpoints."""
        return self._vkeys[log]

    def entries(self, log: int) -> Iterable[Read]:
        """Return the log's entries, in order."""
        self._tiles = 0
        return audit_reads.entries_in_order(self._connection, log)

    def opening_data(self, row: Read, members: Json) -> bytes:
        """Return the differences of an entry's columns: JSON of [[field, detail], …]."""
        self.compared["columns"] += 1
        expected = (
            members["id"],
            members["author"],
            members["subject"],
            members["kind"],
            members["verdict"],
            members.get("refusal"),
            members.get("sequence"),
            members.get("planversion"),
            members["recorded"],
            members["digest"],
        )
        columns = row[2:]
        if columns == expected:
            return b""
        pairs = zip(entry.COLUMNS, columns, expected, strict=True)
        return orjson.dumps(
            [(name, f"{a!r}; the entry has {b!r}") for name, a, b in pairs if a != b]
        )

    def checkpoints(self, log: int) -> Iterator[Note]:
        """Yield the last published checkpoint and the archived ones, by size."""
        published = [Note(size_of(note), "published", note) for note in self._outside(log)]
        for row in archived_checkpoints(self._connection, log):
            if published and published[0].size <= row["size"]:
                yield published.pop()
            yield Note(row["size"], f"checkpoints.{row['size']}", row["checkpoint"])
        yield from published

    def newest_checkpoint(self, log: int) -> str:
        """Return the largest published or archived checkpoint, with the most cosignatures."""
        archived = last_archived(self._connection, log)
        notes = [*self._outside(log), *([archived["checkpoint"]] if archived else [])]
        return max(notes, key=lambda note: (size_of(note), note.count("\n")), default="")

    def _outside(self, log: int) -> list[str]:
        return [note] if (note := (self._published or {}).get(log)) else []

    def check_tile(self, expected: FullTile, tile: Tile, log: int) -> Found:
        """Compare a stored tile with the entries; a missing one is computed on request."""
        stored = stored_tile(self._connection, log, expected.level, expected.number)
        if stored is None:
            return
        self._tiles += 1
        for name in ("root", "hashes"):
            if getattr(stored, name) != getattr(expected, name):
                yield "tile", f"tiles.{name}", f"{tile.path} differs from the entries"

    def check_end(self, log: int, tree: TreeBuilder, recorded: str) -> Found:
        """Compare the head and the number of tiles with the entries."""
        self.compared["tiles"] += self._tiles
        if (surplus := count_tiles(self._connection, log) - self._tiles) > 0:
            yield "tile", "tiles.index", f"{surplus} stored that the entries do not fill"
        yield from self._head(log, tree, recorded)
        if log == self.logs - 1:
            yield from self._ledger(log)

    def _ledger(self, log: int) -> Found:
        row = reads.ledger_row(self._connection)
        if row is None:
            yield "ledger", "ledger.format", "the ledger's row is missing"
            return
        origin = self.origin(log).removesuffix(f"/{log}")
        expected = {"format": FORMAT, "partitions": self.logs, "origin": origin}
        for name, value in expected.items():
            if row[name] != value:
                yield "ledger", f"ledger.{name}", f"{row[name]}; keys and settings have {value}"

    def _head(self, log: int, tree: TreeBuilder, recorded: str) -> Found:
        head = reads.head(self._connection, log)
        if head is None:
            if self._published is not None:
                yield "head", "heads.log", "the log's head is missing; restore a backup"
            return
        self.compared["heads"] += 1
        whole = tree.frontier()
        expected = {"size": whole.size, "frontier": whole.to_bytes(), "root": whole.root()}
        for name, value in {**expected, "recorded": recorded or head.recorded}.items():
            if getattr(head, name) != value:
                yield "head", f"heads.{name}", "differs from the entries"
        try:
            if read_checkpoint(head.checkpoint, *self._vkeys[log]) != (whole.size, whole.root()):
                yield "head", "heads.checkpoint", "signs another head"
        except ValueError as fault:
            yield "head", "heads.checkpoint", f"not a checkpoint of this log: {fault}"

    def orphans(self, log: int, is_known: Callable[[str], bool]) -> FoundOfPerson:
        """Yield findings about rows of people without entries, and entries of unknown logs."""
        for table, subject in audit_reads.subjects(self._connection):
            if not is_known(subject) and partition_of(subject, self.logs) == log:
                code = "person" if table == "people" else "plan"
                yield code, f"{table}.subject", "this person has no entries", subject
        if log == self.logs - 1:
            for subject, number in audit_reads.rows_of_unknown_logs(self._connection, self.logs):
                detail = f"{number}; this ledger has {self.logs} log(s)"
                yield "order", "entries.log", detail, subject

    def read_errors(self) -> Found:
        """Yield the columns that have values of another type."""
        for name, rows, expected in audit_reads.mistyped(self._connection):
            detail = f"{rows} row(s) are not of type {expected}; reading stopped"
            yield "ledger", name, detail


def size_of(note: str) -> int:
    """Return the size of a checkpoint; 0 if it is invalid, which is reported elsewhere."""
    try:
        return Checkpoint.parse(split_note(note)[0]).size
    except ValueError:
        return 0


class VaultOpener:
    """The opener for stores: decrypts events with the vault, and checks derived rows."""

    code = "sealed"

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self.compared: Counter[str] = Counter()
        self.without = {"plans": 0, "snapshots": 0}  # number of people without a row
        self._connection = connection
        self._vault = vault
        self._names: list[str] = []

    def begin(self, log: int, people: Iterable[str]) -> None:
        """Unwrap the keys and read the derived rows of these people; drop the previous ones."""
        for name in self._names:
            self._vault.forget(name)
        self._log, self._closed = log, dict[str, str]()
        names = self._names = list(people)
        subjects = names if self._vault.is_open else [LEDGER, *names]
        for row in reads.keys_of(self._connection, subjects):
            try:
                self._vault.remember(row["subject"], self._vault.unwrap(row["kid"], row["wrapped"]))
            except KeyUnwrapError as fault:
                self._closed[row["subject"]] = str(fault)
        self._plans = audit_reads.stored_plans(self._connection, names)
        stored = self._plans.items()
        self._has = {
            table: {
                name for name, rows in stored if any(table in tables for tables in rows.values())
            }
            for table in self.without
        }
        self._rows = reads.people_of(self._connection, names)
        self._has_rows = bool(self._rows) or audit_reads.has_person_rows(self._connection, log)
        self._newest = {row["subject"]: row for row in reads.plans_of(self._connection, names)}

    def open(self, members: Json, seal: SealedPart, _line: bytes) -> tuple[bytes, str | None]:
        """Return the decrypted event, and its digest unless it is without words."""
        subject = members["subject"]
        if self._closed and (why := self._closed.get(subject) or self._closed.get(LEDGER)):
            raise KeyUnwrapError(why)
        placed = "sequence" in members
        key = self._vault.person(subject) if placed else self._vault.envelope(subject)
        if key is None:
            raise DecryptionError("no key with this kid")
        posted = seal.open(key)
        self.compared["seals"] += 1
        if not placed:
            return posted, None
        return posted, entry.digest_of(entry.salt_of(key, members["author"], members["id"]), posted)

    def column_differences(self, line: bytes) -> Iterable[tuple[str, str]]:
        """Return the columns that differ from the entry."""
        return [(name, detail) for name, detail in orjson.loads(line)]

    def check_stored_plans(self, person: PersonState, recorded: str) -> Found:
        """Compare stored plans with the folded one; those of other rules need only decrypt."""
        stored = self._plans.get(person.plan.subject)
        tables = stored.pop(person.sequence, None) if stored else None
        return self._stored(tables, person, recorded) if tables else ()

    def _stored(self, tables: list[str], person: PersonState, recorded: str) -> Found:
        subject = person.plan.subject
        for table in tables:
            row = self._row(table, subject, person.sequence)
            self.compared[table] += 1
            expected = {"recorded": recorded} if "recorded" in row else {}
            yield from self._compare(table, row, person, expected)
            try:
                same = plan_bytes(self._vault, row) == dump(person.plan)
            except DecryptionError as fault:
                yield "plan", f"{table}.plan", f"cannot be decrypted: {fault}"
                continue
            if not same and row["rules"] == RULES:
                yield "plan", f"{table}.plan", "differs"

    def _row(self, table: str, subject: str, sequence: int) -> Row:
        """Read one row. Snapshots are read one by one, since long streams have many large ones."""
        if table == "plans":
            return self._newest.pop(subject)
        return audit_reads.stored_plan(self._connection, table, subject, sequence)

    def check_person_row(self, person: PersonState) -> Found:
        """Compare the row of `people` with the stream, and report plans at other sequences."""
        subject = person.plan.subject
        for sequence, tables in self._plans.get(subject, {}).items():
            detail = f"stored at sequence {sequence}, which no entry has"
            yield "plan", f"{tables[0]}.sequence", detail
        for table in self.without:
            self.without[table] += person.sequence > 0 and subject not in self._has[table]
        if (row := self._rows.get(subject)) is None:
            if person.sequence and self._has_rows:  # an empty table was not rebuilt yet
                yield "person", "people.subject", "the row is missing; run 'firsthand rebuild'"
        else:
            self.compared["people"] += 1
            yield from self._compare("people", row, person, {"sequence": person.sequence})

    def _compare(
        self, table: str, row: Row, person: PersonState, expected: dict[str, Any]
    ) -> Found:
        code = "person" if table == "people" else "plan"
        expected = {"log": self._log, "planversion": person.plan.version, **expected}
        for name, value in expected.items():
            if row[name] != value:
                yield code, f"{table}.{name}", f"{row[name]}; the entries yield {value}"
