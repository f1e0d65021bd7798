"""A log in memory, as C2SP tlog-tiles files; made with our code, read by other programs."""

from collections.abc import Sequence

from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.proofs import Node
from services.ledger.log.signed_note import Signer
from services.ledger.log.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    bundle,
    completed_tiles,
    node_reader,
    tiles_of,
)

SIGNER = Signer("example.org/firsthand/0", bytes(32))


class TiledLog:
    """Entries, their hashes at every tile level, and readers of them."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.levels: list[list[bytes]] = [[leaf_hash(entry) for entry in entries]]
        for tile in completed_tiles(0, self.levels[0], lambda *_: ()):
            if tile.level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[tile.level + 1].append(tile.root)

    def root(self, size: int) -> bytes:
        """Return the root at a size, computed by the frontier."""
        tree = Frontier()
        for leaf in self.levels[0][:size]:
            tree.append(leaf)
        return tree.root()

    def checkpoint(self, size: int) -> str:
        """Return the signed checkpoint at a size."""
        return SIGNER.checkpoint(size, self.root(size))

    def tile(self, tile: Tile) -> bytes:
        """Return a tile's bytes."""
        begin = tile.number * WIDTH
        if tile.level == ENTRIES:
            return bundle(self.entries[begin : begin + tile.width])
        return b"".join(self.levels[tile.level][begin : begin + tile.width])

    def node(self) -> Node:
        """Return a node reader that reads through tiles."""
        return node_reader(lambda level, number: self.tile(Tile(level, number)))

    def files(self, size: int) -> dict[str, bytes]:
        """Return every file of the log at a size, by path."""
        tiles = [*tiles_of(size), *tiles_of(size, ENTRIES)]
        contents = {tile.path: self.tile(tile) for tile in tiles}
        return contents | {"checkpoint": self.checkpoint(size).encode()}


def made_up_log(size: int) -> TiledLog:
    """Return a log of short entries."""
    return TiledLog([f"entry {number}".encode() for number in range(size)])
