"""The store: made once, the same on SQLite and PostgreSQL, and read without being changed."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import SchemaItem

from services.ledger.bootstrap import open_store
from services.ledger.maintenance.init import init
from services.ledger.store import database as engine
from services.ledger.store import tables
from shared.errors import PreconditionFailed, SettingsError
from tests.contract.ledgers import Ledger
from tests.postgres import Database

PARTITION = re.compile(r"entries_\d+")


def test_init_again_changes_nothing(stored: Ledger) -> None:
    before = [stored.table(name) for name in tables.metadata.tables]
    files = {each: each.read_bytes() for each in stored.settings.key_folder.iterdir()}
    assert init(stored.settings) == init(stored.settings)
    assert [stored.table(name) for name in tables.metadata.tables] == before
    assert {each: each.read_bytes() for each in stored.settings.key_folder.iterdir()} == files


def test_key_files_are_ours_alone(stored: Ledger) -> None:
    folder = stored.settings.key_folder
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("kek", "transit.jwks", "tokens.key", "log-0.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name


def test_a_new_ledger_has_a_signed_head_for_each_log(tmp_path: Path, database: Database) -> None:
    ledger = Ledger(tmp_path, database, partitions=3)
    heads = ledger.table("heads")
    origin = ledger.table("ledger")[0]["origin"]
    assert [(head["log"], head["size"]) for head in heads] == [(0, 0), (1, 0), (2, 0)]
    for head in heads:
        assert head["checkpoint"].startswith(f"{origin}/{head['log']}\n0\n")


def test_migrations_make_exactly_the_tables_of_the_code(stored: Ledger) -> None:
    def ours(
        item: SchemaItem, name: str | None, kind: str, _found: bool, _other: SchemaItem | None
    ) -> bool:
        if kind == "index":  # an index of a partition belongs to the table's own
            name = item.table.name  # type: ignore[attr-defined]  # an Index has one
        return not PARTITION.fullmatch(name or "")

    with stored.as_owner() as connection:
        options = {"include_object": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_postgresql_does_not_try_to_compress_sealed_plans(stored: Ledger) -> None:
    wanted = "SELECT relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    wanted += "WHERE attname = 'plan' AND attstorage = 'e' ORDER BY relname"
    with stored.as_services() as connection:
        assert [*connection.scalars(text(wanted))] == ["plans", "snapshots"]


@pytest.mark.parametrize("table", [*tables.metadata.tables, "alembic_version"])
def test_a_reader_cannot_write(kept: Ledger, table: str) -> None:
    with (
        pytest.raises(DBAPIError, match=r"read-?only|permission denied"),
        kept.as_services(write=False) as connection,
    ):
        connection.execute(text(f"DELETE FROM {table}"))


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        engine.lock_writer(tmp_path),
        pytest.raises(PreconditionFailed, match="another worker writes to"),
    ):
        engine.lock_writer(tmp_path)
    engine.lock_writer(tmp_path).close()


def test_the_store_keeps_its_settings(stored: Ledger) -> None:
    with stored.as_services() as connection:
        if stored.kind == "sqlite":
            wanted = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 10_000}
            found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in wanted}
        else:
            wanted = {"synchronous_commit": "on", "idle_in_transaction_session_timeout": "15s"}
            found = {name: connection.scalar(text(f"SHOW {name}")) for name in wanted}
    assert found == wanted


def test_a_reader_sees_one_moment(stored: Ledger) -> None:
    """What a replay compares must not move while it looks."""
    look = text("SELECT size FROM heads")
    with stored.as_services(write=False) as reader:
        before = reader.scalar(look)
        with stored.as_owner() as writer:
            writer.execute(text("UPDATE heads SET size = 7"))
        assert reader.scalar(look) == before == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "not an address", ""])
def test_another_kind_of_address_names_its_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="FIRSTHAND_DATABASE_URL"):
        engine.connect(url, write=False)


def test_opening_a_store_brings_the_ledger_key(stored: Ledger) -> None:
    for write in (True, False):
        opened, vault = open_store(stored.settings, write=write)
        assert vault.envelope("person:ada").raw
        opened.dispose()
