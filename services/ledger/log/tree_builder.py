"""Tree builder: recomputes a log's tiles and checkpoints from its first entry on."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256

from services.ledger.log.merkle import Frontier
from services.ledger.log.tiles import WIDTH, FullTile, Tile


class TreeBuilder:
    """Build a tree from leaf hashes in order.

    Full tiles are handed out, so memory grows by only 32 bytes for each 256 entries.
    """

    def __init__(self) -> None:
        self._new: list[bytes] = []
        self._levels: defaultdict[int, list[bytes]] = defaultdict(list)
        self._full = Frontier()  # of full tiles' roots
        self.add = self._new.append

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._full.size * WIDTH + len(self._new)

    @property
    def room(self) -> int:
        """The number of leaves that complete the current tile."""
        return WIDTH - len(self._new)

    def full(self) -> Iterator[tuple[FullTile, Tile]]:
        """Yield the tiles that are now full, from the lowest level up; call when `room` is 0."""
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
        """Yield the tiles at the right edge that are not full, with their bytes."""
        if self._new:
            yield Tile(0, self._full.size, len(self._new)), b"".join(self._new)
        for level, hashes in self._levels.items():
            if hashes:
                number = self._full.size >> 8 * level
                yield Tile(level, number, len(hashes)), b"".join(hashes)

    def frontier(self) -> Frontier:
        """Return the frontier, from which the root is computed."""
        whole = self._full.size * WIDTH
        tree = Frontier.from_bytes(whole, self._full.to_bytes())
        for leaf in self._new:
            tree.append(leaf)
        return tree


def _root(hashes: list[bytes]) -> bytes:
    """Return the root of a full tile."""
    level = b"".join(hashes)
    while len(level) > 32:
        parts = range(0, len(level), 64)
        level = b"".join([sha256(b"\x01" + level[at : at + 64]).digest() for at in parts])
    return level
