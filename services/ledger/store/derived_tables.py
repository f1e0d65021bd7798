"""Writing derived tables anew: rows that go, and rows in the place of others of their key."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from services.ledger.store.tables import entries, metadata, people, plans, snapshots, tiles

Columns = Mapping[str, Any]


def remove(connection: Connection, table: str, columns: Columns) -> None:
    """Remove the rows of a derived table that have these columns."""
    where = metadata.tables[table]
    same = [where.c[name] == value for name, value in columns.items()]
    connection.execute(delete(where).where(*same))


def replace(connection: Connection, table: str, row: Columns) -> None:
    """Put a row into a derived table in place of one of its key."""
    where = metadata.tables[table]
    remove(connection, table, {key.name: row[key.name] for key in where.primary_key})
    connection.execute(insert(where), [row])


def delete_snapshots_after(connection: Connection, subject: str, sequence: int) -> None:
    """Remove a person's snapshots past a sequence."""
    past = snapshots.c.subject == subject, snapshots.c.sequence > sequence
    connection.execute(delete(snapshots).where(*past))


def tile_positions(connection: Connection, log: int) -> list[tuple[int, int]]:
    """Level and number of every kept tile of a log."""
    wanted = select(tiles.c.level, tiles.c.index).where(tiles.c.log == log)
    return [(row[0], row[1]) for row in connection.execute(wanted)]


def stored_plan_positions(connection: Connection, log: int) -> dict[tuple[str, int], list[str]]:
    """Which tables hold a plan of (subject, sequence) that says it is of this log."""
    found: dict[tuple[str, int], list[str]] = {}
    for table in (plans, snapshots):
        wanted = select(table.c.subject, table.c.sequence).where(table.c.log == log)
        for subject, sequence in connection.execute(wanted):
            found.setdefault((subject, sequence), []).append(table.name)
    return found


def plan_at(connection: Connection, table: str, subject: str, sequence: int) -> RowMapping:
    """One row of `plans` or `snapshots`, found by `places` before."""
    where = metadata.tables[table]
    wanted = select(where).where(where.c.subject == subject, where.c.sequence == sequence)
    return connection.execute(wanted).mappings().one()


def person_rows(connection: Connection, log: int) -> dict[str, RowMapping]:
    """The rows of `people` that say they are of this log, by subject."""
    wanted = select(people).where(people.c.log == log)
    return {row["subject"]: row for row in connection.execute(wanted).mappings()}


def delete_rows_of_unknown_logs(connection: Connection, logs: int) -> list[tuple[str, str, int]]:
    """Rows (table, subject, log) of logs that this ledger has not."""
    found = []
    for table in (entries, people, plans, snapshots):
        outside = table.c.log.not_in(range(logs))
        wanted = select(table.c.subject, table.c.log).where(outside).distinct()
        found += [(table.name, row[0], row[1]) for row in connection.execute(wanted)]
    return found
