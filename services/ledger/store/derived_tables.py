"""Repair of derived tables: queries, deletes and replacements of single rows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from services.ledger.store.tables import entries, metadata, people, plans, snapshots, tiles

Columns = Mapping[str, Any]


def remove(connection: Connection, table: str, columns: Columns) -> None:
    """Delete the rows of a derived table that have these columns."""
    target = metadata.tables[table]
    conditions = [target.c[name] == value for name, value in columns.items()]
    connection.execute(delete(target).where(*conditions))


def replace(connection: Connection, table: str, row: Columns) -> None:
    """Insert a row into a derived table, or replace the row with the same key."""
    target = metadata.tables[table]
    remove(connection, table, {key.name: row[key.name] for key in target.primary_key})
    connection.execute(insert(target), [row])


def delete_snapshots_after(connection: Connection, subject: str, sequence: int) -> None:
    """Delete a person's snapshots past a sequence."""
    conditions = snapshots.c.subject == subject, snapshots.c.sequence > sequence
    connection.execute(delete(snapshots).where(*conditions))


def tile_positions(connection: Connection, log: int) -> list[tuple[int, int]]:
    """Return level and number of every stored tile of a log."""
    query = select(tiles.c.level, tiles.c.index).where(tiles.c.log == log)
    return [(row[0], row[1]) for row in connection.execute(query)]


def stored_plan_positions(connection: Connection, log: int) -> dict[tuple[str, int], list[str]]:
    """Return the tables that hold a plan of (subject, sequence) with this `log` column."""
    tables: dict[tuple[str, int], list[str]] = {}
    for table in (plans, snapshots):
        query = select(table.c.subject, table.c.sequence).where(table.c.log == log)
        for subject, sequence in connection.execute(query):
            tables.setdefault((subject, sequence), []).append(table.name)
    return tables


def plan_at(connection: Connection, table: str, subject: str, sequence: int) -> RowMapping:
    """Return one row of `plans` or `snapshots` that `stored_plan_positions` listed."""
    source = metadata.tables[table]
    query = select(source).where(source.c.subject == subject, source.c.sequence == sequence)
    return connection.execute(query).mappings().one()


def person_rows(connection: Connection, log: int) -> dict[str, RowMapping]:
    """Return the rows of `people` with this `log` column, by subject."""
    query = select(people).where(people.c.log == log)
    return {row["subject"]: row for row in connection.execute(query).mappings()}


def delete_rows_of_unknown_logs(connection: Connection, logs: int) -> list[tuple[str, str, int]]:
    """Return rows (table, subject, log) of logs that this ledger does not have."""
    rows = []
    for table in (entries, people, plans, snapshots):
        outside = table.c.log.not_in(range(logs))
        query = select(table.c.subject, table.c.log).where(outside).distinct()
        rows += [(table.name, row[0], row[1]) for row in connection.execute(query)]
    return rows
