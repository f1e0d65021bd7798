"""An export as a source: the folder that services/verify.py specifies, or the same packed.

Nothing else is read: no settings, no database, no key. What `opened.jsonl` holds is decided and
folded again, each person as far as all of their entries with standing are there.
"""

import gzip
import re
import shutil
import tarfile
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import orjson

from services.ledger.audit.engine import Aside, Found, Read
from services.ledger.audit.opened_events import OpenedEvents
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.log.signed_note import Checkpoint, Verifier, split_note
from services.ledger.log.tiles import ENTRIES, WIDTH, FullTile, Tile, read_bundle
from services.ledger.log.tree_builder import TreeBuilder
from shared.errors import SettingsError
from shared.events.event import Json, canonical

LARGEST = 256 * 65_537  # bytes of any file but opened.jsonl
MOST_TIMES = 100  # its size is as much as an archive may unpack to, and LARGEST
LONGEST_LINE = 131_072


class Gone(Exception):
    """A file of an export that cannot be read; the text says which, and why."""


class Head(NamedTuple):
    """What a log's checkpoint says; its signature is looked at when the tree has come so far."""

    origin: str
    size: int
    root: bytes


class AuditExportSource:
    """An export's folder. `given` vkeys count, where there are some, and not the export's own."""

    def __init__(self, folder: Path, given: list[str]) -> None:
        self.compared: Counter[str] = Counter()
        self.opening = OpenedEvents()
        self.found: list[tuple[int | None, str, str, str]] = []  # log, code, field, detail
        self._folder = folder
        self._given = given
        self._used = {"manifest.json"}
        self._opened = _lines(folder / "opened.jsonl")
        self._next, self._lines = next(self._opened, None), 0
        self._place = _place(self._next)
        names = sorted(each.name for each in (folder / "logs").glob("*"))
        if not names and not (folder / "manifest.json").exists():
            raise SettingsError(f"{folder}: neither manifest.json nor logs/: this is no export")
        self._heads = [self._head(log) for log in range(len(names))]
        self._keys = [self._log_keys(log) for log in range(len(names))]
        self._kept: list[int] = []
        self._stopped = False  # a log could not be read to its end

    @property
    def logs(self) -> int:
        """How many logs it has."""
        return len(self._heads)

    def size(self, log: int) -> int:
        """How many entries the log's checkpoint says that there are."""
        head = self._heads[log]
        there = self._folder / f"logs/{log}/tile/entries"
        bundles = sum(1 for path in there.rglob("*") if path.is_file()) if there.is_dir() else 0
        return min(head.size, bundles * WIDTH) if head else 0

    def origin(self, log: int) -> str:
        """The name of the log."""
        head = self._heads[log]
        return head.origin if head else ""

    def keys(self, log: int) -> list[str]:
        """The vkeys that may sign the log's checkpoints."""
        return self._keys[log]

    def _head(self, log: int) -> Head | None:
        try:
            note = self._read(f"logs/{log}/checkpoint").decode()
            told = Checkpoint.parse(split_note(note)[0])
        except (Gone, ValueError) as fault:
            self._find(log, "checkpoint", f"logs/{log}/checkpoint", f"none to go by: {fault}")
            return None
        return Head(told.origin, told.size, told.root)

    def _log_keys(self, log: int) -> list[str]:
        path, own = f"logs/{log}/log.vkey", list[str]()
        try:
            own = read_vkeys(self._read(path).decode())
        except (Gone, ValueError) as fault:
            self._find(log, "vkey", path, str(fault))
            own = []
        name = self.origin(log)
        if name and (odd := {_name(each) for each in own} - {name}):
            self._find(log, "vkey", path, f"holds a key of {min(odd)}, and the log is {name}")
        mine = [each for each in self._given if _name(each) == name]
        if self._given and not mine:
            self._find(log, "vkey", path, f"none of the keys given is of {name}")
        elif self._given and not {*mine} & {*own}:
            self._find(log, "vkey", path, "holds none of the keys given")
        return mine if self._given else own

    def entries(self, log: int) -> Iterator[Read]:
        """The log's entries up to its checkpoint, bundle by bundle, as far as they can be read."""
        head = self._heads[log]
        size = head.size if head else 0
        for at in range(0, size, WIDTH):
            tile = Tile(ENTRIES, at // WIDTH, min(WIDTH, size - at))
            path = f"logs/{log}/{tile.path}"
            try:
                leaves = _bundle(self._read(path), tile.width)
            except (Gone, ValueError) as fault:
                self._find(log, "file", path, f"{fault}; the log is read no further")
                self._stopped = True
                return
            for index, leaf in enumerate(leaves, at):
                yield index, leaf, log

    def line(self, each: Read, _told: Json) -> bytes:
        """The line of opened.jsonl of an entry, if it is the next."""
        if self._next is None or self._place != (each[2], each[0]):
            return b""
        line = self._next
        self._next = next(self._opened, None)
        self._place = _place(self._next)
        self._lines += 1
        return line

    def notes(self, log: int) -> Iterator[Note]:
        """The log's checkpoint, and those that were kept."""
        folder = self._folder / f"logs/{log}/checkpoints"
        names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
        self._kept.append(len(names))
        sizes = {int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)}
        for name in sorted(set(names) - {str(each) for each in sizes}):
            self._find(log, "file", f"logs/{log}/checkpoints/{name}", "is named as no size is")
            self._used.add(f"logs/{log}/checkpoints/{name}")
        head = self._heads[log]
        paths = [(size, f"logs/{log}/checkpoints/{size}") for size in sorted(sizes)]
        whole = [(head.size, f"logs/{log}/checkpoint")] if head else []
        for size, path in sorted(paths + whole):
            try:
                yield Note(size, path, self._read(path).decode())
            except (Gone, ValueError) as fault:
                self._find(log, "file", path, str(fault))

    def newest(self, log: int) -> str:
        """The log's checkpoint; ValueError if it cannot be read."""
        try:
            return self._read(f"logs/{log}/checkpoint").decode()
        except Gone as fault:
            raise ValueError(str(fault)) from None

    def tile(self, wanted: FullTile, tile: Tile, log: int) -> Found:
        """A file of hashes that differs from those of the entries."""
        yield from self._compare(log, tile, wanted.hashes)

    def _compare(self, log: int, tile: Tile, hashes: bytes) -> Found:
        path = f"logs/{log}/{tile.path}"
        try:
            self.compared["tiles"] += 1
            if self._read(path) != hashes:
                yield "tile", path, "holds other hashes than the entries have"
        except Gone as fault:
            yield "file", path, str(fault)

    def ended(self, log: int, tree: TreeBuilder, _recorded: str) -> Found:
        """The tiles that are not full; if the log could be read no further, they are no use."""
        head = self._heads[log]
        if head and head.size == tree.size:
            for tile, hashes in tree.partial():
                yield from self._compare(log, tile, hashes)

    def aside(self, _log: int, _holds: Callable[[str], bool]) -> Aside:
        """Nothing is kept of people in an export."""
        return ()

    def unreadable(self) -> Found:
        """What cannot be read of an export was found by then."""
        return ()

    def close(self) -> None:
        """What is wrong with the export as a whole, now that its logs were read: into `found`."""
        listed = [
            {
                "kept": kept,
                "log": log,
                "origin": head.origin,
                "root": b64encode(head.root).decode(),
                "size": head.size,
            }
            for log, (head, kept) in enumerate(zip(self._heads, self._kept, strict=False))
            if head
        ]
        unread = [each for each in (self._next,) if each is not None]
        lines = self._lines + len(unread) + sum(1 for _ in self._opened)
        wanted = canonical({"logs": listed, "opened": lines, "v": 1})
        try:
            if self._read("manifest.json") != wanted:
                detail = f"does not say what is here: {wanted.decode()}"
                self._find(None, "manifest", "manifest.json", detail)
        except Gone as fault:
            self._find(None, "file", "manifest.json", str(fault))
        if unread and not self._stopped:
            detail = f"line {self._lines + 1} is not that of a next entry"
            self._find(None, "opened", "opened.jsonl", detail)
        for path in sorted((self._folder / "logs").rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if not path.is_dir() and name not in self._used:
                self._find(None, "file", name, "is no part of an export of this size")

    def _read(self, path: str) -> bytes:
        self._used.add(path)
        whole = self._folder / path
        if whole.exists() and not whole.is_file():
            raise Gone("is no plain file")
        try:
            with whole.open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as fault:
            raise Gone(f"cannot be read: {fault.strerror}") from None
        if len(raw) > LARGEST:
            raise Gone("is larger than any such file can be")
        return raw

    def _find(self, log: int | None, code: str, name: str, detail: str) -> None:
        self.found.append((log, code, name, detail))


def _name(vkey: str) -> str:
    return vkey.partition("+")[0]


def read_vkeys(text: str) -> list[str]:
    """The keys of a log.vkey; ValueError if it is none."""
    keys = text.split("\n")
    if keys.pop() or not keys:
        raise ValueError("not a list of keys, one a line")
    for each in keys:
        Verifier.parse(each)
    return keys


def _bundle(raw: bytes, width: int) -> list[bytes]:
    leaves = read_bundle(raw)
    if len(leaves) != width:
        raise ValueError(f"{len(leaves)} entries, not {width}")
    return leaves


def _place(line: bytes | None) -> tuple[object, object] | None:
    """The log and index that a line of opened.jsonl names; None if it names none."""
    try:
        told = orjson.loads(line or b"")
        return told["log"], told["index"]
    except (ValueError, KeyError, TypeError):
        return None


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of opened.jsonl; one that does not end, or never ends, is none of an entry."""
    if path.is_file():
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line[:-1] if line.endswith(b"\n") else b"{}"


def _within(tar: tarfile.TarFile, packed: int) -> Iterator[tarfile.TarInfo]:
    """An archive's files; ValueError if they are out of all proportion to its size."""
    room = MOST_TIMES * packed + LARGEST
    for member in tar:
        room -= member.size + tarfile.BLOCKSIZE
        if room < 0 or member.size < 0:
            raise ValueError(f"it unpacks to more than {MOST_TIMES} times its size")
        yield member


def _place_of(member: tarfile.TarInfo, folder: Path) -> Path | None:
    """Where a member goes below `folder`; None if its name leads out of it or its type is wrong."""
    name = PurePosixPath(member.name)
    plain = member.isdir() or (member.isreg() and not member.issparse())
    return None if not plain or name.is_absolute() or ".." in name.parts else folder / name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Write a member's bytes. `TarFile.extract` is not used: its `filter` came with 3.11.4."""
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
    elif packed := tar.extractfile(member):
        place.parent.mkdir(parents=True, exist_ok=True)
        with packed, place.open("xb") as file:
            shutil.copyfileobj(packed, file)


def unpack(archive: Path, folder: Path) -> tuple[Path, list[tuple[None, str, str, str]]]:
    """An archive's files in a folder, and what is wrong with the archive."""
    found: list[tuple[None, str, str, str]] = []
    try:
        with gzip.open(archive) as whole, tarfile.open(fileobj=whole, mode="r|") as tar:
            for member in _within(tar, archive.stat().st_size):
                place = _place_of(member, folder)
                if place is None or place.is_file():
                    says = "is no plain file, is there twice, or leads out of the export"
                    found.append((None, "file", member.name, says))
                else:
                    _write(tar, member, place)
            while whole.read(LARGEST):  # to its checksum
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as fault:
        found.append(
            (None, "file", archive.name, f"is cut off, no archive, or too much of one: {fault}")
        )
    inside = [each for each in folder.iterdir() if each.is_dir()]
    return folder if (folder / "logs").exists() or len(inside) != 1 else inside[0], found
