"""Entries are append-only: a privilege, not a promise. Everything is tried, nothing changes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError

from services.ledger.store import tables
from tests.contract.ledgers import Ledger

ROW: dict[str, object] = {
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
INSERT = f"INTO entries ({COLUMNS}) VALUES ({NEW})"
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
        "rewriting the schema": "UPDATE sqlite_master SET sql = '' WHERE type = 'trigger'",
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
CASES = {kind: EITHER | only for kind, only in ONLY.items()}
AS_SERVICES = [
    pytest.param(kind, name, id=f"{kind}-{name}") for kind in CASES for name in CASES[kind]
]
REFUSED = r"append-only|not authorized|prohibited|permission denied|must be owner|may not be"


BY_TRIGGER = {
    "sqlite": {*EITHER, "replace", "update or replace"} - {"drop", "rename", "drop of a column"},
    "postgresql": {
        "update",
        "update of nothing new",
        "delete",
        "upsert",
        "truncate",
        "truncate of the partition",
        "truncate of everything",
        "update in the partition",
        "delete in the partition",
        "merge",
    },
}
AS_OWNER = [
    pytest.param(kind, name, role, id=f"{kind}-{name}-{role}")
    for kind, role in (("sqlite", ""), ("postgresql", "origin"), ("postgresql", "replica"))
    for name in sorted(BY_TRIGGER[kind])
]
# What SQLite's REPLACE deletes, without a word to triggers: whatever row has any unique key of
# the new one. Keys that differ, and by which key it still is the old row.
IN_THE_WAY: dict[str, dict[str, object]] = {
    "by the event's name and digest": {"index": 7},
    "by the row's own number": {"index": 7, "id": "new", "digest": "new", "rowid": 1},
    "by the number, and elsewhere": {"log": 3, "index": 9, "id": "a", "digest": "b", "rowid": 2},
    "by its place": {"id": "new", "digest": "new"},
    "by all of them": {"rowid": 1},
}


@contextmanager
def unchanged(ledger: Ledger) -> Iterator[None]:
    """Two entries before, the same two after."""
    if not ledger.rows():
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


@pytest.mark.parametrize(
    ("kept_for_module", "name"), AS_SERVICES, indirect=["kept_for_module"], scope="module"
)
def test_the_services_cannot(kept: Ledger, name: str) -> None:
    conflict = "|UNIQUE|duplicate key" if name == "insert again" else ""
    refused = pytest.raises(DBAPIError, match=REFUSED + conflict)
    with unchanged(kept), refused, kept.as_services() as connection:
        attempt(connection, CASES[kept.kind][name])


@pytest.mark.parametrize(
    ("kept_for_module", "name", "role"), AS_OWNER, indirect=["kept_for_module"], scope="module"
)
def test_even_the_owner_meets_the_triggers(kept: Ledger, name: str, role: str) -> None:
    """In the role "replica", too: a session that PostgreSQL's ordinary triggers do not see."""
    refused = pytest.raises(DBAPIError, match="append-only")
    with unchanged(kept), refused, kept.as_owner() as connection:
        if role:
            connection.execute(text(f"SET session_replication_role = {role}"))
        attempt(connection, CASES[kept.kind][name])


@pytest.mark.parametrize("way", IN_THE_WAY)
@pytest.mark.parametrize("kept_for_module", ["sqlite"], indirect=True)
def test_replace_finds_no_way_round_the_triggers(kept: Ledger, way: str) -> None:
    row = ROW | {"leaf": b"forged"} | IN_THE_WAY[way]
    columns = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(f":{name}" for name in row)
    forged = text(f"REPLACE INTO entries ({columns}) VALUES ({values})")
    for connect in (kept.as_services, kept.as_owner):
        refused = pytest.raises(DBAPIError, match="append-only")
        with unchanged(kept), refused, connect() as connection:
            connection.execute(forged, row)


def test_appending_goes_on(stored: Ledger) -> None:
    with stored.as_services() as connection:
        for place in range(3):
            each = {"index": place, "id": f"id-{place}", "digest": f"digest-{place}"}
            connection.execute(insert(tables.entries), [ROW | each])
    assert [row["index"] for row in stored.rows()] == [0, 1, 2]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_every_partition_is_guarded_by_the_function_that_makes_it(stored: Ledger) -> None:
    with stored.as_owner() as connection:
        connection.execute(text("SELECT make_log(5)"))
    with stored.as_services() as connection:
        connection.execute(insert(tables.entries), [ROW | {"log": 5}])
    for change in ("UPDATE entries_5 SET leaf = ''", "DELETE FROM entries_5", "TRUNCATE entries_5"):
        replica = f"SET session_replication_role = replica; {change}"
        with pytest.raises(DBAPIError, match="append-only"), stored.as_owner() as connection:
            connection.execute(text(replica))
    assert len(stored.rows()) == 1
