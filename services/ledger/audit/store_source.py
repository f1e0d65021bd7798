"""A live store as a source: its entries, and all that stands beside them, opened by the vault."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from services.ledger.audit.engine import Aside, Found, Read
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
    """What a connection sees at one moment. `vkeys` are the ledger's own keys, by log; `given` ones
    count in their place. `published` are watermarks from outside the store, by log; None: not asked
    for, nor for heads, since entries and keys are enough for a replay.
    """

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        vkeys: Sequence[list[str]],
        given: Sequence[str] = (),
        published: Mapping[int, str] | None = None,
    ) -> None:
        self.found: list[tuple[int, str]] = []  # log, what is wrong with the keys given
        self.compared: Counter[str] = Counter()
        self.opening = VaultOpener(connection, vault)
        self._connection = connection
        self._own = vkeys
        self._vkeys = [self._chosen(log, given) for log in range(len(vkeys))]
        self._published = published
        self._tiles = 0

    def _chosen(self, log: int, given: Sequence[str]) -> list[str]:
        """The keys that count for a log: those given, where there are some."""
        if not given:
            return self._own[log]
        chosen = [each for each in given if each.partition("+")[0] == self.origin(log)]
        if not {*chosen} & {*self._own[log]}:
            self.found.append((log, f"none of the keys given signs {self.origin(log)}"))
        return chosen

    @property
    def logs(self) -> int:
        """How many logs it has."""
        return len(self._vkeys)

    def size(self, log: int) -> int:
        """How many entries a log has, by its newest."""
        return reads.log_size(self._connection, log)

    def origin(self, log: int) -> str:
        """The name of the log, which is its keys'."""
        return self._own[log][0].partition("+")[0]

    def keys(self, log: int) -> list[str]:
        """The vkeys that may sign the log's checkpoints."""
        return self._vkeys[log]

    def entries(self, log: int) -> Iterable[Read]:
        """The log's entries, in order."""
        self._tiles = 0
        return audit_reads.entries_in_order(self._connection, log)

    def line(self, each: Read, told: Json) -> bytes:
        """Where the columns beside an entry differ from it: JSON of [[field, detail], …]."""
        self.compared["columns"] += 1
        wanted = (
            told["id"],
            told["author"],
            told["subject"],
            told["kind"],
            told["verdict"],
            told.get("refusal"),
            told.get("sequence"),
            told.get("planversion"),
            told["recorded"],
            told["digest"],
        )
        there = each[2:]
        if there == wanted:
            return b""
        pairs = zip(entry.COLUMNS, there, wanted, strict=True)
        says = [(name, f"{a!r}; the entry says {b!r}") for name, a, b in pairs if a != b]
        return orjson.dumps(says)

    def notes(self, log: int) -> Iterator[Note]:
        """The checkpoint that was published last, and those that were kept."""
        waiting = [Note(size_of(each), "published", each) for each in self._outside(log)]
        for row in archived_checkpoints(self._connection, log):
            if waiting and waiting[0].size <= row["size"]:
                yield waiting.pop()
            yield Note(row["size"], f"checkpoints.{row['size']}", row["checkpoint"])
        yield from waiting

    def newest(self, log: int) -> str:
        """The checkpoint that was published last; of the same size, the most cosigned kept one."""
        kept = last_archived(self._connection, log)
        notes = [*self._outside(log), *([kept["checkpoint"]] if kept else [])]
        return max(notes, key=lambda each: (size_of(each), each.count("\n")), default="")

    def _outside(self, log: int) -> list[str]:
        return [note] if (note := (self._published or {}).get(log)) else []

    def tile(self, wanted: FullTile, tile: Tile, log: int) -> Found:
        """A kept tile that differs. One that is not kept is made when it is asked for."""
        kept = stored_tile(self._connection, log, wanted.level, wanted.number)
        if kept is None:
            return
        self._tiles += 1
        for name in ("root", "hashes"):
            if getattr(kept, name) != getattr(wanted, name):
                yield "tile", f"tiles.{name}", f"{tile.path} differs from what the entries say"

    def ended(self, log: int, tree: TreeBuilder, recorded: str) -> Found:
        """The head, and tiles that are too many."""
        self.compared["tiles"] += self._tiles
        if (found := count_tiles(self._connection, log)) > self._tiles:
            yield "tile", "tiles.index", f"{found - self._tiles} kept that the entries do not fill"
        yield from self._head(log, tree, recorded)
        if log == self.logs - 1:
            yield from self._ledger(log)

    def _ledger(self, log: int) -> Found:
        row = reads.ledger_row(self._connection)
        if row is None:
            yield "ledger", "ledger.format", "the row that says what the ledger is is missing"
            return
        origin = self.origin(log).removesuffix(f"/{log}")
        wanted = {"format": FORMAT, "partitions": self.logs, "origin": origin}
        for name, value in wanted.items():
            if row[name] != value:
                yield "ledger", f"ledger.{name}", f"{row[name]}; keys and settings say {value}"

    def _head(self, log: int, tree: TreeBuilder, recorded: str) -> Found:
        head = reads.head(self._connection, log)
        if head is None:
            if self._published is not None:
                yield "head", "heads.log", "the log has none; restore a copy of the database"
            return
        self.compared["heads"] += 1
        whole = tree.frontier()
        wanted = {"size": whole.size, "frontier": whole.to_bytes(), "root": whole.root()}
        for name, value in {**wanted, "recorded": recorded or head.recorded}.items():
            if getattr(head, name) != value:
                yield "head", f"heads.{name}", "differs from what the entries say"
        try:
            if read_checkpoint(head.checkpoint, *self._vkeys[log]) != (whole.size, whole.root()):
                yield "head", "heads.checkpoint", "signs another head"
        except ValueError as fault:
            yield "head", "heads.checkpoint", f"not a checkpoint of this log: {fault}"

    def aside(self, log: int, holds: Callable[[str], bool]) -> Aside:
        """(code, field, detail, person) of rows of nobody, or of a log that is none."""
        for table, subject in audit_reads.subjects(self._connection):
            if not holds(subject) and partition_of(subject, self.logs) == log:
                code = "person" if table == "people" else "plan"
                yield code, f"{table}.subject", "no entry is about them", subject
        if log == self.logs - 1:
            for subject, number in audit_reads.rows_of_unknown_logs(self._connection, self.logs):
                detail = f"{number}; this ledger has {self.logs} log(s)"
                yield "order", "entries.log", detail, subject

    def unreadable(self) -> Found:
        """Columns that hold what they cannot."""
        for name, rows, held in audit_reads.mistyped(self._connection):
            detail = (
                f"{rows} row(s) hold something else than {held}; the database was read no further"
            )
            yield "ledger", name, detail


def size_of(note: str) -> int:
    """The size that a checkpoint names; 0 if it is none, which is found when it is read."""
    try:
        return Checkpoint.parse(split_note(note)[0]).size
    except ValueError:
        return 0


class VaultOpener:
    """Opens events with the vault's keys, and compares what is kept of people."""

    code = "sealed"

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self.compared: Counter[str] = Counter()
        self.without = {"plans": 0, "snapshots": 0}  # people of whom the table holds nothing
        self._connection = connection
        self._vault = vault
        self._names: list[str] = []

    def begin(self, log: int, people: Iterable[str]) -> None:
        """Unwrap these people's keys, and look up what is stored of them; those before are over."""
        for name in self._names:
            self._vault.forget(name)
        self._log, self._closed = log, dict[str, str]()
        names = self._names = list(people)
        wanted = names if self._vault.is_open else [LEDGER, *names]
        for row in reads.keys_of(self._connection, wanted):
            try:
                self._vault.remember(row["subject"], self._vault.unwrap(row["kid"], row["wrapped"]))
            except KeyUnwrapError as fault:
                self._closed[row["subject"]] = str(fault)
        self._plans = audit_reads.stored_plans(self._connection, names)
        stored = self._plans.items()
        self._has = {
            table: {name for name, kept in stored if any(table in each for each in kept.values())}
            for table in self.without
        }
        self._rows = reads.people_of(self._connection, names)
        self._keeps = bool(self._rows) or audit_reads.keeps_people(self._connection, log)
        self._newest = {row["subject"]: row for row in reads.plans_of(self._connection, names)}

    def open(self, told: Json, seal: SealedPart, _line: bytes) -> tuple[bytes, str | None]:
        """The event, and the digest of one that is whole."""
        subject = told["subject"]
        if self._closed and (why := self._closed.get(subject) or self._closed.get(LEDGER)):
            raise KeyUnwrapError(why)
        placed = "sequence" in told
        key = self._vault.person(subject) if placed else self._vault.envelope(subject)
        if key is None:
            raise DecryptionError("no key with this kid")
        posted = seal.open(key)
        self.compared["seals"] += 1
        if not placed:
            return posted, None
        return posted, entry.digest_of(entry.salt_of(key, told["author"], told["id"]), posted)

    def beside(self, line: bytes) -> Iterable[tuple[str, str]]:
        """The columns that differ."""
        return [(name, detail) for name, detail in orjson.loads(line)]

    def at(self, person: PersonState, recorded: str) -> Found:
        """Compare stored plans with the folded one; one of other rules only has to open."""
        stored = self._plans.get(person.plan.subject)
        tables = stored.pop(person.sequence, None) if stored else None
        return self._stored(tables, person, recorded) if tables else ()

    def _stored(self, tables: list[str], person: PersonState, recorded: str) -> Found:
        subject = person.plan.subject
        for table in tables:
            row = self._row(table, subject, person.sequence)
            self.compared[table] += 1
            wanted = {"recorded": recorded} if "recorded" in row else {}
            yield from self._compare(table, row, person, wanted)
            try:
                same = plan_bytes(self._vault, row) == dump(person.plan)
            except DecryptionError as fault:
                yield "plan", f"{table}.plan", f"does not open: {fault}"
                continue
            if not same and row["rules"] == RULES:
                yield "plan", f"{table}.plan", "differs"

    def _row(self, table: str, subject: str, sequence: int) -> Row:
        """Snapshots are read one by one: a long stream has many, and each is a whole plan."""
        if table == "plans":
            return self._newest.pop(subject)
        return audit_reads.stored_plan(self._connection, table, subject, sequence)

    def end(self, person: PersonState) -> Found:
        """Where a person's stream stands, and plans of where it never stood."""
        subject = person.plan.subject
        for sequence, tables in self._plans.get(subject, {}).items():
            detail = f"stored at sequence {sequence}, which no entry reaches"
            yield "plan", f"{tables[0]}.sequence", detail
        for table in self.without:
            self.without[table] += person.sequence > 0 and subject not in self._has[table]
        if (row := self._rows.get(subject)) is None:
            if person.sequence and self._keeps:  # rows of nobody at all are not rebuilt yet
                yield "person", "people.subject", "there is no row of them; run 'firsthand rebuild'"
        else:
            self.compared["people"] += 1
            yield from self._compare("people", row, person, {"sequence": person.sequence})

    def _compare(self, table: str, row: Row, person: PersonState, wanted: dict[str, Any]) -> Found:
        code = "person" if table == "people" else "plan"
        wanted = {"log": self._log, "planversion": person.plan.version, **wanted}
        for name, value in wanted.items():
            if row[name] != value:
                yield code, f"{table}.{name}", f"{row[name]}; the entries say {value}"
