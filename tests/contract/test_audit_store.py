"""`firsthand audit` and `replay` of a store that lacks something, or holds the wrong sort."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, text

from services.cli import main
from tests.contract.audited import report
from tests.contract.ledgers import GUARDS, Ledger
from tests.contract.tampering import findings
from tests.given import ADA, ada, started

on_sqlite = pytest.mark.parametrize("lived_once", ["sqlite"], indirect=True, scope="module")


def spoilt(ledger: Ledger, *statements: str) -> None:
    """Do as the owner may, past the guards."""
    off = "ALTER TABLE {} DISABLE TRIGGER ALL" if ledger.kind == "postgresql" else "DROP TRIGGER {}"
    with ledger.as_owner() as connection:
        for name in connection.scalars(text(GUARDS[ledger.kind])).all():
            connection.execute(text(off.format(name)))
        for each in statements:
            connection.execute(text(each))


def found(ledger: Ledger) -> set[tuple[str, str]]:
    told = report(env=ledger.environment, code=1)
    return {(each["code"], each["field"]) for each in told["findings"]}


def test_guards_that_are_gone_are_named(on_valkey: Ledger) -> None:
    assert report(env=on_valkey.environment)["found"] == 0
    spoilt(on_valkey)
    assert found(on_valkey) == {("ledger", "entries")}


def test_a_table_that_is_missing_is_named(on_valkey: Ledger) -> None:
    spoilt(on_valkey, "DROP TABLE plans", "DROP TABLE snapshots")
    assert found(on_valkey) == {("ledger", "plans"), ("ledger", "snapshots")}


@on_sqlite
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("entries.leaf", 'UPDATE entries SET leaf = CAST(leaf AS TEXT) WHERE "index" = 7'),
        ("checkpoints.checkpoint", "INSERT INTO checkpoints VALUES (0, 7, 0, x'00', '2099')"),
        ("keys.wrapped", "UPDATE keys SET wrapped = hex(wrapped) WHERE subject <> 'ledger'"),
    ],
)
def test_a_column_that_holds_what_it_cannot_is_named(lived: Ledger, name: str, change: str) -> None:
    def changed(connection: Connection) -> None:
        connection.execute(text(change))

    found = findings(lived, changed)
    assert ("ledger", name) in {(each.code, each.field) for each in found}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE entries SET subject = 'person:eve' WHERE sequence = 2", "3 follows 1"),
        ("UPDATE entries SET leaf = '' WHERE sequence = 2", "are not a canonical entry"),
    ],
)
def test_going_through_a_stream_that_is_not_whole_ends_in_one_line(
    on_valkey: Ledger, change: str, says: str
) -> None:
    on_valkey.post(started, ada.states(), ada.states("Run."))
    on_valkey.drain()
    spoilt(on_valkey, change)
    done = CliRunner().invoke(main, ["replay", ADA, "--step"], env=on_valkey.environment)
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert says in done.stderr


ASKED = (["replay", "--all"], ["replay", ADA], ["replay", ADA, "--step"], ["init"], ["audit"])


def unanswered(words: list[str], env: dict[str, str]) -> None:
    """The command ends in one line, with the status of what is away."""
    done = CliRunner().invoke(main, words, env=env)
    assert (done.exit_code, len(done.stderr.splitlines())) == (3, 1), done.output
    assert done.stderr.startswith("firsthand: The database is unavailable (")


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_told_in_one_line(stored: Ledger, words: list[str]) -> None:
    away = "postgresql+psycopg://x@127.0.0.1:1/x"
    nowhere = {"FIRSTHAND_DATABASE_URL": away, "FIRSTHAND_DATABASE_OWNER_URL": away}
    unanswered(words, stored.environment | nowhere)


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_file_that_is_no_database_is_told_in_one_line(
    stored: Ledger, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "spoilt.db").write_bytes(bytes(range(256)) * 64)
    spoilt = f"sqlite:///{tmp_path}/spoilt.db"
    nothing = {"FIRSTHAND_DATABASE_URL": spoilt, "FIRSTHAND_DATABASE_OWNER_URL": spoilt}
    unanswered(words, stored.environment | nothing)


@pytest.mark.parametrize("words", ASKED[:3], ids=" ".join)
def test_a_replay_says_which_table_is_missing(stored: Ledger, words: list[str]) -> None:
    spoilt(stored, "DROP TABLE snapshots")
    done = CliRunner().invoke(main, words, env=stored.environment)
    says = "firsthand: tables are missing: snapshots; restore a copy of the database\n"
    assert (done.exit_code, done.stderr) == (3, says)
