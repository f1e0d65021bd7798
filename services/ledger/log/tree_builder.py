"""A log's tree, grown from its first entry: its tiles and its checkpoints are held against it."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256

from services.ledger.log.merkle import Frontier
from services.ledger.log.tiles import WIDTH, FullTile, Tile


class TreeBuilder:
    """Takes leaf hashes in order. Memory grows by 32 bytes for 256 entries of the unfinished tiles
    alone: what is full is handed out.
    """

    def __init__(self) -> None:
        self._new: list[bytes] = []
        self._levels: defaultdict[int, list[bytes]] = defaultdict(list)
        self._full = Frontier()  # of full tiles' roots
        self.add = self._new.append

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return self._full.size * WIDTH + len(self._new)

    @property
    def room(self) -> int:
        """How many leaves more make a full tile."""
        return WIDTH - len(self._new)

    def full(self) -> Iterator[tuple[FullTile, Tile]]:
        """The tiles that are full now, from the lowest level up; call it when `room` is 0."""
        number = self._full.size
        level, hashes = 0, self._new
        self._full.append(root := _root(hashes))
        while len(hashes) == WIDTH:
            root = _root(hashes) if level else root
            yield FullTile(level, number, root, b"".join(hashes)), Tile(level, number)
            hashes.clear()
            level, number = level + 1, number // WIDTH
            hashes = self._levels[level]
            hashes.append(root)

    def partial(self) -> Iterator[tuple[Tile, bytes]]:
        """The tiles at its right edge that are not full: which, and their bytes."""
        if self._new:
            yield Tile(0, self._full.size, len(self._new)), b"".join(self._new)
        for level, hashes in self._levels.items():
            if hashes:
                number = self._full.size >> 8 * level
                yield Tile(level, number, len(hashes)), b"".join(hashes)

    def frontier(self) -> Frontier:
        """Its frontier, which tells its root."""
        whole = self._full.size * WIDTH
        tree = Frontier.from_bytes(whole, self._full.to_bytes())
        for each in self._new:
            tree.append(each)
        return tree


def _root(hashes: list[bytes]) -> bytes:
    """The root of a full tile."""
    level = b"".join(hashes)
    while len(level) > 32:
        parts = range(0, len(level), 64)
        level = b"".join([sha256(b"\x01" + level[at : at + 64]).digest() for at in parts])
    return level
