"""The engine of audit and replay: two passes over a log, in its order and then person by person.

The first pass reads entries in the log's order: their form, the tree, its tiles and every
checkpoint. It lays them on shelves by person, as their own bytes name them. The second folds one
shelf after another. So memory holds the people of one shelf at a time, however long the log is.
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
Read = Sequence[Any]  # index, leaf, and what the source knows besides
Found = Iterable[tuple[str, str, str]]  # code, field, detail
Aside = Iterable[tuple[str, str, str, str]]  # the same, and a person


class Source(Protocol):
    """Where a ledger is read from."""

    compared: Counter[str]

    @property
    def opening(self) -> EventOpener:
        """How its events are opened."""

    @property
    def logs(self) -> int:
        """How many logs it has."""

    def size(self, log: int, /) -> int:
        """About how many entries a log has."""

    def origin(self, log: int, /) -> str:
        """The name of the log."""

    def keys(self, log: int, /) -> list[str]:
        """The vkeys that may sign the log's checkpoints."""

    def entries(self, log: int, /) -> Iterable[Read]:
        """The log's entries, in order."""

    def line(self, each: Read, told: Json, /) -> bytes:
        """What the opening needs to hear of an entry."""

    def notes(self, log: int, /) -> Iterator[Note]:
        """Checkpoints that must be of the log, by size."""

    def newest(self, log: int, /) -> str:
        """The newest checkpoint that others are shown; ValueError if there is none."""

    def tile(self, wanted: FullTile, tile: Tile, log: int, /) -> Found:
        """What is wrong with a full tile."""

    def ended(self, log: int, tree: TreeBuilder, recorded: str, /) -> Found:
        """What is wrong with what stands at the end of the log."""

    def aside(self, log: int, holds: Callable[[str], bool]) -> Iterable[tuple[str, str, str, str]]:
        """(code, field, detail, person) of what belongs to nobody; `holds` knows the people."""

    def unreadable(self) -> Found:
        """Why reading it failed, where it is of a kind that cannot be read."""


class Audit:
    """Audits a source into one report. `outside` are checkpoints that somebody kept, by log;
    no entry may bear a time after `latest`; `tick` hears of progress: in each pass, of half an
    entry for each.
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
        self._folding = PersonChecks(self.report, source.opening, keep=keep)

    def everything(self) -> Report:
        """Every log, from its first entry, as far as it can be read."""
        with self._as_far_as_it_goes():
            self._every_log()
        self._count()
        return self.report

    def _every_log(self) -> None:
        for log in range(self._source.logs):
            size = self._source.size(log)
            with SpillByPerson(size) as shelves, DuplicateIds(size) as names:
                kept = self._outside.get(log, ())
                first = _FirstPass(self._source, log, self.report, kept, self._latest)
                first.run(shelves, names, self._tick)
                twice = names.find()
                for shelf in range(shelves.count):
                    self._folding.begin(log, shelves.names[shelf], twice)
                    for number, (index, leaf, line) in enumerate(shelves.take(shelf), 1):
                        self._folding.take(index, leaf, line)
                        if not number % WIDTH:
                            self._tick(WIDTH / 2)
                    self._folding.end()
                first.end(shelves.holds)

    @contextmanager
    def _as_far_as_it_goes(self) -> Iterator[None]:
        """What the source finds unreadable is a finding; any other fault is ours."""
        try:
            yield
        except (TypeError, ValueError, AttributeError):
            odd = list(self._source.unreadable())
            if not odd:
                raise
            for code, name, detail in odd:
                self.report.add(Finding(code, None, None, None, None, name, detail))

    def person(self, log: int, person: str, entries: Iterable[Read], first: dict[int, int]) -> None:
        """One person's entries; their log's tree is not looked at."""
        form = EntryFormat()
        with self._as_far_as_it_goes():
            self._folding.begin(log, [person], first)
            for each in entries:
                if (told := _form(self.report, form, log, each)) is not None:
                    self._folding.take(each[0], each[1], self._source.line(each, told))
            self._folding.end()
        self._count()

    def _count(self) -> None:
        report, source = self.report, self._source
        report.compared.update(source.compared)
        report.compared.update(source.opening.compared)
        report.compared["entries"] = report.entries


def _form(report: Report, form: EntryFormat, log: int, each: Read) -> Json | None:
    """The members of an entry, counted; None, and a finding, if it is not of the format."""
    report.entries += 1
    try:
        told = form.read(each[1])
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        detail = f"not an entry: {fault}"
        report.add(Finding("entry", log, each[0], person_of(each), None, "leaf", detail))
        return None
    report.verdicts[told.get("refusal") or told["verdict"]] += 1
    return told


def person_of(each: Read) -> str | None:
    """Whom the source says that an entry is about: a hint, for entries that cannot say."""
    return each[4] if len(each) > 4 else None


class _FirstPass:
    """A log in its own order."""

    def __init__(
        self, source: Source, log: int, report: Report, outside: Iterable[Note], latest: str
    ) -> None:
        self._latest = latest
        self._source, self._log, self._report = source, log, report
        self._keys = source.keys(log)
        self._notes = merge(source.notes(log), sorted(outside))
        self._tree = TreeBuilder()
        self._recorded = ""
        self._told = sha256()
        self._lines: list[str] = []
        self._next = next(self._notes, None)

    def run(
        self, shelves: SpillByPerson, names: DuplicateIds, tick: Callable[[float], None]
    ) -> None:
        """Read every entry, and lay it down for the second pass."""
        source, form, lines, following = self._source, EntryFormat(), self._lines, 0
        add = self._tree.add
        count, until, ticked = 0, self._milestone(), 0
        alone, recorded, run, refused = source.logs == 1, "", 0, 0
        for each in source.entries(self._log):
            index, leaf = each[0], each[1]
            if index != following:
                self._find("order", index, "index", f"{following} was next", person_of(each))
            following, count = index + 1, count + 1
            add(sha256(b"\x00" + leaf).digest())
            if count == until:
                until = self._milestone()
                tick((count - ticked) / 2)
                ticked = count
            if (told := _form(self._report, form, self._log, each)) is None:
                continue
            if told["recorded"] != recorded:
                self._report.course.add(recorded, run, refused)
                recorded, run, refused = told["recorded"], 0, 0
                self._follows(index, told)
            if told["received"] > self._latest:
                self._find("clock", index, "received", told["received"], told["subject"])
            subject, code = told["subject"], told.get("refusal", "")
            run += 1
            refused += code != ""
            lines.append(f"{index} {told['verdict']} {code}\n")
            names.put(hash((told["author"], told["id"])), index)
            if not alone and not shelves.holds(subject):
                self._belongs(index, subject)
            shelves.put(subject, index, leaf, source.line(each, told))
        self._report.course.add(recorded, run, refused)
        tick((count - ticked) / 2)

    def _milestone(self) -> int:
        """Hold full tiles and checkpoints of this size against the tree; the next size to do so."""
        self._told.update("".join(self._lines).encode())
        self._lines.clear()
        tree = self._tree
        if not tree.room:
            for wanted, tile in tree.full():
                self._found(self._source.tile(wanted, tile, self._log))
        while self._next is not None and self._next.size <= tree.size:
            self._compare(self._next, tree.frontier().root() if self._keys else b"")
            self._next = next(self._notes, None)
        full = tree.size + tree.room
        return full if self._next is None else min(full, self._next.size)

    def _compare(self, note: Note, root: bytes) -> None:
        """Hold a checkpoint against the tree of its size."""
        self._report.compared["checkpoints"] += 1
        try:
            size, signed = read_checkpoint(note.note, *self._keys)
        except ValueError as fault:
            self._find("checkpoint", None, note.where, f"not a checkpoint of this log: {fault}")
            return
        if size != note.size:
            self._find("checkpoint", None, note.where, f"is of {size} entries, not of {note.size}")
        elif size != self._tree.size:
            says = f"is of {size} entries; this log has {self._tree.size}"
            self._find("checkpoint", None, note.where, says)
        elif signed != root:
            says = f"signs another root than that of the first {size} entries"
            self._find("checkpoint", None, note.where, says)

    def _follows(self, index: int, told: Json) -> None:
        """Entries are recorded in their order, and not in the future."""
        if told["recorded"] > max(self._recorded, self._latest):
            self._find("clock", index, "recorded", told["recorded"], told["subject"])
        if told["recorded"] < self._recorded:
            detail = f"{told['recorded']}, before the entry before it"
            self._find("order", index, "recorded", detail, told["subject"])
        self._recorded = max(self._recorded, told["recorded"])

    def _belongs(self, index: int, subject: str) -> None:
        """Everything about a person is in one log."""
        if (log := partition_of(subject, self._source.logs)) != self._log:
            self._find("order", index, "subject", f"belongs in log {log}", subject)

    def end(self, holds: Callable[[str], bool]) -> None:
        """What can be said of the log only when all of it was read."""
        tree = self._tree
        while self._next is not None:
            self._compare(self._next, b"")
            self._next = next(self._notes, None)
        self._found(self._source.ended(self._log, tree, self._recorded))
        for code, name, detail, person in self._source.aside(self._log, holds):
            self._find(code, None, name, detail, person)
        self._told.update("".join(self._lines).encode())
        told = {"root": tree.frontier().root().hex(), "verdicts_sha256": self._told.hexdigest()}
        origin = self._source.origin(self._log)
        self._report.logs.append({"log": self._log, "origin": origin, "size": tree.size, **told})

    def _found(self, found: Found) -> None:
        for code, name, detail in found:
            self._find(code, None, name, detail)

    def _find(
        self, code: str, index: int | None, name: str, detail: str, person: str | None = None
    ) -> None:
        self._report.add(Finding(code, self._log, index, person, None, name, detail))
