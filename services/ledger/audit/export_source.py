"""Export as an audit source: the folder that services/verify.py specifies, or its archive.

Nothing else is read: no settings, no database, no key. The events of `opened.jsonl` are decided and
folded again, for every person up to the first entry with standing that it lacks.
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

from services.ledger.audit.engine import Found, FoundOfPerson, Read
from services.ledger.audit.opened_events import OpenedEvents
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.log.signed_note import Checkpoint, Verifier, split_note
from services.ledger.log.tiles import ENTRIES, WIDTH, FullTile, Tile, read_bundle
from services.ledger.log.tree_builder import TreeBuilder
from shared.errors import SettingsError
from shared.events.event import Json, canonical

LARGEST = 256 * 65_537  # bytes of any file except opened.jsonl
MOST_TIMES = 100  # an archive may unpack to this multiple of its size, plus LARGEST
LONGEST_LINE = 131_072


class UnreadableFile(Exception):
    """A file of an export that cannot be read; the text is the reason."""


class Head(NamedTuple):
    """A log's head by its checkpoint; the signature is verified when the tree has this size."""

    origin: str
    size: int
    root: bytes


class AuditExportSource:
    """An export's folder. `vkeys`, if any, replace the export's own keys."""

    def __init__(self, folder: Path, vkeys: list[str]) -> None:
        self.compared: Counter[str] = Counter()
        self.opening = OpenedEvents()
        self.findings: list[tuple[int | None, str, str, str]] = []  # log, code, field, detail
        self._folder = folder
        self._vkeys = vkeys
        self._used = {"manifest.json"}
        self._opened = _lines(folder / "opened.jsonl")
        self._next, self._lines = next(self._opened, None), 0
        self._position = _position(self._next)
        names = sorted(path.name for path in (folder / "logs").glob("*"))
        if not names and not (folder / "manifest.json").exists():
            raise SettingsError(f"{folder}: not an export: neither manifest.json nor logs/")
        self._heads = [self._head(log) for log in range(len(names))]
        self._keys = [self._log_keys(log) for log in range(len(names))]
        self._archived: list[int] = []  # by log, the number of archived checkpoints
        self._stopped = False  # a log could not be read to its end

    @property
    def logs(self) -> int:
        """The number of its logs."""
        return len(self._heads)

    def size(self, log: int) -> int:
        """Return the number of entries by the log's checkpoint, or by its files if that is less."""
        head = self._heads[log]
        folder = self._folder / f"logs/{log}/tile/entries"
        bundles = sum(1 for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
        return min(head.size, bundles * WIDTH) if head else 0

    def origin(self, log: int) -> str:
        """Return the name of the log."""
        head = self._heads[log]
        return head.origin if head else ""

    def keys(self, log: int) -> list[str]:
        """Return the vkeys that may sign the log's checkpoints."""
        return self._keys[log]

    def _head(self, log: int) -> Head | None:
        try:
            note = self._read(f"logs/{log}/checkpoint").decode()
            checkpoint = Checkpoint.parse(split_note(note)[0])
        except (UnreadableFile, ValueError) as fault:
            self._find(log, "checkpoint", f"logs/{log}/checkpoint", f"unusable: {fault}")
            return None
        return Head(checkpoint.origin, checkpoint.size, checkpoint.root)

    def _log_keys(self, log: int) -> list[str]:
        path, exported = f"logs/{log}/log.vkey", list[str]()
        try:
            exported = read_vkeys(self._read(path).decode())
        except (UnreadableFile, ValueError) as fault:
            self._find(log, "vkey", path, str(fault))
        name = self.origin(log)
        if name and (others := {_name(key) for key in exported} - {name}):
            self._find(log, "vkey", path, f"has a key of {min(others)}, but the log is {name}")
        expected = [key for key in self._vkeys if _name(key) == name]
        if self._vkeys and not expected:
            self._find(log, "vkey", path, f"none of the expected keys is of {name}")
        elif self._vkeys and not {*expected} & {*exported}:
            self._find(log, "vkey", path, "has none of the expected keys")
        return expected if self._vkeys else exported

    def entries(self, log: int) -> Iterator[Read]:
        """Yield the log's entries up to its checkpoint, as far as its bundles can be read."""
        head = self._heads[log]
        size = head.size if head else 0
        for at in range(0, size, WIDTH):
            tile = Tile(ENTRIES, at // WIDTH, min(WIDTH, size - at))
            path = f"logs/{log}/{tile.path}"
            try:
                leaves = _bundle(self._read(path), tile.width)
            except (UnreadableFile, ValueError) as fault:
                self._find(log, "file", path, f"{fault}; the log is read no further")
                self._stopped = True
                return
            for index, leaf in enumerate(leaves, at):
                yield index, leaf, log

    def opening_data(self, row: Read, _members: Json) -> bytes:
        """Return the entry's line of opened.jsonl; empty if the next line is another entry's."""
        if self._next is None or self._position != (row[2], row[0]):
            return b""
        line = self._next
        self._next = next(self._opened, None)
        self._position = _position(self._next)
        self._lines += 1
        return line

    def checkpoints(self, log: int) -> Iterator[Note]:
        """Yield the log's checkpoint and the archived ones, by size."""
        folder = self._folder / f"logs/{log}/checkpoints"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        self._archived.append(len(names))
        sizes = {int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)}
        for name in sorted(set(names) - {str(size) for size in sizes}):
            self._find(log, "file", f"logs/{log}/checkpoints/{name}", "the name is not a size")
            self._used.add(f"logs/{log}/checkpoints/{name}")
        head = self._heads[log]
        paths = [(size, f"logs/{log}/checkpoints/{size}") for size in sorted(sizes)]
        whole = [(head.size, f"logs/{log}/checkpoint")] if head else []
        for size, path in sorted(paths + whole):
            try:
                yield Note(size, path, self._read(path).decode())
            except (UnreadableFile, ValueError) as fault:
                self._find(log, "file", path, str(fault))

    def newest_checkpoint(self, log: int) -> str:
        """Return the log's checkpoint; raise ValueError if it cannot be read."""
        try:
            return self._read(f"logs/{log}/checkpoint").decode()
        except UnreadableFile as fault:
            raise ValueError(str(fault)) from None

    def check_tile(self, expected: FullTile, tile: Tile, log: int) -> Found:
        """Compare a full tile's file with the entries."""
        yield from self._compare(log, tile, expected.hashes)

    def _compare(self, log: int, tile: Tile, hashes: bytes) -> Found:
        path = f"logs/{log}/{tile.path}"
        try:
            self.compared["tiles"] += 1
            if self._read(path) != hashes:
                yield "tile", path, "has other hashes than the entries"
        except UnreadableFile as fault:
            yield "file", path, str(fault)

    def check_end(self, log: int, tree: TreeBuilder, _recorded: str) -> Found:
        """Compare the partial tiles with the entries, if all entries were read."""
        head = self._heads[log]
        if head and head.size == tree.size:
            for tile, hashes in tree.partial():
                yield from self._compare(log, tile, hashes)

    def orphans(self, _log: int, _is_known: Callable[[str], bool]) -> FoundOfPerson:
        """Return nothing: an export has no rows of people."""
        return ()

    def read_errors(self) -> Found:
        """Return nothing: unreadable files were reported already."""
        return ()

    def close(self) -> None:
        """Add findings about the export as a whole to `findings`, after its logs were read."""
        listed = [
            {
                "kept": archived,
                "log": log,
                "origin": head.origin,
                "root": b64encode(head.root).decode(),
                "size": head.size,
            }
            for log, (head, archived) in enumerate(zip(self._heads, self._archived, strict=False))
            if head
        ]
        unread = self._next is not None
        lines = self._lines + unread + sum(1 for _ in self._opened)
        expected = canonical({"logs": listed, "opened": lines, "v": 1})
        try:
            if self._read("manifest.json") != expected:
                detail = f"does not match the files: {expected.decode()}"
                self._find(None, "manifest", "manifest.json", detail)
        except UnreadableFile as fault:
            self._find(None, "file", "manifest.json", str(fault))
        if unread and not self._stopped:
            detail = f"line {self._lines + 1} is not of a later entry"
            self._find(None, "opened", "opened.jsonl", detail)
        for path in sorted((self._folder / "logs").rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if not path.is_dir() and name not in self._used:
                self._find(None, "file", name, "is not part of an export of this size")

    def _read(self, path: str) -> bytes:
        self._used.add(path)
        file_path = self._folder / path
        if file_path.exists() and not file_path.is_file():
            raise UnreadableFile("is not a regular file")
        try:
            with file_path.open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as fault:
            raise UnreadableFile(f"cannot be read: {fault.strerror}") from None
        if len(raw) > LARGEST:
            raise UnreadableFile("is too large for such a file")
        return raw

    def _find(self, log: int | None, code: str, name: str, detail: str) -> None:
        self.findings.append((log, code, name, detail))


def _name(vkey: str) -> str:
    return vkey.partition("+")[0]


def read_vkeys(text: str) -> list[str]:
    """Parse a log.vkey file; raise ValueError if it is invalid."""
    keys = text.split("\n")
    if keys.pop() or not keys:
        raise ValueError("not a list of keys, one a line")
    for key in keys:
        Verifier.parse(key)
    return keys


def _bundle(raw: bytes, width: int) -> list[bytes]:
    leaves = read_bundle(raw)
    if len(leaves) != width:
        raise ValueError(f"{len(leaves)} entries, not {width}")
    return leaves


def _position(line: bytes | None) -> tuple[object, object] | None:
    """Return the log and index of a line of opened.jsonl; None if it is invalid."""
    try:
        members = orjson.loads(line or b"")
        return members["log"], members["index"]
    except (ValueError, KeyError, TypeError):
        return None


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of opened.jsonl; a truncated or overlong one as an invalid line."""
    if path.is_file():
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line[:-1] if line.endswith(b"\n") else b"{}"


def _members(tar: tarfile.TarFile, packed: int) -> Iterator[tarfile.TarInfo]:
    """Yield an archive's files; raise ValueError if it unpacks to far more than its size."""
    room = MOST_TIMES * packed + LARGEST
    for member in tar:
        room -= member.size + tarfile.BLOCKSIZE
        if room < 0 or member.size < 0:
            raise ValueError(f"unpacks to more than {MOST_TIMES} times its size")
        yield member


def _target_of(member: tarfile.TarInfo, folder: Path) -> Path | None:
    """Return a member's path below `folder`; None if its name leaves it or its type is wrong."""
    name = PurePosixPath(member.name)
    is_plain = member.isdir() or (member.isreg() and not member.issparse())
    return None if not is_plain or name.is_absolute() or ".." in name.parts else folder / name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write a member's bytes. (`TarFile.extract` has its `filter` only since 3.11.4.)"""
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif packed := tar.extractfile(member):
        target.parent.mkdir(parents=True, exist_ok=True)
        with packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file)


def unpack(archive: Path, folder: Path) -> tuple[Path, list[tuple[None, str, str, str]]]:
    """Unpack an archive; return the export's folder and findings about the archive."""
    findings: list[tuple[None, str, str, str]] = []
    try:
        with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for member in _members(tar, archive.stat().st_size):
                target = _target_of(member, folder)
                if target is None or target.is_file():
                    detail = "is not a regular file, is a duplicate, or leaves the folder"
                    findings.append((None, "file", member.name, detail))
                else:
                    _write(tar, member, target)
            while packed.read(LARGEST):  # to its checksum
                pass
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as fault:
        findings.append(
            (None, "file", archive.name, f"is truncated, not an archive, or too large: {fault}")
        )
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return folder if (folder / "logs").exists() or len(inside) != 1 else inside[0], findings
