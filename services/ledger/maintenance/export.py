"""Export of a ledger: every log as files, at exactly one published checkpoint, without a pause.

services/verify.py specifies the format. The files come from a source that returns bytes by path, as
the ledger serves them below /logs/<n>/: the store, or a ledger over HTTP (export_sources.py). What
a checkpoint signs never changes, so nothing is locked. Two exports of one checkpoint have the same
files, and the same bytes as `.tar.gz`.

Memory holds one file at a time. An export contains no keys.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Protocol

from services.ledger.log.signed_note import read_checkpoint
from services.ledger.log.tiles import ENTRIES, Tile, read_bundle, read_tile, tiles_of
from services.ledger.maintenance.archive_writer import Sink
from shared.errors import Unavailable
from shared.events.event import Json, canonical

IN_MEMORY = 1 << 20  # bytes of opened lines; more are spooled to a temporary file


class Source(Protocol):
    """A reader of the files of a ledger's logs."""

    def read(self, log: int, path: str) -> bytes | None:
        """Return the bytes at a path below /logs/<log>/; None if there is no such log."""

    def archived(self, log: int, /) -> Iterable[tuple[int, str]]:
        """Yield archived checkpoints, one a size, smallest first; none if not available."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The exported head of a log, as in the manifest; `keys` are the log's, a line each."""

    log: int
    size: int
    root: bytes
    origin: str
    keys: str
    checkpoint: str

    def manifest(self, archived: int) -> Json:
        """Return the log's member of the manifest."""
        members = {"kept": archived, "log": self.log, "origin": self.origin, "size": self.size}
        return members | {"root": b64encode(self.root).decode()}


def heads(source: Source) -> list[Exported]:
    """Return the published heads to export; raise Unavailable if there are none."""
    logs: list[Exported] = []
    while (note := source.read(len(logs), "checkpoint")) is not None:
        logs.append(_head(len(logs), note, source.read(len(logs), "vkey") or b""))
    if not logs:
        raise Unavailable("There is no log to export.")
    return logs


def _head(log: int, note: bytes, keys: bytes) -> Exported:
    try:
        text = note.decode()
        size, root = read_checkpoint(text, *keys.decode().split())
    except ValueError as fault:
        raise Unavailable(f"Log {log} serves an invalid checkpoint: {fault}.") from None
    return Exported(log, size, root, text.partition("\n")[0], keys.decode(), text)


def export(
    source: Source,
    logs: list[Exported],
    sink: Sink,
    opened: Iterable[Json] = (),
    tick: Callable[[int], None] = lambda _: None,
    held: Iterable[Json] = (),
) -> Json:
    """Write an export of these heads; return its manifest. `tick` gets numbers of entries.

    `opened` are the lines of opened.jsonl, ordered and within these heads; `held` those of
    held.jsonl, outside the logs, since no checkpoint covers messages that are not recorded.
    """
    in_order = sorted(logs, key=lambda head: str(head.log))  # as an archive sorts its names
    archived = {head.log: _log(source, head, sink, tick) for head in in_order}
    if held_lines := b"".join(canonical(line) + b"\n" for line in held):
        sink.put("held.jsonl", held_lines)
    with SpooledTemporaryFile(max_size=IN_MEMORY) as lines:
        count = sum(lines.write(canonical(line) + b"\n") > 0 for line in opened)
        members = [head.manifest(archived[head.log]) for head in logs]
        manifest = {"logs": members, "opened": count, "v": 1}
        sink.put("manifest.json", canonical(manifest))
        if count:
            sink.put_file("opened.jsonl", lines)
    return manifest


def _log(source: Source, head: Exported, sink: Sink, tick: Callable[[int], None]) -> int:
    """Write a log's files; return the number of archived checkpoints among them."""
    folder, archived = f"logs/{head.log}", 0
    sink.put(f"{folder}/checkpoint", head.checkpoint.encode())
    for size, note in source.archived(head.log):
        if size < head.size:
            sink.put(f"{folder}/checkpoints/{size}", note.encode())
            archived += 1
    sink.put(f"{folder}/log.vkey", head.keys.encode())
    for tile in _tiles(head.size):
        sink.put(f"{folder}/{tile.path}", _read_tile(source, head.log, tile))
        if tile.level == ENTRIES:
            tick(tile.width)
    return archived


def _tiles(size: int) -> Iterator[Tile]:
    yield from tiles_of(size)
    yield from tiles_of(size, ENTRIES)


def _read_tile(source: Source, log: int, tile: Tile) -> bytes:
    """Return the bytes of a tile or bundle; raise Unavailable if they are incomplete."""
    stored = source.read(log, tile.path) or b""
    try:
        count = len((read_bundle if tile.level == ENTRIES else read_tile)(stored))
    except ValueError:
        count = 0
    if count != tile.width:
        problem = f"has {count} of its {tile.width} parts; run 'firsthand replay --all' there"
        raise Unavailable(f"logs/{log}/{tile.path} {problem}.")
    return stored
