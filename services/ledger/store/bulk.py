"""Bulk inserts, and queries by many ids, in the fastest way of each database.

SQLAlchemy's standard ways (a parameter for every value of an IN, a dictionary for every row) double
the cost; a batch handles a thousand rows and ids.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Result,
    Select,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

Row = Mapping[str, Any]
Among = Callable[[ColumnElement[Any]], ColumnElement[bool]]


def query_by_ids(build: Callable[[Among], Select[Any]]) -> Callable[..., Result[Any]]:
    """Prepare a query by many ids and return `execute(connection, names, **parameters)`.

    `build` makes the query from `among`, a condition that a column is one of the names. It is
    called once for each database. The names are sent as one parameter.
    """

    @cache
    def query(dialect: str) -> Select[Any]:
        return build(partial(_among, dialect))

    def execute(
        connection: Connection, names: Iterable[object], **parameters: object
    ) -> Result[Any]:
        encoded = orjson.dumps(list(names)).decode()
        return connection.execute(query(connection.dialect.name), {**parameters, "names": encoded})

    return execute


def _among(dialect: str, column: ColumnElement[Any]) -> ColumnElement[bool]:
    if dialect == "postgresql":
        element = func.json_array_elements_text(cast(bindparam("names", type_=Text), JSON))
        listed = func.array(
            select(cast(element, column.type)).scalar_subquery(), type_=ARRAY(column.type)
        )
        return column == any_(listed)
    elements = func.json_each(bindparam("names")).table_valued("value")
    return column.in_(select(elements.c.value))


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows; the database rejects any that conflicts with a unique key."""
    if not rows:
        return
    names = list(rows[0])
    values = map(itemgetter(*names), rows)
    into = f"{table.name} ({_listed(names)})"
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()  # the cursor of psycopg
        with cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([_kind(connection, table, name).lower() for name in names])
            for row in values:
                copy.write_row(row)
        return
    statement = f"INSERT INTO {into} VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - constants only
    connection.exec_driver_sql(statement, list(values))


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert or replace rows by primary key; used for derived tables only."""
    if not rows:
        return
    names = table.c.keys()
    keys = _listed(table.primary_key.c.keys())
    changed = [name for name in names if not table.c[name].primary_key]
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in changed)
    into = f"INSERT INTO {table.name} ({_listed(names)})"
    on_conflict = f"ON CONFLICT ({keys}) DO UPDATE SET {replaced}"
    values = map(itemgetter(*names), rows)
    if connection.dialect.name == "postgresql":  # one statement with an array for every column
        arrays = ", ".join(f"%b::{_kind(connection, table, name)}[]" for name in names)
        columns = tuple(map(list, zip(*values, strict=True)))
        statement = f"{into} SELECT * FROM unnest({arrays}) {on_conflict}"  # noqa: S608 - constants only
        connection.exec_driver_sql(statement, columns)
        return
    placeholders = ", ".join("?" * len(names))
    connection.exec_driver_sql(f"{into} VALUES ({placeholders}) {on_conflict}", list(values))


def _kind(connection: Connection, table: Table, name: str) -> str:
    """Return the name of a column's type in this database."""
    return table.c[name].type.compile(connection.dialect)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
