"""A log's tiles made again from its entries, one after another, and compared with those kept."""

from collections import defaultdict
from collections.abc import Iterator

from services.ledger.log.tiles import WIDTH, FullTile, Tile, filled
from services.ledger.store.engine import Connection
from services.ledger.store.tiles import count_tiles, kept_tile


class Retiling:
    """Takes leaf hashes in order. Memory grows by 32 bytes for 256 entries.

    A tile that is not kept is no finding: it is made when asked for.
    """

    def __init__(self, connection: Connection, log: int) -> None:
        self.compared = 0
        self._connection = connection
        self._log = log
        self._size = 0
        self._new: list[bytes] = []
        self._levels: defaultdict[int, list[bytes]] = defaultdict(list)

    def add(self, leaf: bytes) -> Iterator[tuple[str, str]]:
        """One leaf hash more; yields (field, what is wrong) of the tiles that fill by it."""
        self._new.append(leaf)
        if len(self._new) < WIDTH:
            return
        for each in filled(self._size, self._new, self._earlier):
            self._levels[each.level + 1].append(each.root)
            yield from self._compare(each)
        self._size, self._new = self._size + WIDTH, []

    def end(self) -> Iterator[tuple[str, str]]:
        """After the last leaf: what is kept of tiles that the log does not have."""
        found = count_tiles(self._connection, self._log)
        if found > self.compared:
            yield "tiles.index", f"{found - self.compared} kept that the entries do not fill"

    def _earlier(self, level: int, start: int, end: int) -> list[bytes]:
        return self._levels[level][start:end]

    def _compare(self, wanted: FullTile) -> Iterator[tuple[str, str]]:
        kept = kept_tile(self._connection, self._log, wanted.level, wanted.number)
        if kept is None:
            return
        self.compared += 1
        path = Tile(wanted.level, wanted.number).path
        for name in ("root", "hashes"):
            if getattr(kept, name) != getattr(wanted, name):
                yield f"tiles.{name}", f"{path} differs from what the entries say"
