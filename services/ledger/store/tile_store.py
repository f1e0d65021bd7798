"""Tiles in the store: full tiles of hashes, written in the batch's transaction with the entries
they are made of, so that a tile or a proof costs the same at ten entries and at ten million.

Partial tiles and bundles are made when asked for. All of it is a function of the entries: a row
that is not there is worked out again.
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

FILL = 16 * WIDTH  # entries read at a time when tiles are made of what is there already


def save_tiles(connection: Connection, log: int, size: int, leaves: Sequence[bytes]) -> None:
    """Keep the tiles that fill as a log of this size grows by these leaf hashes."""
    rows = [
        {"log": log, "level": each.level, "index": each.number}
        | {"root": each.root, "hashes": each.hashes}
        for each in completed_tiles(size, leaves, lambda *place: hashes(connection, log, *place))
    ]
    if rows:
        connection.execute(insert(tiles), rows)


def backfill_tiles(connection: Connection, log: int, size: int) -> None:
    """Make all tiles of a log of this size, none of which is there yet."""
    for start in range(0, size, FILL):
        save_tiles(connection, log, start, hashes(connection, log, 0, start, start + FILL))


def leaves(connection: Connection, log: int, start: int, end: int) -> list[bytes]:
    """The entries from one place up to another, as bytes."""
    wanted = (
        select(entries.c.leaf)
        .where(entries.c.log == log, entries.c.index >= start, entries.c.index < end)
        .order_by(entries.c.index)
    )
    return list(connection.scalars(wanted))


def hashes(connection: Connection, log: int, level: int, start: int, end: int) -> list[bytes]:
    """The hashes of a level of tiles, from one place up to another; all must be full."""
    if level == 0:
        return [leaf_hash(each) for each in leaves(connection, log, start, end)]
    wanted = select(tiles.c.index, tiles.c.root).where(
        tiles.c.log == log,
        tiles.c.level == level - 1,
        tiles.c.index >= start,
        tiles.c.index < end,
    )
    rows = connection.execute(wanted).mappings()
    found: dict[int, bytes] = {row["index"]: row["root"] for row in rows}
    for place in range(start, end):
        if place not in found:
            below = (level - 1, place * WIDTH, (place + 1) * WIDTH)
            found[place] = perfect_root(hashes(connection, log, *below))
    return [found[place] for place in range(start, end)]


def tile_bytes(connection: Connection, log: int, tile: Tile) -> bytes:
    """The bytes of a tile or bundle that lies within the log."""
    start = tile.number * WIDTH
    if tile.level == ENTRIES:
        return bundle(leaves(connection, log, start, start + tile.width))
    wanted = select(tiles.c.hashes).where(
        tiles.c.log == log, tiles.c.level == tile.level, tiles.c.index == tile.number
    )
    kept: bytes | None = connection.scalar(wanted)
    if kept is not None:
        return kept[: tile.width * HASH_BYTES]
    return b"".join(hashes(connection, log, tile.level, start, start + tile.width))


def nodes(connection: Connection, log: int, size: int) -> Node:
    """A reader of nodes for proofs in the tree of this size."""

    def read(level: int, number: int) -> bytes:
        width = min(WIDTH, hashes_at(level, size) - number * WIDTH)
        return tile_bytes(connection, log, Tile(level, number, width))

    return node_reader(read)


def root_at(connection: Connection, log: int, size: int) -> bytes:
    """The root of the log's first `size` entries; the log must hold so many."""
    return subtree(nodes(connection, log, size), 0, size)


def stored_tile(connection: Connection, log: int, level: int, number: int) -> FullTile | None:
    """A tile as it is kept; None if it is not."""
    wanted = select(tiles.c.root, tiles.c.hashes).where(
        tiles.c.log == log, tiles.c.level == level, tiles.c.index == number
    )
    row = connection.execute(wanted).first()
    return FullTile(level, number, row.root, row.hashes) if row else None


def count_tiles(connection: Connection, log: int) -> int:
    """How many tiles of a log are kept."""
    counted = select(func.count()).select_from(tiles).where(tiles.c.log == log)
    return int(connection.scalar(counted) or 0)
