"""Reading what a replay compares: stored plans, snapshots, people, ids that stand twice."""

from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, select

from services.ledger.store.tables import entries, people, plans, snapshots

COMPARED = ("heads", "people", "plans", "snapshots")
_TABLES: dict[str, Table] = {"plans": plans, "snapshots": snapshots}


def names_twice(connection: Connection, log: int) -> dict[tuple[str, str], int]:
    """The (author, id) that stand more than once in a log, and the first place of each."""
    wanted = (
        select(entries.c.author, entries.c.id, func.min(entries.c.index).label("first"))
        .where(entries.c.log == log)
        .group_by(entries.c.id, entries.c.author)
        .having(func.count() > 1)
    )
    return {(row.author, row.id): row.first for row in connection.execute(wanted)}


def stored_plans(
    connection: Connection, log: int, subject: str | None
) -> dict[tuple[str, int], list[str]]:
    """Which tables hold a plan of (subject, sequence); of one person, or of a whole log."""
    found: dict[tuple[str, int], list[str]] = {}
    for name, table in _TABLES.items():
        wanted = select(table.c.subject, table.c.sequence).where(table.c.log == log)
        if subject is not None:
            wanted = wanted.where(table.c.subject == subject)
        for row in connection.execute(wanted):
            found.setdefault((row.subject, row.sequence), []).append(name)
    return found


def stored_plan(connection: Connection, table: str, subject: str, sequence: int) -> RowMapping:
    """One row of `plans` or `snapshots`, found by `stored_plans` before."""
    where = _TABLES[table]
    wanted = select(where).where(where.c.subject == subject, where.c.sequence == sequence)
    return connection.execute(wanted).mappings().one()


def people_rows(connection: Connection, log: int, subject: str | None) -> list[RowMapping]:
    """Where people's streams stand, by the table."""
    wanted: Any = select(people).where(people.c.log == log).order_by(people.c.subject)
    if subject is not None:
        wanted = wanted.where(people.c.subject == subject)
    return list(connection.execute(wanted).mappings())
