"""Reading what a replay compares: stored plans, snapshots, people, ids that stand twice."""

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, func, select

from services.ledger.store.tables import entries, people, plans, snapshots

COMPARED = ("heads", "people", "plans", "snapshots", "tiles")
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


def _of(table: Table, log: int, subject: str | None) -> ColumnElement[bool]:
    """One person's rows, whatever log they name; or a whole log's."""
    return table.c.log == log if subject is None else table.c.subject == subject


def elsewhere(connection: Connection, logs: int) -> list[tuple[str, str, int]]:
    """Rows (table, subject, log) of logs that this ledger has not."""
    found = []
    for table in (entries, people, plans, snapshots):
        wanted = select(table.c.subject, table.c.log).where(table.c.log.not_in(range(logs)))
        found += [(table.name, row.subject, row.log) for row in connection.execute(wanted)]
    return found


def stored_plans(
    connection: Connection, log: int, subject: str | None
) -> dict[tuple[str, int], list[str]]:
    """Which tables hold a plan of (subject, sequence); of one person, or of a whole log."""
    found: dict[tuple[str, int], list[str]] = {}
    for name, table in _TABLES.items():
        wanted = select(table.c.subject, table.c.sequence).where(_of(table, log, subject))
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
    wanted = select(people).where(_of(people, log, subject)).order_by(people.c.subject)
    return list(connection.execute(wanted).mappings())
