"""Reading what an audit compares: entries with their columns, stored plans, snapshots, people."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    Result,
    RowMapping,
    Table,
    func,
    inspect,
    or_,
    select,
)

from services.ledger.store.bulk import query_by_ids
from services.ledger.store.tables import entries, metadata, people, plans, snapshots

CHUNK = 2_000
_HELD = {LargeBinary: "blob", BigInteger: "integer"}  # by SQLite; any other column holds text
_TABLES: dict[str, Table] = {"plans": plans, "snapshots": snapshots}
_COLUMNS = (
    entries.c.index,
    entries.c.leaf,
    entries.c.id,
    entries.c.author,
    entries.c.subject,
    entries.c.kind,
    entries.c.verdict,
    entries.c.refusal,
    entries.c.sequence,
    entries.c.planversion,
    entries.c.recorded,
    entries.c.digest,
)


def entries_in_order(connection: Connection, log: int) -> Iterator[Sequence[Any]]:
    """All entries of a log: index, leaf, and the columns of `entry.COLUMNS`; memory stays flat."""
    wanted = select(*_COLUMNS).where(entries.c.log == log).order_by(entries.c.index)
    return iter(connection.execute(wanted, execution_options={"yield_per": CHUNK}))


def entries_about(connection: Connection, log: int, subject: str) -> Iterator[Sequence[Any]]:
    """The same, of one person, as a column says."""
    about = entries.c.log == log, entries.c.subject == subject
    wanted = select(*_COLUMNS).where(*about).order_by(entries.c.index)
    return iter(connection.execute(wanted, execution_options={"yield_per": CHUNK}))


def duplicate_ids(connection: Connection, log: int) -> dict[tuple[str, str], int]:
    """The (author, id) that stand more than once in a log, and the first place of each."""
    wanted = (
        select(entries.c.author, entries.c.id, func.min(entries.c.index).label("first"))
        .where(entries.c.log == log)
        .group_by(entries.c.id, entries.c.author)
        .having(func.count() > 1)
    )
    return {(row.author, row.id): row.first for row in connection.execute(wanted)}


def missing_tables(connection: Connection) -> list[str]:
    """The tables that the database should have, and has not."""
    return sorted({*metadata.tables} - {*inspect(connection).get_table_names()})


def mistyped(connection: Connection) -> Iterator[tuple[str, int, str]]:
    """Columns that hold what they cannot, in how many rows, and what they should hold. SQLite
    alone lets any value into any column.
    """
    if connection.dialect.name != "sqlite":
        return
    for table in metadata.sorted_tables:
        for column in table.columns:
            held = _held(column)
            wanted = select(func.count()).select_from(table)
            odd = connection.scalar(wanted.where(func.typeof(column).not_in((held, "null"))))
            if odd:
                yield f"{table.name}.{column.name}", odd, held


def _held(column: Column[Any]) -> str:
    kinds = (held for kind, held in _HELD.items() if isinstance(column.type, kind))
    return next(kinds, "text")


def rows_of_unknown_logs(connection: Connection, logs: int) -> list[tuple[str, int]]:
    """Whom entries are about that stand in logs which this ledger has not, and these."""
    outside = or_(entries.c.log < 0, entries.c.log >= logs)
    wanted = select(entries.c.subject, entries.c.log).where(outside).distinct()
    return [(row.subject, row.log) for row in connection.execute(wanted)]


def _stored(table: Table) -> Callable[..., Result[Any]]:
    of_them = select(table.c.subject, table.c.sequence)
    return query_by_ids(lambda among: of_them.where(among(table.c.subject)))


_STORED = {name: _stored(table) for name, table in _TABLES.items()}


def stored_plans(
    connection: Connection, subjects: Iterable[str]
) -> dict[str, dict[int, list[str]]]:
    """Which tables hold a plan of these people: subject -> sequence -> tables."""
    found: dict[str, dict[int, list[str]]] = {}
    names = list(subjects)
    for table, ask in _STORED.items():
        for row in ask(connection, names).mappings():
            found.setdefault(row["subject"], {}).setdefault(row["sequence"], []).append(table)
    return found


def stored_plan(connection: Connection, table: str, subject: str, sequence: int) -> RowMapping:
    """One row of `plans` or `snapshots`, found by `stored_plans` before."""
    where = _TABLES[table]
    wanted = select(where).where(where.c.subject == subject, where.c.sequence == sequence)
    return connection.execute(wanted).mappings().one()


def subjects(connection: Connection) -> Iterator[tuple[str, str]]:
    """(table, person) of everybody of whom something is stored."""
    for table in (people, plans, snapshots):
        wanted = select(table.c.subject).distinct()
        for (subject,) in connection.execute(wanted, execution_options={"yield_per": CHUNK}):
            yield table.name, subject


def keeps_people(connection: Connection, log: int) -> bool:
    """Whether there is a row of anybody in a log."""
    wanted = select(people.c.subject).where(people.c.log == log).limit(1)
    return connection.scalar(wanted) is not None
