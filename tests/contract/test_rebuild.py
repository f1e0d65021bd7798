"""Derived tables are folded anew beside the old and switched at once; nobody waits, nobody sees a
mix, and whatever was spoiled is right again.
"""

import json
import os
import subprocess
import sys
import threading
from typing import Any, cast

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, text

from services.cli import main
from services.cli import rebuild as rebuild_command
from services.ledger.fold import PersonState, apply_entry, open_plan, unwrap_keys
from services.ledger.log import entry
from services.ledger.plan.model import Plan, dump
from services.ledger.queries.reader import Reader
from services.ledger.store import reads
from services.ledger.store.database import Row, lock_writer
from services.ledger.vault import Vault
from shared.crashpoints import COMMAND_POINTS
from tests.contract.ledgers import Ledger, Together
from tests.contract.tampering import spoil
from tests.contract.workers import ROOT, Worker, until_drained
from tests.given import ADA, EVE, about, ada, eve
from tests.process import PATIENCE

TABLES = ("people", "plans", "snapshots", "tiles")


def rebuild(ledger: Ledger, *words: str, code: int = 0) -> dict[str, Any]:
    """`firsthand rebuild --json`, as it is typed."""
    done = CliRunner().invoke(main, ["rebuild", "--json", *words], env=ledger.environment)
    assert done.exit_code == code, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def clean(ledger: Ledger) -> None:
    """Neither a replay nor a rebuild finds anything, and each table has its rows."""
    assert ledger.replay().findings == []
    assert rebuild(ledger, "--check")["findings"] == []
    assert all(ledger.table(name) for name in TABLES)


def stored(ledger: Ledger) -> list[tuple[object, ...]]:
    """Every derived row, plans as the bytes that are sealed in them."""
    vault = Vault.from_folder(ledger.settings.key_folder)
    with ledger.as_services(write=False) as connection:
        unwrap_keys(connection, vault, {row["subject"] for row in ledger.table("people")})
    return [
        tuple(
            dump(open_plan(vault, cast(Row, row))) if name == "plan" else row[name] for name in row
        )
        for table in TABLES
        for row in ledger.table(table)
    ]


def change(ledger: Ledger, *changes: Any) -> None:
    """Change stored rows for good, as the owner."""
    with ledger.as_owner() as connection:
        for each in changes:
            each(connection)


def test_what_is_right_stays_as_it_is_to_the_byte(lived_once: Ledger) -> None:
    before = [lived_once.table(name) for name in TABLES]
    assert rebuild(lived_once, "--check") == rebuild(lived_once)
    assert rebuild(lived_once) == {
        "entries": len(lived_once.rows()),
        "findings": [],
        "switched": False,
    }
    assert [lived_once.table(name) for name in TABLES] == before


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("people", "sequence"),
        ("plans", "plan"),
        ("plans", "rules"),
        ("snapshots", "sequence"),
        ("snapshots", "plan"),
        ("tiles", "index"),
        ("tiles", "hashes"),
    ],
)
def test_a_row_that_is_spoiled_is_named_and_mended(
    lived_once: Ledger, table: str, column: str
) -> None:
    change(lived_once, spoil(table, column))
    before = stored_raw(lived_once)
    told = rebuild(lived_once, "--check", code=1)
    assert stored_raw(lived_once) == before, "a check changed something"
    finding = next(each for each in told["findings"] if each["table"] == table)
    assert finding["log"] == 0
    assert (finding["person"], finding["sequence"] is None) in ((ADA, False), (None, True))
    assert rebuild(lived_once)["switched"]
    clean(lived_once)


def stored_raw(ledger: Ledger) -> list[list[dict[str, Any]]]:
    return [ledger.table(name) for name in TABLES]


def test_what_is_gone_comes_back_the_same_each_time(lived_once: Ledger) -> None:
    found = []
    for _ in range(2):
        change(
            lived_once, *(lambda c, n=name: c.execute(text(f"DELETE FROM {n}")) for name in TABLES)
        )
        told = rebuild(lived_once)
        assert {each["table"] for each in told["findings"]} >= {"people", "plans", "tiles"}
        clean(lived_once)
        found.append(stored(lived_once))
    assert found[0] == found[1]
    assert len(lived_once.table("snapshots")) > 1


def test_rows_of_nobody_go(lived_once: Ledger) -> None:
    def stray(connection: Connection) -> None:
        connection.execute(text("INSERT INTO people VALUES ('person:none', 0, 3, 3)"))
        connection.execute(text("INSERT INTO people VALUES ('person:far', 7, 3, 3)"))
        row = "SELECT 'person:none', log, sequence, planversion, rules, plan FROM plans LIMIT 1"
        connection.execute(text(f"INSERT INTO plans {row}"))

    change(lived_once, stray)
    told = rebuild(lived_once)
    assert {each["person"] for each in told["findings"]} == {"person:none", "person:far"}
    clean(lived_once)


@pytest.fixture
def small(on_valkey: Ledger) -> Ledger:
    """A ledger of two people, one of whom has a stored plan."""
    told = (ada.writes("Food", f"Fish {number}") for number in range(40))
    on_valkey.post(ada.starts(), about(EVE, eve.starts()), *told)
    on_valkey.drain()
    return on_valkey


def test_entries_that_are_not_those_of_the_head_are_nothing_to_build_on(small: Ledger) -> None:
    change(small, spoil("heads", "root"), spoil("people", "sequence"))
    before = stored_raw(small)
    told = rebuild(small, code=1)
    assert {each["table"] for each in told["findings"]} >= {"heads", "people"}
    assert not told["switched"]
    assert stored_raw(small) == before


def test_a_person_whose_key_is_missing_stays_as_they_are(small: Ledger) -> None:
    change(small, spoil("people", "sequence"))
    small.change("DELETE FROM keys WHERE subject = :who", who=EVE)
    before = [row for row in small.table("people") if row["subject"] == EVE]
    told = rebuild(small, code=1)
    (left,) = [each for each in told["findings"] if not each["mends"]]
    assert (left["table"], left["person"]) == ("entries", EVE)
    assert [row for row in small.table("people") if row["subject"] == EVE] == before
    assert small.replay(ADA).findings == []


@pytest.mark.parametrize("place", [each for each in COMMAND_POINTS if each.startswith("rebuild")])
def test_a_crash_leaves_the_old_or_the_new(small: Ledger, place: str) -> None:
    change(small, spoil("people", "sequence"), spoil("plans", "plan"))
    before = stored_raw(small)
    told = small.environment | {"FIRSTHAND_CRASH_AT": place, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "services.cli", "rebuild"]
    assert subprocess.run(command, env={**os.environ, **told}, check=False).returncode == -9
    if place == "rebuild-switched":
        assert small.replay().findings == []
    else:
        assert stored_raw(small) == before
    rebuild(small)
    assert rebuild(small, "--check")["findings"] == []
    assert not list(small.settings.data.glob("rebuild.*"))


def test_readers_and_a_worker_go_on_meanwhile(small: Ledger) -> None:
    """On SQLite the worker holds the lock, and is asked to switch."""
    vault = Vault.from_folder(small.settings.key_folder)
    over = threading.Event()

    def write() -> None:
        for number in range(200):
            small.post(ada.writes("Home", f"Window {number}"))
            if over.is_set():
                return

    def read() -> None:
        while not over.is_set():
            with small.as_services(write=False) as connection:
                unwrap_keys(connection, vault, [ADA])
                person = PersonState(Plan(ADA))
                for row in reads.entries_in_sequence(connection, 0, ADA, after=0):
                    apply_entry(vault, person, entry.parse(row["leaf"]))
                shown = Reader(connection, vault, 0, ADA).plan()
                assert shown is not None
                assert dump(shown) == dump(person.plan)

    with Worker(small) as worker, Together(write, read):
        for _ in range(2):
            change(small, spoil("plans", "plan"), spoil("people", "planversion"))
            assert rebuild(small)["switched"]
        over.set()
        until_drained(small, PATIENCE)
        assert worker.terminate() == 0
    assert small.replay().findings == []
    assert rebuild(small, "--check")["findings"] == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_writer_that_does_not_answer_is_named(small: Ledger) -> None:
    change(small, spoil("people", "sequence"))
    before = stored_raw(small)
    lock = lock_writer(small.settings.data.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuild_command, "PATIENCE", 0.2)
        done = CliRunner().invoke(main, ["rebuild"], env=small.environment)
    lock.close()
    assert (done.exit_code, "did not respond; stop it" in done.output) == (3, True)
    assert stored_raw(small) == before
    assert not list(small.settings.data.parent.glob("rebuild.*"))
