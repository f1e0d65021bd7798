"""Queries of the audit: entries with their columns, stored plans, snapshots and people."""

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
_SQLITE_TYPES = {LargeBinary: "blob", BigInteger: "integer"}  # any other column holds text
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
    """Yield all entries of a log in constant memory: index, leaf, and `entry.COLUMNS`."""
    query = select(*_COLUMNS).where(entries.c.log == log).order_by(entries.c.index)
    return iter(connection.execute(query, execution_options={"yield_per": CHUNK}))


def entries_about(connection: Connection, log: int, subject: str) -> Iterator[Sequence[Any]]:
    """Yield the entries whose `subject` column names a person, as `entries_in_order` does."""
    conditions = entries.c.log == log, entries.c.subject == subject
    query = select(*_COLUMNS).where(*conditions).order_by(entries.c.index)
    return iter(connection.execute(query, execution_options={"yield_per": CHUNK}))


def duplicate_ids(connection: Connection, log: int) -> dict[tuple[str, str], int]:
    """Return every (author, id) that occurs more than once in a log, with its first index."""
    query = (
        select(entries.c.author, entries.c.id, func.min(entries.c.index).label("first"))
        .where(entries.c.log == log)
        .group_by(entries.c.id, entries.c.author)
        .having(func.count() > 1)
    )
    return {(row.author, row.id): row.first for row in connection.execute(query)}


def missing_tables(connection: Connection) -> list[str]:
    """Return the names of tables that are missing from the database."""
    return sorted({*metadata.tables} - {*inspect(connection).get_table_names()})


def mistyped(connection: Connection) -> Iterator[tuple[str, int, str]]:
    """Yield columns with values of another type, the number of such rows, and the right type.

    SQLite is the only one of the two databases that accepts any value in any column.
    """
    if connection.dialect.name != "sqlite":
        return
    for table in metadata.sorted_tables:
        for column in table.columns:
            expected = _sqlite_type(column)
            query = select(func.count()).select_from(table)
            count = connection.scalar(query.where(func.typeof(column).not_in((expected, "null"))))
            if count:
                yield f"{table.name}.{column.name}", count, expected


def _sqlite_type(column: Column[Any]) -> str:
    names = (name for kind, name in _SQLITE_TYPES.items() if isinstance(column.type, kind))
    return next(names, "text")


def rows_of_unknown_logs(connection: Connection, logs: int) -> list[tuple[str, int]]:
    """Return subject and log of entries in logs that this ledger does not have."""
    outside = or_(entries.c.log < 0, entries.c.log >= logs)
    query = select(entries.c.subject, entries.c.log).where(outside).distinct()
    return [(row.subject, row.log) for row in connection.execute(query)]


def _stored(table: Table) -> Callable[..., Result[Any]]:
    columns = select(table.c.subject, table.c.sequence)
    return query_by_ids(lambda among: columns.where(among(table.c.subject)))


_STORED = {name: _stored(table) for name, table in _TABLES.items()}


def stored_plans(
    connection: Connection, subjects: Iterable[str]
) -> dict[str, dict[int, list[str]]]:
    """Return the tables that hold a plan of these people: subject -> sequence -> tables."""
    tables: dict[str, dict[int, list[str]]] = {}
    names = list(subjects)
    for table, execute in _STORED.items():
        for row in execute(connection, names).mappings():
            tables.setdefault(row["subject"], {}).setdefault(row["sequence"], []).append(table)
    return tables


def stored_plan(connection: Connection, table: str, subject: str, sequence: int) -> RowMapping:
    """Return one row of `plans` or `snapshots` that `stored_plans` listed."""
    source = _TABLES[table]
    query = select(source).where(source.c.subject == subject, source.c.sequence == sequence)
    return connection.execute(query).mappings().one()


def subjects(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield (table, person) for every person with a derived row."""
    for table in (people, plans, snapshots):
        query = select(table.c.subject).distinct()
        for (subject,) in connection.execute(query, execution_options={"yield_per": CHUNK}):
            yield table.name, subject


def has_person_rows(connection: Connection, log: int) -> bool:
    """Return whether a log has any row in `people`."""
    query = select(people.c.subject).where(people.c.log == log).limit(1)
    return connection.scalar(query) is not None
