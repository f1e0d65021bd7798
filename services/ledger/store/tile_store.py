"""Stored tiles: full tiles of hashes, written in the same transaction as their entries.

A tile or a proof therefore costs the same with ten entries and with ten million. Partial tiles and
bundles are computed on request. All tiles are derived from the entries; missing rows are computed.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from services.ledger.log.merkle import HASH_BYTES, leaf_hash
from services.ledger.log.proofs import Node, subtree
from services.ledger.log.tiles import (
    ENTRIES,
    WIDTH,
    FullTile,
    Tile,
    bundle,
    completed_tiles,
    hashes_at,
    node_reader,
    perfect_root,
)
from services.ledger.store.tables import entries, tiles

FILL = 16 * WIDTH  # entries read at a time to compute the tiles of an existing log


def save_tiles(connection: Connection, log: int, size: int, leaves: Sequence[bytes]) -> None:
    """Store the tiles that become full when a log of this size grows by these leaf hashes."""
    rows = [
        {"log": log, "level": tile.level, "index": tile.number}
        | {"root": tile.root, "hashes": tile.hashes}
        for tile in completed_tiles(size, leaves, lambda *range_: hashes(connection, log, *range_))
    ]
    if rows:
        connection.execute(insert(tiles), rows)


def backfill_tiles(connection: Connection, log: int, size: int) -> None:
    """Compute and store all tiles of a log that has none yet."""
    for start in range(0, size, FILL):
        save_tiles(connection, log, start, hashes(connection, log, 0, start, start + FILL))


def leaves(connection: Connection, log: int, start: int, end: int) -> list[bytes]:
    """Return the bytes of the entries from `start` up to `end`."""
    query = (
        select(entries.c.leaf)
        .where(entries.c.log == log, entries.c.index >= start, entries.c.index < end)
        .order_by(entries.c.index)
    )
    return list(connection.scalars(query))


def hashes(connection: Connection, log: int, level: int, start: int, end: int) -> list[bytes]:
    """Return the hashes of a tile level from `start` up to `end`; all must be of full tiles."""
    if level == 0:
        return [leaf_hash(entry) for entry in leaves(connection, log, start, end)]
    query = select(tiles.c.index, tiles.c.root).where(
        tiles.c.log == log,
        tiles.c.level == level - 1,
        tiles.c.index >= start,
        tiles.c.index < end,
    )
    rows = connection.execute(query).mappings()
    roots: dict[int, bytes] = {row["index"]: row["root"] for row in rows}
    for index in range(start, end):
        if index not in roots:
            below = (level - 1, index * WIDTH, (index + 1) * WIDTH)
            roots[index] = perfect_root(hashes(connection, log, *below))
    return [roots[index] for index in range(start, end)]


def tile_bytes(connection: Connection, log: int, tile: Tile) -> bytes:
    """Return the bytes of a tile or bundle of the log."""
    start = tile.number * WIDTH
    if tile.level == ENTRIES:
        return bundle(leaves(connection, log, start, start + tile.width))
    query = select(tiles.c.hashes).where(
        tiles.c.log == log, tiles.c.level == tile.level, tiles.c.index == tile.number
    )
    stored: bytes | None = connection.scalar(query)
    if stored is not None:
        return stored[: tile.width * HASH_BYTES]
    return b"".join(hashes(connection, log, tile.level, start, start + tile.width))


def nodes(connection: Connection, log: int, size: int) -> Node:
    """Return a reader of nodes for proofs in the tree of this size."""

    def read(level: int, number: int) -> bytes:
        width = min(WIDTH, hashes_at(level, size) - number * WIDTH)
        return tile_bytes(connection, log, Tile(level, number, width))

    return node_reader(read)


def root_at(connection: Connection, log: int, size: int) -> bytes:
    """Return the root of the log's first `size` entries; the log must have that many."""
    return subtree(nodes(connection, log, size), 0, size)


def stored_tile(connection: Connection, log: int, level: int, number: int) -> FullTile | None:
    """Return a stored tile, or None."""
    query = select(tiles.c.root, tiles.c.hashes).where(
        tiles.c.log == log, tiles.c.level == level, tiles.c.index == number
    )
    row = connection.execute(query).first()
    return FullTile(level, number, row.root, row.hashes) if row else None


def count_tiles(connection: Connection, log: int) -> int:
    """Return the number of stored tiles of a log."""
    query = select(func.count()).select_from(tiles).where(tiles.c.log == log)
    return int(connection.scalar(query) or 0)
