r"""A tree as tiles (C2SP tlog-tiles): files of hashes, and of entries, that never change.

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
>>> [each.path for each in tiles_of(256 + 2)]
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
ENTRIES = -1  # the level that stands for bundles of entries
MAX_LEVEL = 63
MAX_ENTRY = 65_535  # bytes
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile: its level (or ENTRIES), its number on that level, and its width."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Its path below the log's address."""
        groups, rest = [f"{self.number % 1000:03}"], self.number // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{'/'.join(groups)}{partial}"

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """The tile of a path; ValueError if it is not exactly what `path` gives."""
        parts = _PATH.fullmatch(path)
        if parts is None:
            raise ValueError(f"{path!r} is not the path of a tile")
        level = ENTRIES if parts["level"] == "entries" else int(parts["level"])
        number = int(re.sub("[x/]", "", parts["number"]))
        tile = cls(level, number, int(parts["width"] or WIDTH))
        if level > MAX_LEVEL or tile.path != path:
            raise ValueError(f"{path!r} is not the path of a tile")
        return tile

    def within(self, size: int) -> bool:
        """Whether a tree of this size holds all of the tile."""
        return self.number * WIDTH + self.width <= hashes_at(self.level, size)


def hashes_at(level: int, size: int) -> int:
    """How many hashes (or entries) a tree of this size has at a level of tiles."""
    return size >> (HEIGHT * max(level, 0))


def tiles_of(size: int, level: int | None = None) -> Iterator[Tile]:
    """Every tile of hashes that a tree of this size has, or those of one level (or ENTRIES)."""
    if level is None:
        for each in range(MAX_LEVEL + 1):
            yield from tiles_of(size, each)
        return
    full, rest = divmod(hashes_at(level, size), WIDTH)
    yield from (Tile(level, number) for number in range(full))
    if rest:
        yield Tile(level, full, rest)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as the bytes of a bundle."""
    return b"".join(len(each).to_bytes(2) + each for each in entries)


def read_bundle(stored: bytes) -> list[bytes]:
    """The entries of a bundle; ValueError if it is cut short or holds none or too many."""
    entries, at = [], 0
    while at < len(stored):
        start = at + 2
        at = start + int.from_bytes(stored[at:start])
        entries.append(stored[start:at])
    if at != len(stored) or not 0 < len(entries) <= WIDTH:
        raise ValueError("not a bundle of entries")
    return entries


def read_tile(stored: bytes) -> list[bytes]:
    """The hashes of a tile; ValueError if there is none, a part of one, or too many."""
    count, rest = divmod(len(stored), HASH_BYTES)
    if rest or not 0 < count <= WIDTH:
        raise ValueError("not a tile of hashes")
    return [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a perfect subtree: of 1, 2, 4, ... hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


@dataclass(frozen=True, slots=True)
class FullTile:
    """A full tile: its place, its root, which is one hash of the level above, and its bytes."""

    level: int
    number: int
    root: bytes
    hashes: bytes


def completed_tiles(
    size: int, leaves: Sequence[bytes], earlier: Callable[[int, int, int], Sequence[bytes]]
) -> list[FullTile]:
    """The tiles that fill when a tree of this size grows by these leaf hashes.

    `earlier(level, start, end)` is asked for the hashes of a tile that stood there before, and
    only if that tile fills.
    """
    found: list[FullTile] = []
    level, start, new = 0, size, list(leaves)
    while (start + len(new)) // WIDTH > start // WIDTH:
        number = start // WIDTH
        hashes = [*earlier(level, number * WIDTH, start), *new] if start % WIDTH else new
        new = []
        for at in range(0, len(hashes) - WIDTH + 1, WIDTH):
            tile = hashes[at : at + WIDTH]
            new.append(perfect_root(tile))
            found.append(FullTile(level, number + at // WIDTH, new[-1], b"".join(tile)))
        level, start = level + 1, number
    return found


def node_reader(read: Callable[[int, int], bytes]) -> Callable[[int, int], bytes]:
    """What proofs are made from (proof.py), read from tiles.

    `read(level, number)` gives a tile's bytes, as many hashes as there are. Tiles are read once.
    """
    seen: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        above, inside = divmod(level, HEIGHT)
        number, place = divmod(index << inside, WIDTH)
        tile = seen.get((above, number))
        if tile is None:
            tile = seen[above, number] = read_tile(read(above, number))
        below = tile[place : place + (1 << inside)]
        if len(below) < 1 << inside:
            raise ValueError(f"tile {number} of level {above} is too narrow")
        return perfect_root(below)

    return node
