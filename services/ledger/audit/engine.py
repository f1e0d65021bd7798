"""Audit engine: two passes over a log, first in the order of the log, then person by person.

The first pass checks entries in order: their format, the tree, its tiles and all checkpoints. It
partitions them by `subject` into temporary files. The second pass folds one file after another.
Memory therefore holds the people of one file at a time, however long the log is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from heapq import merge
from typing import Any, Protocol

from services.ledger.audit.entry_checks import EntryFormat
from services.ledger.audit.findings import Finding, Report
from services.ledger.audit.spill import DuplicateIds, SpillByPerson
from services.ledger.audit.stream_checks import EventOpener, PersonChecks
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.log.tiles import WIDTH, FullTile, Tile
from services.ledger.log.tree_builder import TreeBuilder
from shared.events.event import Json, partition_of

NEVER = "9999-12-31T23:59:59.999Z"
Read = Sequence[Any]  # index, leaf, and further values of the source
Found = Iterable[tuple[str, str, str]]  # code, field, detail
FoundOfPerson = Iterable[tuple[str, str, str, str]]  # the same, and a person


class Source(Protocol):
    """The ledger to audit."""

    compared: Counter[str]

    @property
    def opening(self) -> EventOpener:
        """The opener of its events."""

    @property
    def logs(self) -> int:
        """The number of its logs."""

    def size(self, log: int, /) -> int:
        """Return the approximate number of entries of a log."""

    def origin(self, log: int, /) -> str:
        """Return the name of the log."""

    def keys(self, log: int, /) -> list[str]:
        """Return the vkeys that may sign the log's checkpoints."""

    def entries(self, log: int, /) -> Iterable[Read]:
        """Yield the log's entries, in order."""

    def opening_data(self, row: Read, members: Json, /) -> bytes:
        """Return the data of an entry that the opener needs."""

    def checkpoints(self, log: int, /) -> Iterator[Note]:
        """Yield checkpoints that the log must be consistent with, by size."""

    def newest_checkpoint(self, log: int, /) -> str:
        """Return the newest published checkpoint; raise ValueError if it is missing."""

    def check_tile(self, expected: FullTile, tile: Tile, log: int, /) -> Found:
        """Yield the findings of a full tile."""

    def check_end(self, log: int, tree: TreeBuilder, recorded: str, /) -> Found:
        """Yield the findings at the end of the log: partial tiles, head."""

    def orphans(self, log: int, is_known: Callable[[str], bool]) -> FoundOfPerson:
        """Yield the findings of rows of people without entries; `is_known` tells who has some."""

    def read_errors(self) -> Found:
        """Yield findings that explain why reading failed."""


class Audit:
    """Audit of a source into one report.

    `outside` are known checkpoints by log. `latest` is the latest valid time of an entry. `tick` is
    called with progress: in both passes, with half the number of entries.
    """

    def __init__(
        self,
        source: Source,
        *,
        outside: dict[int, list[Note]] | None = None,
        keep: bool = False,
        latest: str = NEVER,
        tick: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.report = Report()
        self._source = source
        self._outside = outside or {}
        self._tick = tick
        self._latest = latest
        self._second = PersonChecks(self.report, source.opening, keep=keep)

    def everything(self) -> Report:
        """Audit all logs, from their first entry, as far as they can be read."""
        with self._read_errors_as_findings():
            self._every_log()
        self._count()
        return self.report

    def _every_log(self) -> None:
        for log in range(self._source.logs):
            size = self._source.size(log)
            with SpillByPerson(size) as spill, DuplicateIds(size) as ids:
                known = self._outside.get(log, ())
                first = _FirstPass(self._source, log, self.report, known, self._latest)
                first.run(spill, ids, self._tick)
                duplicates = ids.find()
                for part in range(spill.count):
                    self._second.begin(log, spill.names[part], duplicates)
                    for number, (index, leaf, data) in enumerate(spill.take(part), 1):
                        self._second.check(index, leaf, data)
                        if not number % WIDTH:
                            self._tick(WIDTH / 2)
                    self._second.end()
                first.end(spill.holds)

    @contextmanager
    def _read_errors_as_findings(self) -> Iterator[None]:
        """Report read errors that the source explains; re-raise all others."""
        try:
            yield
        except (TypeError, ValueError, AttributeError):
            errors = list(self._source.read_errors())
            if not errors:
                raise
            for code, name, detail in errors:
                self.report.add(Finding(code, None, None, None, None, name, detail))

    def person(self, log: int, person: str, entries: Iterable[Read], first: dict[int, int]) -> None:
        """Audit one person's entries, without the tree of their log."""
        parser = EntryFormat()
        with self._read_errors_as_findings():
            self._second.begin(log, [person], first)
            for row in entries:
                if (members := _parse(self.report, parser, log, row)) is not None:
                    data = self._source.opening_data(row, members)
                    self._second.check(row[0], row[1], data)
            self._second.end()
        self._count()

    def _count(self) -> None:
        report, source = self.report, self._source
        report.compared.update(source.compared)
        report.compared.update(source.opening.compared)
        report.compared["entries"] = report.entries


def _parse(report: Report, parser: EntryFormat, log: int, row: Read) -> Json | None:
    """Parse and count an entry; report a finding and return None if its format is invalid."""
    report.entries += 1
    try:
        members = parser.read(row[1])
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        detail = f"not an entry: {fault}"
        report.add(Finding("entry", log, row[0], person_of(row), None, "leaf", detail))
        return None
    report.verdicts[members.get("refusal") or members["verdict"]] += 1
    return members


def person_of(row: Read) -> str | None:
    """Return the person of an entry by the source's columns: a hint for invalid entries."""
    return row[4] if len(row) > 4 else None


class _FirstPass:
    """The pass over a log in its order."""

    def __init__(
        self, source: Source, log: int, report: Report, outside: Iterable[Note], latest: str
    ) -> None:
        self._latest = latest
        self._source, self._log, self._report = source, log, report
        self._keys = source.keys(log)
        self._checkpoints = merge(source.checkpoints(log), sorted(outside))
        self._tree = TreeBuilder()
        self._recorded = ""
        self._verdicts = sha256()
        self._lines: list[str] = []
        self._next = next(self._checkpoints, None)

    def run(self, spill: SpillByPerson, ids: DuplicateIds, tick: Callable[[float], None]) -> None:
        """Read all entries, check them in order, and spill them for the second pass."""
        source, parser, lines, following = self._source, EntryFormat(), self._lines, 0
        add = self._tree.add
        count, until, ticked = 0, self._milestone(), 0
        alone, recorded, run, refused = source.logs == 1, "", 0, 0
        for row in source.entries(self._log):
            index, leaf = row[0], row[1]
            if index != following:
                self._find("order", index, "index", f"{following} was next", person_of(row))
            following, count = index + 1, count + 1
            add(sha256(b"\x00" + leaf).digest())
            if count == until:
                until = self._milestone()
                tick((count - ticked) / 2)
                ticked = count
            if (members := _parse(self._report, parser, self._log, row)) is None:
                continue
            if members["recorded"] != recorded:
                self._report.course.add(recorded, run, refused)
                recorded, run, refused = members["recorded"], 0, 0
                self._check_time(index, members)
            if members["received"] > self._latest:
                self._find("clock", index, "received", members["received"], members["subject"])
            subject, code = members["subject"], members.get("refusal", "")
            run += 1
            refused += code != ""
            lines.append(f"{index} {members['verdict']} {code}\n")
            ids.put(hash((members["author"], members["id"])), index)
            if not alone and not spill.holds(subject):
                self._check_log(index, subject)
            spill.put(subject, index, leaf, source.opening_data(row, members))
        self._report.course.add(recorded, run, refused)
        tick((count - ticked) / 2)

    def _milestone(self) -> int:
        """Check the tiles and checkpoints of the present size; return the next size to check."""
        self._verdicts.update("".join(self._lines).encode())
        self._lines.clear()
        tree = self._tree
        if not tree.room:
            for full, tile in tree.full():
                self._add_findings(self._source.check_tile(full, tile, self._log))
        while self._next is not None and self._next.size <= tree.size:
            self._compare(self._next, tree.frontier().root() if self._keys else b"")
            self._next = next(self._checkpoints, None)
        next_full = tree.size + tree.room
        return next_full if self._next is None else min(next_full, self._next.size)

    def _compare(self, note: Note, root: bytes) -> None:
        """Compare a checkpoint with the tree of its size."""
        self._report.compared["checkpoints"] += 1
        try:
            size, signed = read_checkpoint(note.note, *self._keys)
        except ValueError as fault:
            self._find("checkpoint", None, note.where, f"not a checkpoint of this log: {fault}")
            return
        if size != note.size:
            self._find("checkpoint", None, note.where, f"is of {size} entries, not of {note.size}")
        elif size != self._tree.size:
            detail = f"is of {size} entries; this log has {self._tree.size}"
            self._find("checkpoint", None, note.where, detail)
        elif signed != root:
            detail = f"signs another root than that of the first {size} entries"
            self._find("checkpoint", None, note.where, detail)

    def _check_time(self, index: int, members: Json) -> None:
        """Check that entries are recorded in order, and not in the future."""
        if members["recorded"] > max(self._recorded, self._latest):
            self._find("clock", index, "recorded", members["recorded"], members["subject"])
        if members["recorded"] < self._recorded:
            detail = f"{members['recorded']}, earlier than the previous entry"
            self._find("order", index, "recorded", detail, members["subject"])
        self._recorded = max(self._recorded, members["recorded"])

    def _check_log(self, index: int, subject: str) -> None:
        """Check that the entry is in its person's log."""
        if (log := partition_of(subject, self._source.logs)) != self._log:
            self._find("order", index, "subject", f"belongs in log {log}", subject)

    def end(self, is_known: Callable[[str], bool]) -> None:
        """Check what requires the whole log."""
        tree = self._tree
        while self._next is not None:
            self._compare(self._next, b"")
            self._next = next(self._checkpoints, None)
        self._add_findings(self._source.check_end(self._log, tree, self._recorded))
        for code, name, detail, person in self._source.orphans(self._log, is_known):
            self._find(code, None, name, detail, person)
        self._verdicts.update("".join(self._lines).encode())
        digests = {
            "root": tree.frontier().root().hex(),
            "verdicts_sha256": self._verdicts.hexdigest(),
        }
        origin = self._source.origin(self._log)
        self._report.logs.append({"log": self._log, "origin": origin, "size": tree.size, **digests})

    def _add_findings(self, findings: Found) -> None:
        for code, name, detail in findings:
            self._find(code, None, name, detail)

    def _find(
        self, code: str, index: int | None, name: str, detail: str, person: str | None = None
    ) -> None:
        self._report.add(Finding(code, self._log, index, person, None, name, detail))
