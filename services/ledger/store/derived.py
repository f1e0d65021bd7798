"""Writing derived tables anew: rows that go, and rows in the place of others of their key."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from services.ledger.store.tables import metadata, snapshots, tiles

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


def snapshots_past(connection: Connection, subject: str, sequence: int) -> None:
    """Remove a person's snapshots past a sequence."""
    past = snapshots.c.subject == subject, snapshots.c.sequence > sequence
    connection.execute(delete(snapshots).where(*past))


def tile_places(connection: Connection, log: int) -> list[tuple[int, int]]:
    """Level and number of every kept tile of a log."""
    wanted = select(tiles.c.level, tiles.c.index).where(tiles.c.log == log)
    return [(row[0], row[1]) for row in connection.execute(wanted)]
