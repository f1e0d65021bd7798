"""An export: every log as files, each at exactly one published checkpoint, while writes go on.

What an export holds, and in what form, stands in services/verify.py. It is written from a source
that gives bytes by path, as the ledger serves them below /logs/<n>/: the store, or a ledger over
HTTP (sources.py). What a checkpoint signs never changes, so nothing is locked, and two exports of
one checkpoint have the same files; as `.tar.gz` they are the same bytes.

Memory holds one file of it at a time. No key goes into an export.
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

IN_MEMORY = 1 << 20  # bytes of opened lines; more of them wait in a temporary file


class Source(Protocol):
    """Gives the files of a ledger's logs."""

    def read(self, log: int, path: str) -> bytes | None:
        """The bytes at a path below /logs/<log>/; None if there is no such log."""

    def kept(self, log: int, /) -> Iterable[tuple[int, str]]:
        """The checkpoints that were kept, one a size, smallest first; none if it does not say."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export says of a log, as its manifest does; `keys` are the log's, a line each."""

    log: int
    size: int
    root: bytes
    origin: str
    keys: str
    checkpoint: str

    def manifest(self, kept: int) -> Json:
        """Its member of the manifest."""
        told = {"kept": kept, "log": self.log, "origin": self.origin, "size": self.size}
        return told | {"root": b64encode(self.root).decode()}


def heads(source: Source) -> list[Exported]:
    """Each log's published checkpoint: what the export will be of. Unavailable if there is none."""
    found: list[Exported] = []
    while (note := source.read(len(found), "checkpoint")) is not None:
        found.append(_head(len(found), note, source.read(len(found), "vkey") or b""))
    if not found:
        raise Unavailable("There is no log to export here.")
    return found


def _head(log: int, note: bytes, keys: bytes) -> Exported:
    try:
        text = note.decode()
        size, root = read_checkpoint(text, *keys.decode().split())
    except ValueError as fault:
        raise Unavailable(f"Log {log} serves no checkpoint of its own: {fault}.") from None
    return Exported(log, size, root, text.partition("\n")[0], keys.decode(), text)


def export(
    source: Source,
    logs: list[Exported],
    sink: Sink,
    opened: Iterable[Json] = (),
    tick: Callable[[int], None] = lambda _: None,
    held: Iterable[Json] = (),
) -> Json:
    """Write an export of these heads; returns its manifest. `tick` hears of entries.

    `opened` are the lines of opened.jsonl, in their order and within these heads; `held` those of
    held.jsonl, next to the logs: no checkpoint signs what is not recorded yet.
    """
    in_order = sorted(logs, key=lambda each: str(each.log))  # as an archive sorts its names
    kept = {each.log: _log(source, each, sink, tick) for each in in_order}
    if waiting := b"".join(canonical(each) + b"\n" for each in held):
        sink.put("held.jsonl", waiting)
    with SpooledTemporaryFile(max_size=IN_MEMORY) as lines:
        count = sum(lines.write(canonical(each) + b"\n") > 0 for each in opened)
        told = [each.manifest(kept[each.log]) for each in logs]
        manifest = {"logs": told, "opened": count, "v": 1}
        sink.put("manifest.json", canonical(manifest))
        if count:
            sink.put_file("opened.jsonl", lines)
    return manifest


def _log(source: Source, head: Exported, sink: Sink, tick: Callable[[int], None]) -> int:
    """Write a log's files; how many kept checkpoints are among them."""
    below, kept = f"logs/{head.log}", 0
    sink.put(f"{below}/checkpoint", head.checkpoint.encode())
    for size, note in source.kept(head.log):
        if size < head.size:
            sink.put(f"{below}/checkpoints/{size}", note.encode())
            kept += 1
    sink.put(f"{below}/log.vkey", head.keys.encode())
    for tile in _tiles(head.size):
        sink.put(f"{below}/{tile.path}", _whole(source, head.log, tile))
        if tile.level == ENTRIES:
            tick(tile.width)
    return kept


def _tiles(size: int) -> Iterator[Tile]:
    yield from tiles_of(size)
    yield from tiles_of(size, ENTRIES)


def _whole(source: Source, log: int, tile: Tile) -> bytes:
    """The bytes of a tile or bundle; Unavailable if the source gives fewer, or others."""
    stored = source.read(log, tile.path) or b""
    try:
        found = len((read_bundle if tile.level == ENTRIES else read_tile)(stored))
    except ValueError:
        found = 0
    if found != tile.width:
        told = f"has {found} of its {tile.width} parts; run 'firsthand replay --all' there"
        raise Unavailable(f"logs/{log}/{tile.path} {told}.")
    return stored
