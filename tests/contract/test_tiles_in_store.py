"""Tiles and kept checkpoints in the store: written with the entries, and made anew from them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from services.ledger.bootstrap import open_store
from services.ledger.log.proofs import consistency, inclusion, subtree, verify_inclusion
from services.ledger.log.tiles import ENTRIES, Tile, tiles_of
from services.ledger.maintenance.init import init
from services.ledger.store import append_only, checkpoint_archive, tables, tile_store
from shared.errors import PreconditionFailed
from tests.contract.ledgers import Ledger
from tests.logs import TiledLog, made_up_log

SIZES = [0, 1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000]
CHECKPOINT = {"log": 0, "size": 7, "cosignatures": 0, "checkpoint": "note", "kept": "now"}
INSERT = "INSERT INTO checkpoints VALUES (0, 7, 0, 'forged', 'now')"


@pytest.fixture(scope="module")
def big() -> TiledLog:
    """What the long log holds."""
    return made_up_log(70_000)


def read_all(ledger: Ledger, size: int) -> Iterator[tuple[Tile, bytes]]:
    """Some tiles and bundles of each level: the first, the last full one, and the partial one."""
    with ledger.as_services(write=False) as connection:
        for level in (ENTRIES, 0, 1, 2):
            listed = list(tiles_of(size, level))
            for each in {*listed[:1], *listed[-2:]}:
                yield each, tile_store.tile_bytes(connection, 0, each)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_and_proofs_at_sizes_with_edges(kept: Ledger, big: TiledLog, size: int) -> None:
    kept.grow(big, size)
    with kept.as_services(write=False) as connection:
        assert tile_store.count_tiles(connection, 0) == size // 256 + size // 65_536
        node = tile_store.nodes(connection, 0, size)
        assert subtree(node, 0, size) == big.root(size)
        for index in {0, size // 2, size - 1} & set(range(size)):
            path = inclusion(node, index, size)
            verify_inclusion(big.levels[0][index], index, size, path, big.root(size))
            assert consistency(node, index, size) == consistency(big.node(), index, size)
    for tile, stored in read_all(kept, size):
        assert stored == big.tile(tile)


@pytest.mark.parametrize("width", [1, 17, 255])
def test_a_tile_that_is_full_by_now_is_read_as_narrow_as_it_was(
    kept: Ledger, big: TiledLog, width: int
) -> None:
    kept.grow(big, 70_000)
    with kept.as_services(write=False) as connection:
        for tile in (Tile(0, 3, width), Tile(1, 0, width), Tile(ENTRIES, 3, width)):
            assert tile_store.tile_bytes(connection, 0, tile) == big.tile(tile)


def test_tiles_that_are_lost_are_worked_out_again(stored: Ledger) -> None:
    log = made_up_log(600)
    stored.grow(log, 600)
    stored.change("DELETE FROM tiles")
    for tile, found in read_all(stored, 600):
        assert found == log.tile(tile)
    stored.grow(made_up_log(1_000), 1_000)
    with stored.as_owner() as connection:
        assert [*connection.scalars(select(tables.tiles.c.index))] == [2]
        connection.execute(text("DELETE FROM tiles"))
        tile_store.backfill_tiles(connection, 0, 1_000)
    assert [row["index"] for row in stored.table("tiles")] == [0, 1, 2]


def test_an_older_ledger_gets_its_tiles_when_it_is_migrated(stored: Ledger) -> None:
    stored.grow(made_up_log(5_000), 5_000)
    before = stored.table("tiles")
    assert len(before) == 19
    with stored.as_owner() as connection:
        connection.execute(text("DROP TABLE tiles"))
        for name in ("checkpoints", "held", "alarms"):
            connection.execute(text(f"DROP TABLE {name}"))
        for name in ("published", "added", "taken", "moved", "last"):
            connection.execute(text(f"ALTER TABLE heads DROP COLUMN {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(
        PreconditionFailed, match="revision 0001, this code 0004; run 'firsthand init'"
    ):
        open_store(stored.settings, write=True)
    init(stored.settings)
    assert stored.table("tiles") == before
    opened, _ = open_store(stored.settings, write=True)
    opened.dispose()
    stored.grow(made_up_log(5_200), 5_200)
    assert len(stored.table("tiles")) == 20


def test_the_newest_checkpoint_with_enough_cosignatures_is_found(stored: Ledger) -> None:
    with stored.as_services() as connection:
        for size, count in ((1, 0), (1, 2), (3, 1), (3, 2), (5, 0)):
            note = f"{size} {count}"
            checkpoint_archive.archive_checkpoint(
                connection, 0, size, count, note, "2026-03-02T12:00:00.000Z"
            )
        found = [checkpoint_archive.last_archived(connection, 0, count) for count in range(4)]
        assert [each and each["checkpoint"] for each in found] == ["5 0", "3 2", "3 2", None]
        assert checkpoint_archive.last_archived(connection, 1) is None
        listed = [
            row["checkpoint"] for row in checkpoint_archive.archived_checkpoints(connection, 0)
        ]
        assert listed == ["1 0", "1 2", "3 1", "3 2", "5 0"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE checkpoints SET checkpoint = 'forged'",
        "DELETE FROM checkpoints",
        INSERT,
        "DROP TABLE checkpoints",
        f"{INSERT} ON CONFLICT (log, size, cosignatures) DO UPDATE SET checkpoint = 'forged'",
    ],
)
def test_kept_checkpoints_are_append_only(stored: Ledger, change: str) -> None:
    with stored.as_services() as connection:
        connection.execute(tables.checkpoints.insert(), [CHECKPOINT])
    with pytest.raises(DBAPIError), stored.as_services() as connection:
        connection.execute(text(change))
    if not change.startswith("DROP"):
        with pytest.raises(DBAPIError), stored.as_owner() as connection:
            connection.execute(text(change))
    assert stored.table("checkpoints") == [CHECKPOINT]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("replaced", ["0, 7, 0", "1, 1, 1"])
def test_replace_takes_no_kept_checkpoint_away(stored: Ledger, replaced: str) -> None:
    with stored.as_services() as connection:
        connection.execute(tables.checkpoints.insert(), [CHECKPOINT])
    names = "rowid, log, size, cosignatures, checkpoint, kept"
    change = f"REPLACE INTO checkpoints ({names}) VALUES (1, {replaced}, 'forged', 'now')"
    with pytest.raises(DBAPIError, match="append-only"), stored.as_owner() as connection:
        connection.execute(text(change))
    assert stored.table("checkpoints") == [CHECKPOINT]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", append_only.CHECKPOINT_TRIGGERS)
def test_a_checkpoint_trigger_that_is_gone_is_named_at_start(stored: Ledger, name: str) -> None:
    with stored.as_owner() as connection:
        connection.execute(text(f"DROP TRIGGER {name}"))
    with pytest.raises(PreconditionFailed, match=name):
        open_store(stored.settings, write=False)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "change",
    ["DROP TRIGGER no_change ON checkpoints", "GRANT DELETE ON checkpoints TO {role}"],
)
def test_checkpoints_without_guard_are_seen_at_start(stored: Ledger, change: str) -> None:
    with stored.as_owner() as connection:
        connection.execute(text(change.format(role=stored.database.app_role)))
    with pytest.raises(PreconditionFailed, match=r"triggers on checkpoints are missing|may DELETE"):
        open_store(stored.settings, write=False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('UPDATE tiles SET root = leaf FROM entries WHERE entries."index" = 0', "tiles.root"),
        ('UPDATE tiles SET hashes = leaf FROM entries WHERE entries."index" = 0', "tiles.hashes"),
        ("INSERT INTO tiles SELECT log, level, 9, root, hashes FROM tiles", "tiles.index"),
    ],
)
def test_a_tile_that_differs_is_found_by_a_replay(stored: Ledger, change: str, field: str) -> None:
    stored.grow(made_up_log(300), 300)
    assert not [each for each in stored.replay().findings if each.code == "tile"]
    assert stored.replay().compared["tiles"] == 1
    stored.change(change)
    found = [each.field for each in stored.replay().findings if each.code == "tile"]
    assert found == [field]
