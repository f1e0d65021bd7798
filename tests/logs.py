"""A log in memory, as the files of C2SP tlog-tiles, made with our code for others to read."""

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
    """Entries, their hashes at every level of tiles, and readers over them."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.levels: list[list[bytes]] = [[leaf_hash(each) for each in entries]]
        for each in completed_tiles(0, self.levels[0], lambda *_: ()):
            if each.level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[each.level + 1].append(each.root)

    def root(self, size: int) -> bytes:
        """The root at a size, by the frontier."""
        tree = Frontier()
        for each in self.levels[0][:size]:
            tree.append(each)
        return tree.root()

    def checkpoint(self, size: int) -> str:
        """The signed checkpoint at a size."""
        return SIGNER.checkpoint(size, self.root(size))

    def tile(self, tile: Tile) -> bytes:
        """A tile's bytes."""
        begin = tile.number * WIDTH
        if tile.level == ENTRIES:
            return bundle(self.entries[begin : begin + tile.width])
        return b"".join(self.levels[tile.level][begin : begin + tile.width])

    def node(self) -> Node:
        """A reader of nodes, through tiles."""
        return node_reader(lambda level, number: self.tile(Tile(level, number)))

    def files(self, size: int) -> dict[str, bytes]:
        """Every file of the log at a size, by path."""
        tiles = [*tiles_of(size), *tiles_of(size, ENTRIES)]
        found = {each.path: self.tile(each) for each in tiles}
        return found | {"checkpoint": self.checkpoint(size).encode()}


def made_up_log(size: int) -> TiledLog:
    """A log of short entries."""
    return TiledLog([f"entry {number}".encode() for number in range(size)])
