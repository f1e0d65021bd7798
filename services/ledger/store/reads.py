"""Queries of the services: rows as mappings, in the order of the log."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    bindparam,
    func,
    select,
    text,
)

from services.ledger.store.bulk import query_by_ids
from services.ledger.store.tables import (
    alarms,
    entries,
    heads,
    held,
    keys,
    ledger,
    people,
    plans,
    snapshots,
    unreadable,
)
from services.ledger.store.writes import Head

CHUNK = 1_000


def _all(connection: Connection, query: Select[Any]) -> list[RowMapping]:
    return list(connection.execute(query).mappings())


def ledger_row(connection: Connection) -> RowMapping | None:
    """Return the ledger's fixed properties, or None if it was not created."""
    return connection.execute(select(ledger)).mappings().first()


def head(connection: Connection, log: int) -> Head | None:
    """Return the committed head of a log."""
    row = connection.execute(select(heads).where(heads.c.log == log)).mappings().first()
    return Head(**row) if row else None


def log_size(connection: Connection, log: int) -> int:
    """Return the number of entries of a log, by its newest entry."""
    newest = select(func.max(entries.c.index)).where(entries.c.log == log)
    index = connection.execute(newest).scalar()
    return 0 if index is None else int(index) + 1


def sizes(connection: Connection, log: int) -> tuple[int, int | None]:
    """Return the number of entries of a log by its newest entry and by its head, consistently."""
    newest = select(func.max(entries.c.index)).where(entries.c.log == log).scalar_subquery()
    head_size = select(heads.c.size).where(heads.c.log == log).scalar_subquery()
    row = connection.execute(select(newest, head_size)).one()
    return (0 if row[0] is None else int(row[0]) + 1), row[1]


def log_sizes(connection: Connection) -> dict[int, int]:
    """Return the number of entries of every log, by its head."""
    return {row["log"]: row["size"] for row in _all(connection, select(heads.c.log, heads.c.size))}


def unreadable_count(connection: Connection) -> int:
    """Return the number of quarantined messages."""
    return connection.execute(select(func.count()).select_from(unreadable)).scalar_one()


def last_unreadable(connection: Connection) -> str:
    """Return when the last message was quarantined; empty if none was."""
    return connection.scalar(select(func.max(unreadable.c.seen))) or ""


class HeldPerson(NamedTuple):
    """Held messages of one person: their number and bytes, and why the first one is held."""

    log: int
    subject: str
    messages: int
    bytes: int
    reason: str


def held_people(connection: Connection, log: int | None = None) -> list[HeldPerson]:
    """Return the people with held messages, in a log or in all; the longest held first."""
    first = func.min(held.c.number)
    query = select(
        held.c.log, held.c.subject, func.count(), func.sum(func.length(held.c.message)), first
    ).group_by(held.c.log, held.c.subject)
    if log is not None:
        query = query.where(held.c.log == log)
    rows = connection.execute(query.order_by(first)).all()
    numbers = [row[4] for row in rows]
    first_ones = select(held.c.number, held.c.reason).where(held.c.number.in_(numbers))
    reasons = {row.number: row.reason for row in connection.execute(first_ones)} if numbers else {}
    return [HeldPerson(row[0], row[1], row[2], int(row[3]), reasons[row[4]]) for row in rows]


def held_of(connection: Connection, log: int, subject: str | None = None) -> list[RowMapping]:
    """Return held messages of a log, or of one person in it, in the order of arrival."""
    query = select(held).where(held.c.log == log).order_by(held.c.number)
    if subject is not None:
        query = query.where(held.c.subject == subject)
    return _all(connection, query)


def alarms_since(connection: Connection, moment: str) -> list[RowMapping]:
    """Return alarms seen since a moment, oldest first."""
    return _all(connection, select(alarms).where(alarms.c.seen >= moment).order_by(alarms.c.number))


def alarm_counts(connection: Connection) -> dict[str, int]:
    """Return the number of messages that alarms report as missing, by the alarms' kind."""
    query = select(alarms.c.kind, func.sum(alarms.c.missing)).group_by(alarms.c.kind)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def version(connection: Connection) -> str:
    """Return the database's name and version."""
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"


def clock(connection: Connection) -> float | None:
    """Return the database's clock in seconds since 1970; None on SQLite."""
    if connection.dialect.name == "sqlite":
        return None
    return float(connection.execute(select(func.clock_timestamp())).scalar_one().timestamp())


_KEYS = query_by_ids(lambda among: select(keys).where(among(keys.c.subject)))
_PEOPLE = query_by_ids(lambda among: select(people).where(among(people.c.subject)))
_PLANS = query_by_ids(lambda among: select(plans).where(among(plans.c.subject)))
_PLAN_BYTES = query_by_ids(
    lambda among: select(plans.c.subject, func.length(plans.c.plan).label("bytes")).where(
        among(plans.c.subject)
    )
)
_WITH_STANDING = query_by_ids(
    lambda among: select(entries.c.subject, entries.c.sequence, entries.c.leaf).where(
        entries.c.log == bindparam("log"),
        among(entries.c.subject),
        entries.c.sequence.is_not(None),
    )
)


def keys_of(connection: Connection, subjects: Iterable[str]) -> list[RowMapping]:
    """Return the wrapped keys of these subjects."""
    return list(_KEYS(connection, subjects).mappings())


def people_of(connection: Connection, subjects: Iterable[str]) -> dict[str, RowMapping]:
    """Return the stream positions of these people, by subject."""
    return {row["subject"]: row for row in _PEOPLE(connection, subjects).mappings()}


def plans_of(connection: Connection, subjects: Iterable[str]) -> list[RowMapping]:
    """Return the stored plans of these people."""
    return list(_PLANS(connection, subjects).mappings())


def plan_bytes(connection: Connection, subjects: Iterable[str]) -> dict[str, int]:
    """Return the length of every person's stored plan, by subject, without reading the plans."""
    return {row.subject: row.bytes for row in _PLAN_BYTES(connection, subjects)}


class Cutoff(NamedTuple):
    """A selection of entries and snapshots: up to a version, or up to a moment."""

    version: int | None
    recorded: str | None

    def of(self, table: Table) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on the rows of entries or snapshots."""
        if self.version is not None:
            yield table.c.planversion <= self.version
        if self.recorded is not None:
            yield table.c.recorded <= self.recorded


def snapshots_around(
    connection: Connection, subject: str, within: Cutoff
) -> tuple[int, int | None]:
    """Return the sequences of the newest snapshot within the cutoff and of the one after it.

    The first is 0 and the second None if there is no such snapshot.
    """
    of_person = select(snapshots.c.sequence).where(snapshots.c.subject == subject)
    newest = of_person.where(*within.of(snapshots)).order_by(snapshots.c.sequence.desc()).limit(1)
    last = connection.execute(newest).scalar() or 0
    following = select(func.min(snapshots.c.sequence)).where(
        snapshots.c.subject == subject, snapshots.c.sequence > last
    )
    return last, connection.execute(following).scalar()


def snapshot(connection: Connection, subject: str, sequence: int) -> RowMapping | None:
    """Return a person's snapshot at a sequence."""
    query = select(snapshots).where(
        snapshots.c.subject == subject, snapshots.c.sequence == sequence
    )
    return connection.execute(query).mappings().first()


def ends_at(connection: Connection, log: int, subject: str) -> int:
    """Return the last sequence of a person's stream, by its entries; 0 if it is empty."""
    newest = select(func.max(entries.c.sequence)).where(
        entries.c.log == log, entries.c.subject == subject, entries.c.sequence > 0
    )
    return connection.execute(newest).scalar() or 0


def entries_of(
    connection: Connection, log: int, subject: str, *, after: int = -1, limit: int | None = None
) -> Iterator[RowMapping]:
    """Yield a person's entries past an index of the log, including refusals without standing."""
    query = (
        select(entries)
        .where(entries.c.log == log, entries.c.subject == subject, entries.c.index > after)
        .order_by(entries.c.index)
    )
    if limit is not None:
        query = query.limit(limit)
    yield from connection.execute(query).mappings()


def last_within(
    connection: Connection,
    log: int,
    subject: str,
    within: Cutoff,
    *,
    after: int,
    before: int | None,
) -> int:
    """Return the sequence of a person's last entry within the cutoff, between two sequences.

    Returns `after` if there is none.
    """
    sequence = entries.c.sequence
    query = select(func.max(sequence)).where(
        entries.c.log == log,
        entries.c.subject == subject,
        sequence > after,
        *([sequence < before] if before is not None else []),
        *within.of(entries),
    )
    return connection.execute(query).scalar() or after


def entries_in_sequence(
    connection: Connection, log: int, subject: str, *, after: int, until: int | None = None
) -> Iterator[RowMapping]:
    """Yield a person's entries with standing past a sequence, up to another, for a fold.

    Refusals without standing are not read, so that refused attempts of others do not slow down
    the person's reads.
    """
    query = (
        select(entries.c.index, entries.c.leaf, entries.c.recorded)
        .where(entries.c.log == log, entries.c.subject == subject, entries.c.sequence > after)
        .order_by(entries.c.sequence)
    )
    if until is not None:
        query = query.where(entries.c.sequence <= until)
    yield from connection.execute(query).mappings()


def entries_of_many(connection: Connection, log: int, subjects: Iterable[str]) -> list[RowMapping]:
    """Return all entries with standing of these people, in order.

    They are sorted here for the reason stated at `writes.existing_entries`.
    """
    rows = _WITH_STANDING(connection, subjects, log=log).mappings()
    return sorted(rows, key=itemgetter("sequence"))


def entry_of(connection: Connection, log: int, subject: str, name: str) -> list[RowMapping]:
    """Return the entries of a person with an event id.

    The query is by id alone. With the person in it, SQLite would scan all of their entries, and
    the time would reveal their number.
    """
    rows = _all(connection, select(entries).where(entries.c.log == log, entries.c.id == name))
    return sorted((row for row in rows if row["subject"] == subject), key=itemgetter("index"))


def entries_in_order(connection: Connection, log: int) -> Iterator[RowMapping]:
    """Yield all entries of a log, in chunks, in constant memory."""
    after = -1
    while rows := _chunk(connection, log, after):
        yield from rows
        after = rows[-1]["index"]


def _chunk(connection: Connection, log: int, after: int) -> list[RowMapping]:
    query = select(entries).where(entries.c.log == log, entries.c.index > after)
    return _all(connection, query.order_by(entries.c.index).limit(CHUNK))
