"""Reading: rows as mappings, in the order of the log."""

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


def _all(connection: Connection, wanted: Select[Any]) -> list[RowMapping]:
    return list(connection.execute(wanted).mappings())


def ledger_row(connection: Connection) -> RowMapping | None:
    """What was fixed when the ledger was made."""
    return connection.execute(select(ledger)).mappings().first()


def head(connection: Connection, log: int) -> Head | None:
    """The head of a log, as committed."""
    row = connection.execute(select(heads).where(heads.c.log == log)).mappings().first()
    return Head(**row) if row else None


def log_size(connection: Connection, log: int) -> int:
    """How many entries a log has, by its newest entry."""
    newest = select(func.max(entries.c.index)).where(entries.c.log == log)
    found = connection.execute(newest).scalar()
    return 0 if found is None else int(found) + 1


def sizes(connection: Connection, log: int) -> tuple[int, int | None]:
    """How many entries a log has, by its newest entry and by its head, at one moment."""
    newest = select(func.max(entries.c.index)).where(entries.c.log == log).scalar_subquery()
    claimed = select(heads.c.size).where(heads.c.log == log).scalar_subquery()
    row = connection.execute(select(newest, claimed)).one()
    return (0 if row[0] is None else int(row[0]) + 1), row[1]


def log_sizes(connection: Connection) -> dict[int, int]:
    """How many entries each log has, by its head."""
    return {row["log"]: row["size"] for row in _all(connection, select(heads.c.log, heads.c.size))}


def unreadable_count(connection: Connection) -> int:
    """How many messages were kept aside since they did not open."""
    return connection.execute(select(func.count()).select_from(unreadable)).scalar_one()


def last_unreadable(connection: Connection) -> str:
    """When the last of them was put aside; empty if there are none."""
    return connection.scalar(select(func.max(unreadable.c.seen))) or ""


class HeldPerson(NamedTuple):
    """Held messages of one person: how many, their bytes, and why the first one is held."""

    log: int
    subject: str
    messages: int
    bytes: int
    reason: str


def held_people(connection: Connection, log: int | None = None) -> list[HeldPerson]:
    """The people of whom messages are held, in a log or in all; the one held longest first."""
    first = func.min(held.c.number)
    counted = select(
        held.c.log, held.c.subject, func.count(), func.sum(func.length(held.c.message)), first
    ).group_by(held.c.log, held.c.subject)
    if log is not None:
        counted = counted.where(held.c.log == log)
    rows = connection.execute(counted.order_by(first)).all()
    numbers = [row[4] for row in rows]
    wanted = select(held.c.number, held.c.reason).where(held.c.number.in_(numbers))
    reasons = {row.number: row.reason for row in connection.execute(wanted)} if numbers else {}
    return [HeldPerson(row[0], row[1], row[2], int(row[3]), reasons[row[4]]) for row in rows]


def held_of(connection: Connection, log: int, subject: str | None = None) -> list[RowMapping]:
    """Held messages of a log, or of one person in it, in the order in which they came."""
    wanted = select(held).where(held.c.log == log).order_by(held.c.number)
    if subject is not None:
        wanted = wanted.where(held.c.subject == subject)
    return _all(connection, wanted)


def alarms_since(connection: Connection, moment: str) -> list[RowMapping]:
    """Alarms seen since a moment, oldest first."""
    return _all(connection, select(alarms).where(alarms.c.seen >= moment).order_by(alarms.c.number))


def alarm_counts(connection: Connection) -> dict[str, int]:
    """How many messages are missing by all alarms, by their kind."""
    counted = select(alarms.c.kind, func.sum(alarms.c.missing)).group_by(alarms.c.kind)
    return {row[0]: int(row[1]) for row in connection.execute(counted)}


def version(connection: Connection) -> str:
    """The database, by name and version."""
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"


def clock(connection: Connection) -> float | None:
    """The database's own clock, in seconds since 1970; None if it has none (SQLite)."""
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
    """Wrapped keys of these subjects."""
    return list(_KEYS(connection, subjects).mappings())


def people_of(connection: Connection, subjects: Iterable[str]) -> dict[str, RowMapping]:
    """Where these people's streams stand, by subject."""
    return {row["subject"]: row for row in _PEOPLE(connection, subjects).mappings()}


def plans_of(connection: Connection, subjects: Iterable[str]) -> list[RowMapping]:
    """The stored plans of these people."""
    return list(_PLANS(connection, subjects).mappings())


def plan_bytes(connection: Connection, subjects: Iterable[str]) -> dict[str, int]:
    """The length of each person's stored plan, by subject, without reading it."""
    return {row.subject: row.bytes for row in _PLAN_BYTES(connection, subjects)}


class Cutoff(NamedTuple):
    """Entries and snapshots up to a version, or recorded at or before a moment."""

    version: int | None
    recorded: str | None

    def of(self, table: Table) -> Iterator[ColumnElement[bool]]:
        """What is to be true of a row of entries or snapshots."""
        if self.version is not None:
            yield table.c.planversion <= self.version
        if self.recorded is not None:
            yield table.c.recorded <= self.recorded


def snapshots_around(
    connection: Connection, subject: str, within: Cutoff
) -> tuple[int, int | None]:
    """Where the newest snapshot stands that is wholly within a version or a moment, 0 for none;
    and the one after it, if there is one.
    """
    of_person = select(snapshots.c.sequence).where(snapshots.c.subject == subject)
    newest = of_person.where(*within.of(snapshots)).order_by(snapshots.c.sequence.desc()).limit(1)
    found = connection.execute(newest).scalar() or 0
    following = select(func.min(snapshots.c.sequence)).where(
        snapshots.c.subject == subject, snapshots.c.sequence > found
    )
    return found, connection.execute(following).scalar()


def snapshot(connection: Connection, subject: str, sequence: int) -> RowMapping | None:
    """A person's snapshot at a sequence."""
    wanted = select(snapshots).where(
        snapshots.c.subject == subject, snapshots.c.sequence == sequence
    )
    return connection.execute(wanted).mappings().first()


def ends_at(connection: Connection, log: int, subject: str) -> int:
    """Where a person's stream ends, by their newest entry with standing; 0 if there is none."""
    newest = select(func.max(entries.c.sequence)).where(
        entries.c.log == log, entries.c.subject == subject, entries.c.sequence > 0
    )
    return connection.execute(newest).scalar() or 0


def entries_of(
    connection: Connection, log: int, subject: str, *, after: int = -1, limit: int | None = None
) -> Iterator[RowMapping]:
    """A person's entries past a place in the log, refusals without standing too."""
    wanted = (
        select(entries)
        .where(entries.c.log == log, entries.c.subject == subject, entries.c.index > after)
        .order_by(entries.c.index)
    )
    if limit is not None:
        wanted = wanted.limit(limit)
    yield from connection.execute(wanted).mappings()


def last_within(
    connection: Connection,
    log: int,
    subject: str,
    within: Cutoff,
    *,
    after: int,
    before: int | None,
) -> int:
    """The sequence of a person's last entry that is within a version or a moment, looked for
    between two sequences; `after` if there is none.
    """
    place = entries.c.sequence
    wanted = select(func.max(place)).where(
        entries.c.log == log,
        entries.c.subject == subject,
        place > after,
        *([place < before] if before is not None else []),
        *within.of(entries),
    )
    return connection.execute(wanted).scalar() or after


def entries_in_sequence(
    connection: Connection, log: int, subject: str, *, after: int, until: int | None = None
) -> Iterator[RowMapping]:
    """A person's entries with standing past a sequence, up to another, in order: what a fold
    takes. Refusals without standing are not read, so that nobody's attempts slow the person's
    reads.
    """
    wanted = (
        select(entries.c.index, entries.c.leaf, entries.c.recorded)
        .where(entries.c.log == log, entries.c.subject == subject, entries.c.sequence > after)
        .order_by(entries.c.sequence)
    )
    if until is not None:
        wanted = wanted.where(entries.c.sequence <= until)
    yield from connection.execute(wanted).mappings()


def entries_of_many(connection: Connection, log: int, subjects: Iterable[str]) -> list[RowMapping]:
    """All entries with standing about these people, in order; sorted here, as `earlier` is."""
    told = _WITH_STANDING(connection, subjects, log=log).mappings()
    return sorted(told, key=itemgetter("sequence"))


def entry_of(connection: Connection, log: int, subject: str, name: str) -> list[RowMapping]:
    """The entries about a person that bear an id.

    Found by the id alone. If the person stood in the query too, SQLite would go through all of
    their entries, and the time that takes would tell how many there are.
    """
    rows = _all(connection, select(entries).where(entries.c.log == log, entries.c.id == name))
    return sorted((row for row in rows if row["subject"] == subject), key=itemgetter("index"))


def entries_in_order(connection: Connection, log: int) -> Iterator[RowMapping]:
    """All entries of a log, in chunks, so that memory stays flat."""
    after = -1
    while rows := _chunk(connection, log, after):
        yield from rows
        after = rows[-1]["index"]


def _chunk(connection: Connection, log: int, after: int) -> list[RowMapping]:
    wanted = select(entries).where(entries.c.log == log, entries.c.index > after)
    return _all(connection, wanted.order_by(entries.c.index).limit(CHUNK))
