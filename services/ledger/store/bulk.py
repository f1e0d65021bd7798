"""Many rows at once, and rows by many names, each as its database does it quickest.

SQLAlchemy's own ways (a parameter for each value of an IN, a dictionary for each row) cost as much
again as the rows themselves; a batch touches a thousand of each.
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
    """A question about many names: `ask(connection, names, **parameters)`.

    `build` makes the query from `among`, which says that a column is one of the names. It is made
    once for each database; the names travel as one parameter.
    """

    @cache
    def query(dialect: str) -> Select[Any]:
        return build(partial(_among, dialect))

    def ask(connection: Connection, names: Iterable[object], **given: object) -> Result[Any]:
        dialect = connection.dialect.name
        sent = orjson.dumps(list(names)).decode()
        return connection.execute(query(dialect), {**given, "names": sent})

    return ask


def _among(dialect: str, column: ColumnElement[Any]) -> ColumnElement[bool]:
    if dialect == "postgresql":
        each = func.json_array_elements_text(cast(bindparam("names", type_=Text), JSON))
        listed = func.array(
            select(cast(each, column.type)).scalar_subquery(), type_=ARRAY(column.type)
        )
        return column == any_(listed)
    told = func.json_each(bindparam("names")).table_valued("value")
    return column.in_(select(told.c.value))


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows; the database refuses any whose place is taken."""
    if not rows:
        return
    names = list(rows[0])
    told = map(itemgetter(*names), rows)
    into = f"{table.name} ({_listed(names)})"
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()  # psycopg's own
        with cursor, cursor.copy(f"COPY {into} FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types([_kind(connection, table, name).lower() for name in names])
            for row in told:
                copy.write_row(row)
        return
    statement = f"INSERT INTO {into} VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our names
    connection.exec_driver_sql(statement, list(told))


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert or replace rows by primary key; only derived tables are ever written so."""
    if not rows:
        return
    names = table.c.keys()
    keys = _listed(table.primary_key.c.keys())
    changed = [name for name in names if not table.c[name].primary_key]
    replaced = ", ".join(f'"{name}" = excluded."{name}"' for name in changed)
    into = f"INSERT INTO {table.name} ({_listed(names)})"
    also = f"ON CONFLICT ({keys}) DO UPDATE SET {replaced}"
    told = map(itemgetter(*names), rows)
    if connection.dialect.name == "postgresql":  # one statement over a column each
        arrays = ", ".join(f"%b::{_kind(connection, table, name)}[]" for name in names)
        columns = tuple(map(list, zip(*told, strict=True)))
        statement = f"{into} SELECT * FROM unnest({arrays}) {also}"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, columns)
        return
    places = ", ".join("?" * len(names))
    connection.exec_driver_sql(f"{into} VALUES ({places}) {also}", list(told))


def _kind(connection: Connection, table: Table, name: str) -> str:
    """A column's type, as the database calls it."""
    return table.c[name].type.compile(connection.dialect)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
