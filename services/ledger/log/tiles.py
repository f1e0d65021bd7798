r"""Tiles of a log's tree (C2SP tlog-tiles): immutable files of hashes, and of entries.

    tile/<L>/<N>[.p/<W>]         hashes N*256 ... of level L; hash i of level L is the root of
                                 the 256^L entries from i*256^L on
    tile/entries/<N>[.p/<W>]     entries N*256 ...: uint16 big-endian length || entry, each
    N in groups of three digits, all but the last with an x: 1234067 is x001/x234/067

A full tile has 256 hashes, 8,192 bytes. One at a tree's right edge is partial: W hashes, 1 to
255; a tree of size s has floor(s / 256^L) mod 256 of them at level L, and none if that is 0.

>>> Tile(0, 1234067).path, Tile(1, 5, 17).path, Tile(ENTRIES, 0, 3).path
('tile/0/x001/x234/067', 'tile/1/005.p/17', 'tile/entries/000.p/3')
>>> Tile.parse("tile/0/x001/x234/067") == Tile(0, 1234067)
True
>>> [tile.path for tile in tiles_of(256 + 2)]
['tile/0/000', 'tile/0/001.p/2', 'tile/1/000.p/1']
>>> read_bundle(bundle([b"an entry", b""]))
[b'an entry', b'']
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.ledger.log.merkle import HASH_BYTES, node_hash

WIDTH = 256  # hashes of a full tile
HEIGHT = 8  # levels of the tree in a tile: 2^8 = 256
ENTRIES = -1  # pseudo-level of bundles of entries
MAX_LEVEL = 63
MAX_ENTRY = 65_535  # bytes
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's identity: its level (or ENTRIES), its number on that level, and its width."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The path below the log's URL."""
        groups, rest = [f"{self.number % 1000:03}"], self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{'/'.join(groups)}{partial}"

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Parse a path; raise ValueError if it is not exactly what `path` returns."""
        parts = _PATH.fullmatch(path)
        if parts is None:
            raise ValueError(f"{path!r} is not a tile path")
        level = ENTRIES if parts["level"] == "entries" else int(parts["level"])
        number = int(re.sub("[x/]", "", parts["number"]))
        tile = cls(level, number, int(parts["width"] or WIDTH))
        if level > MAX_LEVEL or tile.path != path:
            raise ValueError(f"{path!r} is not a tile path")
        return tile

    def within(self, size: int) -> bool:
        """Return whether a tree of this size contains the whole tile."""
        return self.number * WIDTH + self.width <= hashes_at(self.level, size)


def hashes_at(level: int, size: int) -> int:
    """Return how many hashes (or entries) a tree of this size has at a tile level."""
    return size >> (HEIGHT * max(level, 0))


def tiles_of(size: int, level: int | None = None) -> Iterator[Tile]:
    """Yield the tiles of a tree of this size: all tiles of hashes, or one level's (or ENTRIES)."""
    if level is None:
        for number in range(MAX_LEVEL + 1):
            yield from tiles_of(size, number)
        return
    full, rest = divmod(hashes_at(level, size), WIDTH)
    yield from (Tile(level, number) for number in range(full))
    if rest:
        yield Tile(level, full, rest)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle of entries."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def read_bundle(stored: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise ValueError if it is truncated, empty or too long."""
    entries, at = [], 0
    while at < len(stored):
        start = at + 2
        at = start + int.from_bytes(stored[at:start])
        entries.append(stored[start:at])
    if at != len(stored) or not 0 < len(entries) <= WIDTH:
        raise ValueError("not a bundle of entries")
    return entries


def read_tile(stored: bytes) -> list[bytes]:
    """Return the hashes of a tile; raise ValueError if it is truncated, empty or too long."""
    count, rest = divmod(len(stored), HASH_BYTES)
    if rest or not 0 < count <= WIDTH:
        raise ValueError("not a tile of hashes")
    return [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree of 1, 2, 4, ... hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


@dataclass(frozen=True, slots=True)
class FullTile:
    """A full tile: its level and number, its root, which is one hash a level up, and its bytes."""

    level: int
    number: int
    root: bytes
    hashes: bytes


def completed_tiles(
    size: int, leaves: Sequence[bytes], earlier: Callable[[int, int, int], Sequence[bytes]]
) -> list[FullTile]:
    """Return the tiles that become full when a tree of this size grows by these leaf hashes.

    `earlier(level, start, end)` must return the hashes already in a tile. It is called only for
    tiles that become full.
    """
    tiles: list[FullTile] = []
    level, start, new = 0, size, list(leaves)
    while (start + len(new)) // WIDTH > start // WIDTH:
        number = start // WIDTH
        hashes = [*earlier(level, number * WIDTH, start), *new] if start % WIDTH else new
        new = []
        for at in range(0, len(hashes) - WIDTH + 1, WIDTH):
            tile = hashes[at : at + WIDTH]
            new.append(perfect_root(tile))
            tiles.append(FullTile(level, number + at // WIDTH, new[-1], b"".join(tile)))
        level, start = level + 1, number
    return tiles


def node_reader(read: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    """Return a reader of nodes (proofs.py) over tiles; each tile is read once.

    `read(level, number)` must return the bytes of a tile, full or partial.
    """
    seen: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        above, inside = divmod(level, HEIGHT)
        number, offset = divmod(index << inside, WIDTH)
        tile = seen.get((above, number))
        if tile is None:
            tile = seen[above, number] = read_tile(read(above, number))
        below = tile[offset : offset + (1 << inside)]
        if len(below) < 1 << inside:
            raise ValueError(f"tile {number} of level {above} is too narrow")
        return perfect_root(below)

    return node
