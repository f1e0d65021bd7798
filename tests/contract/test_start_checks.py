"""At every start the store is looked at, and whoever starts hears in words what is wrong."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url

from services.ledger.bootstrap import open_store
from services.ledger.config import signers
from services.ledger.maintenance.init import init
from services.ledger.store import database as engine
from services.ledger.store import setup, tables
from services.ledger.vault import KeyUnwrapError, Vault
from shared.errors import PreconditionFailed, SettingsError
from tests.contract.ledgers import Ledger, Together
from tests.contract.test_append_only import ROW
from tests.given import ada
from tests.postgres import (
    Database,
    PostgresServer,
    find_postgres,
    where_postgres_is_sought,
)

NOTHING = "BEFORE {} ON entries BEGIN SELECT 1; END"
FUNCTION = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
TRIGGER = "CREATE TRIGGER {} FOR EACH ROW EXECUTE FUNCTION {}()"
ALWAYS = "ALTER TABLE entries ENABLE ALWAYS TRIGGER no_change"
DROP = "DROP TRIGGER no_change ON entries"
OTHER_BODY = (
    "CREATE OR REPLACE FUNCTION entries_refuse() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN RETURN NEW; END'"
)
UNGUARDED: dict[str, dict[str, list[str]]] = {
    "sqlite": {
        **{f"no {each}": [f"DROP TRIGGER entries_no_{each}"] for each in ("update", "delete")},
        "no replace": ["DROP TRIGGER entries_no_replace"],
        "update does nothing": [
            "DROP TRIGGER entries_no_update",
            f"CREATE TRIGGER entries_no_update {NOTHING.format('UPDATE')}",
        ],
        "replace does nothing": [
            "DROP TRIGGER entries_no_replace",
            f"CREATE TRIGGER entries_no_replace {NOTHING.format('INSERT')}",
        ],
    },
    "postgresql": {
        "no change": [DROP],
        "no truncate": ["DROP TRIGGER no_truncate ON entries"],
        "no truncate in the partition": ["DROP TRIGGER no_truncate ON entries_0"],
        "disabled": ["ALTER TABLE entries DISABLE TRIGGER no_change"],
        "disabled in the partition": ["ALTER TABLE entries_0 DISABLE TRIGGER no_change"],
        "all disabled": ["ALTER TABLE entries DISABLE TRIGGER ALL"],
        "not for replicas": ["ALTER TABLE entries_0 ENABLE TRIGGER no_change"],
        "another function": [
            FUNCTION,
            DROP,
            TRIGGER.format("no_change BEFORE UPDATE OR DELETE ON entries", "nothing"),
            ALWAYS,
            "ALTER TABLE entries_0 ENABLE ALWAYS TRIGGER no_change",
        ],
        "updates only": [
            DROP,
            TRIGGER.format("no_change BEFORE UPDATE ON entries", "entries_refuse"),
            ALWAYS,
            "ALTER TABLE entries_0 ENABLE ALWAYS TRIGGER no_change",
        ],
        "another body": [OTHER_BODY],
    },
}
TOO_MUCH = {
    "UPDATE": "GRANT UPDATE ON entries TO {}",
    "DELETE": "GRANT DELETE ON entries TO {}",
    "TRUNCATE": "GRANT TRUNCATE ON entries TO {}",
    "TRIGGER": "GRANT TRIGGER ON entries TO {}",
    "UPDATE of a column": "GRANT UPDATE (leaf) ON entries TO {}",
    "DELETE in the partition": "GRANT DELETE ON entries_0 TO {}",
    "whatever the owner may": "GRANT postgres TO {}",
}


def refused(ledger: Ledger, why: str, kind: type[Exception] = PreconditionFailed) -> None:
    """Neither the worker nor the read API starts, and the message says why."""
    for write in (True, False):
        with pytest.raises(kind, match=why):
            open_store(ledger.settings, write=write)


def sql(ledger: Ledger, *statements: str) -> None:
    with ledger.as_owner() as connection:
        for each in statements:
            connection.execute(text(each))


def test_a_sound_store_opens(stored: Ledger) -> None:
    for write in (True, False):
        opened, _ = open_store(stored.settings, write=write)
        opened.dispose()


@pytest.mark.parametrize("name", UNGUARDED["sqlite"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_sqlite_trigger_is_missing_or_changed(stored: Ledger, name: str) -> None:
    sql(stored, *UNGUARDED["sqlite"][name])
    refused(stored, r"not append-only: trigger entries_no_\w+ is missing or modified")


@pytest.mark.parametrize("name", UNGUARDED["postgresql"])
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_postgresql_trigger_is_missing_changed_or_off(stored: Ledger, name: str) -> None:
    sql(stored, *UNGUARDED["postgresql"][name])
    refused(stored, r"not append-only: the triggers on entries(_0|_refuse)?\b")


@pytest.mark.parametrize("name", TOO_MUCH)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_role_may_too_much(stored: Ledger, name: str) -> None:
    sql(stored, TOO_MUCH[name].format(stored.database.app_role))
    refused(stored, r"this database role may \w+ entries")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_services_must_not_be_the_owner(stored: Ledger) -> None:
    stored.settings = replace(stored.settings, database_url=stored.database.owner_url)
    refused(stored, "connect as a role that 'firsthand init' created, not as the owner")


def test_the_number_of_partitions_is_fixed(stored: Ledger) -> None:
    stored.settings = replace(stored.settings, partitions=2)
    refused(
        stored, "created with 1 partitions, which cannot change; FIRSTHAND_PARTITIONS is 2; set"
    )


def test_the_origin_is_permanent(stored: Ledger) -> None:
    stored.settings = replace(stored.settings, origin="example.org/elsewhere")
    refused(stored, "FIRSTHAND_ORIGIN is example.org/elsewhere")
    with pytest.raises(PreconditionFailed, match="FIRSTHAND_ORIGIN"):
        init(stored.settings)


def test_another_logs_key_does_not_sign_this_log(stored: Ledger, tmp_path: Path) -> None:
    other = replace(stored.settings, data=tmp_path / "other")
    other = replace(other, database_url=f"sqlite:///{tmp_path}/other.db", database_owner_url="")
    init(other)
    shutil.copy(other.key_folder / "log-0.key", stored.settings.key_folder / "log-0.key")
    with pytest.raises(
        PreconditionFailed, match=r"log-0\.key is not the key of this ledger's log 0"
    ):
        open_store(stored.settings, write=True)


def test_a_signing_key_that_is_gone_is_named(stored: Ledger) -> None:
    (stored.settings.key_folder / "log-0.key").unlink()
    with pytest.raises(SettingsError, match=r"log-0\.key.*firsthand init"):
        signers(stored.settings)


def test_another_key_encryption_key_opens_nothing(stored: Ledger) -> None:
    (stored.settings.key_folder / "kek").unlink()
    Vault.make(stored.settings.key_folder)
    refused(stored, "cannot be unwrapped with this kek", KeyUnwrapError)


def test_tables_of_an_older_revision(stored: Ledger) -> None:
    sql(stored, "UPDATE alembic_version SET version_num = '0001'")
    refused(stored, f"revision 0001, this code {setup.newest_revision()}; run 'firsthand init'")


def test_tables_of_a_newer_version_are_left_alone(stored: Ledger) -> None:
    sql(stored, "UPDATE alembic_version SET version_num = '9999'")
    newer = f"revision 9999, this code {setup.newest_revision()}; run the newer version"
    refused(stored, newer)
    with pytest.raises(PreconditionFailed, match=newer):
        init(stored.settings)


@pytest.mark.parametrize("change", ["DELETE FROM {}", "DROP TABLE {}"])
def test_tables_that_do_not_say_their_revision(stored: Ledger, change: str) -> None:
    sql(stored, change.format("alembic_version"))
    says = (
        "revision of the tables is unknown: alembic_version is empty or missing; restore a backup"
    )
    refused(stored, says)
    with pytest.raises(PreconditionFailed, match=says):
        init(stored.settings)


def test_nothing_but_an_empty_revision_is_no_ledger(stored: Ledger, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    stored.settings = replace(stored.settings, database_url=url, database_owner_url=url)
    opened = engine.connect(url, write=True, owner=True)
    with engine.transaction(opened) as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT NOT NULL)"))
    opened.dispose()
    refused(stored, "this database contains no ledger; run 'firsthand init'")
    init(stored.settings)
    open_store(stored.settings, write=False)[0].dispose()


def test_another_format(stored: Ledger) -> None:
    sql(stored, "UPDATE ledger SET format = 2")
    refused(stored, "format 2, this code format 1")


def test_tables_without_a_ledger(stored: Ledger) -> None:
    sql(stored, "DELETE FROM ledger")
    refused(stored, "this database contains no ledger; run 'firsthand init'")


def test_a_database_without_tables(stored: Ledger, database: Database, tmp_path: Path) -> None:
    if database.kind == "sqlite":
        url = f"sqlite:///{tmp_path}/empty.db"
        engine.connect(url, write=True, owner=True).connect().close()
    else:
        url = make_url(database.owner_url).set(database="postgres").render_as_string(False)
    stored.settings = replace(stored.settings, database_url=url)
    refused(stored, "this database contains no ledger; run 'firsthand init'")


def test_no_database_at_all(stored: Ledger, tmp_path: Path) -> None:
    stored.settings = replace(stored.settings, database_url=f"sqlite:///{tmp_path}/none.db")
    refused(stored, r"no ledger at .*none\.db; run 'firsthand init'")
    assert not (tmp_path / "none.db").exists()


def test_entries_beyond_the_head(stored: Ledger) -> None:
    with stored.as_services() as connection:
        connection.execute(insert(tables.entries), [ROW])
    refused(stored, "log 0 has 1 entries and a head of size 0; run 'firsthand replay --all'")


def test_a_head_beyond_the_entries(stored: Ledger) -> None:
    sql(stored, "UPDATE heads SET size = 3")
    refused(stored, "log 0 has 0 entries and a head of size 3")


def test_a_log_without_a_head(stored: Ledger) -> None:
    sql(stored, "DELETE FROM heads")
    refused(stored, "log 0 has 0 entries and no head")


def test_whoever_starts_while_another_writes_is_not_alarmed(on_valkey: Ledger) -> None:
    """The head and the entries are looked at in one moment."""
    over = False

    def write() -> None:
        nonlocal over
        projector = on_valkey.projector()
        for number in range(60):
            on_valkey.post(ada.starts(f"Ada {number}"))
            on_valkey.drain(projector)
        over = True

    def look() -> None:
        opened = engine.connect(on_valkey.database.app_url, write=False)
        while not over:
            with engine.transaction(opened) as connection:
                setup.check_ledger(connection, partitions=1)
        opened.dispose()

    with Together(write, look):
        pass
    assert len(on_valkey.rows()) == 60


class Careless(PostgresServer):
    """A cluster that answers before anything is on the disk."""

    def command(self) -> list[str]:
        """As ever, but for the one setting that the test turns off."""
        told = [each.replace("fsync=on", "fsync=off") for each in super().command()]
        return [*told, "-c", "full_page_writes=off"]


def test_postgresql_must_fsync(tmp_path: Path, in_matrix: Callable[..., None]) -> None:
    if find_postgres() is None:
        pytest.skip(where_postgres_is_sought())
    with Careless() as server, server.database() as database:
        in_matrix(store=database.kind, version=database.version)
        refused(Ledger(tmp_path, database), "PostgreSQL runs with fsync off; set it on")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_must_not_lose_its_wal(stored: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "OLDEST_SQLITE", (99, 0, 0))
    refused(stored, r"SQLite [\d.]+ can lose a WAL; use 3\.51\.3 or newer")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_postgresql_must_not_be_too_old(stored: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "OLDEST_POSTGRESQL", 990000)
    refused(stored, r"PostgreSQL \d+ is too old")
