"""Entries are append-only: a privilege, not a promise. Everything is tried, nothing changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError

from services.ledger.store import tables
from tests.contract.ledgers import Ledger

ROW = {
    "log": 0,
    "index": 0,
    "id": "3f0f7c52-5d2e-4f5e-9d0c-6a8e6f1b2c3d",
    "author": "person:ada",
    "subject": "person:ada",
    "kind": "plan",
    "verdict": "accepted",
    "refusal": None,
    "sequence": 1,
    "planversion": 1,
    "recorded": "2026-03-02T12:00:00.000Z",
    "digest": "digest",
    "leaf": b"{}",
}
NEW = ", ".join(f":{name}" for name in ROW)
COLUMNS = ", ".join(f'"{name}"' for name in ROW)
INSERT = f"INTO entries ({COLUMNS}) VALUES ({NEW})"  # noqa: S608 - our own names
UPSERT = f'INSERT {INSERT} ON CONFLICT (log, "index") DO UPDATE SET leaf = excluded.leaf'

EITHER = {
    "update": "UPDATE entries SET verdict = 'refused'",
    "update of nothing new": "UPDATE entries SET leaf = leaf",
    "delete": "DELETE FROM entries",
    "upsert": UPSERT,
    "insert again": f"INSERT {INSERT}",
    "drop": "DROP TABLE entries",
    "rename": "ALTER TABLE entries RENAME TO elsewhere",
    "drop of a column": "ALTER TABLE entries DROP COLUMN digest",
}
ONLY = {
    "sqlite": {
        "replace": f"REPLACE {INSERT}",
        "update or replace": 'UPDATE OR REPLACE entries SET "index" = "index" + 1',
        "drop of a trigger": "DROP TRIGGER entries_no_update",
        "rewriting the schema": "UPDATE sqlite_master SET sql = '' WHERE name = 'entries_no_update'",
    },
    "postgresql": {
        "truncate": "TRUNCATE entries",
        "truncate of the partition": "TRUNCATE entries_0",
        "truncate of everything": "TRUNCATE heads, entries CASCADE",
        "drop of the partition": "DROP TABLE entries_0",
        "detach": "ALTER TABLE entries DETACH PARTITION entries_0",
        "update in the partition": "UPDATE entries_0 SET verdict = 'refused'",
        "delete in the partition": "DELETE FROM entries_0",
        "disable of a trigger": "ALTER TABLE entries_0 DISABLE TRIGGER no_change",
        "drop of a trigger": "DROP TRIGGER no_truncate ON entries",
        "no triggers in this session": "SET session_replication_role = replica",
        "another function": "CREATE OR REPLACE FUNCTION entries_refuse() RETURNS trigger "
        "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "a log of one's own": "SELECT make_log(1)",
        "merge": "MERGE INTO entries USING (SELECT 1) AS one ON true "
        "WHEN MATCHED THEN UPDATE SET verdict = 'refused'",
    },
}
AS_SERVICES = [(kind, *each) for kind in ONLY for each in (EITHER | ONLY[kind]).items()]
REFUSED = r"append-only|not authorized|prohibited|permission denied|must be owner|may not be"


@contextmanager
def unchanged(ledger: Ledger) -> Iterator[None]:
    """Two entries before, the same two after."""
    with ledger.as_services() as connection:
        second = {"index": 1, "id": "another", "digest": "another"}
        connection.execute(insert(tables.entries), [ROW, ROW | second])
    before = ledger.rows()
    assert len(before) == 2
    yield
    assert ledger.rows() == before


def attempt(connection: Connection, statement: str) -> None:
    """Say it with the values of a row that is there, but for its bytes."""
    said = text(statement)
    names = set(said.compile().params)
    connection.execute(said, {name: (ROW | {"leaf": b"forged"})[name] for name in names})


def skip_unless(ledger: Ledger, kind: str) -> None:
    if ledger.kind != kind:
        pytest.skip(f"a statement of {kind}")


@pytest.mark.parametrize(("kind", "name", "statement"), AS_SERVICES)
def test_the_services_cannot(stored: Ledger, kind: str, name: str, statement: str) -> None:
    skip_unless(stored, kind)
    conflict = "|UNIQUE|duplicate key" if name == "insert again" else ""
    with unchanged(stored):
        with (
            pytest.raises(DBAPIError, match=REFUSED + conflict),
            stored.as_services() as connection,
        ):
            attempt(connection, statement)


BY_TRIGGER = [
    ("sqlite", "update"),
    ("sqlite", "update of nothing new"),
    ("sqlite", "delete"),
    ("sqlite", "upsert"),
    ("sqlite", "insert again"),
    ("sqlite", "replace"),
    ("sqlite", "update or replace"),
    ("postgresql", "update"),
    ("postgresql", "update of nothing new"),
    ("postgresql", "delete"),
    ("postgresql", "upsert"),
    ("postgresql", "truncate"),
    ("postgresql", "truncate of the partition"),
    ("postgresql", "truncate of everything"),
    ("postgresql", "update in the partition"),
    ("postgresql", "delete in the partition"),
    ("postgresql", "merge"),
]


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(("kind", "name"), BY_TRIGGER)
def test_even_the_owner_meets_the_triggers(
    stored: Ledger, kind: str, name: str, role: str
) -> None:
    """Replica: the session that PostgreSQL's ordinary triggers do not see."""
    skip_unless(stored, kind)
    with unchanged(stored):
        with pytest.raises(DBAPIError, match="append-only"), stored.as_owner() as connection:
            if kind == "postgresql":
                connection.execute(text(f"SET session_replication_role = {role}"))
            attempt(connection, (EITHER | ONLY[kind])[name])


@pytest.mark.parametrize("taken", ["name", "rowid", "everything"])
def test_replace_finds_no_other_way_round_the_triggers(stored: Ledger, taken: str) -> None:
    """SQLite's REPLACE deletes, without a word to triggers, whatever row stands in its way by
    *any* unique key: the log's place, the event's name and digest, the row's own number."""
    skip_unless(stored, "sqlite")
    row = ROW | {"index": 7, "leaf": b"forged"}
    columns, values = COLUMNS, NEW
    if taken != "name":
        columns, values = f"rowid, {COLUMNS}", f"1, {NEW}"
        row |= {"id": "new", "digest": "new"}
    if taken == "everything":
        row = ROW | {"leaf": b"forged"}
    forged = text(f"INSERT OR REPLACE INTO entries ({columns}) VALUES ({values})")
    for connect in (stored.as_services, stored.as_owner):
        with unchanged(stored) if not stored.rows() else contextmanager(lambda: (yield))():
            with pytest.raises(DBAPIError, match="append-only"), connect() as connection:
                connection.execute(forged, row)


def test_appending_goes_on(stored: Ledger) -> None:
    with stored.as_services() as connection:
        for place in range(3):
            each = {"index": place, "id": f"id-{place}", "digest": f"digest-{place}"}
            connection.execute(insert(tables.entries), [ROW | each])
    assert [row["index"] for row in stored.rows()] == [0, 1, 2]


def test_every_partition_is_guarded_by_the_function_that_makes_it(stored: Ledger) -> None:
    skip_unless(stored, "postgresql")
    with stored.as_owner() as connection:
        connection.execute(text("SELECT make_log(5)"))
    with stored.as_services() as connection:
        connection.execute(insert(tables.entries), [ROW | {"log": 5}])
    for statement in ("UPDATE entries_5 SET leaf = ''", "DELETE FROM entries_5", "TRUNCATE entries_5"):
        with pytest.raises(DBAPIError, match="append-only"), stored.as_owner() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            connection.execute(text(statement))
    assert len(stored.rows()) == 1
