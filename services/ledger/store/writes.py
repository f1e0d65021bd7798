"""Writes of a batch to the store, inside its one transaction."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update

from services.ledger.store import bulk
from services.ledger.store.bulk import Row, query_by_ids
from services.ledger.store.tables import (
    alarms,
    entries,
    heads,
    held,
    keys,
    people,
    plans,
    snapshots,
    unreadable,
)
from shared.errors import PreconditionFailed

UNKNOWN = -1  # `added` of a restored log's head: what was read from its stream is unknown


@dataclass(frozen=True, slots=True)
class Head:
    """A log's head: size, frontier bytes, root, signed checkpoint, time, and newest rules.

    The other fields count its stream (services/ledger/writer/queue_accounting.py): `published` is
    the largest published size, `added` the messages ever added to the stream, `taken` those that
    this log processed, `moved` those rerouted to another log, and `last` the id of the last one
    processed.
    """

    log: int
    size: int
    frontier: bytes
    root: bytes
    checkpoint: str
    recorded: str
    rules: int
    published: int = 0
    added: int = 0
    taken: int = 0
    moved: int = 0
    last: str = ""


_HEAD = select(heads).where(heads.c.log == bindparam("log")).with_for_update()
_SAVE = (
    update(heads)
    .where(heads.c.log == bindparam("of"))
    .values({column.name: bindparam(column.name) for column in heads.c})
)
_EXISTING = query_by_ids(
    lambda among: select(entries.c.index, entries.c.author, entries.c.id, entries.c.digest).where(
        entries.c.log == bindparam("log"), among(entries.c.id)
    )
)
_LEAVES = query_by_ids(
    lambda among: select(entries.c.index, entries.c.leaf).where(
        entries.c.log == bindparam("log"), among(entries.c.index)
    )
)


def lock_head(connection: Connection, log: int) -> Head:
    """Lock a log's head until the transaction ends, and return it.

    Raises PreconditionFailed if the ledger has no such log.
    """
    row = connection.execute(_HEAD, {"log": log}).mappings().first()
    if row is None:
        raise PreconditionFailed(f"log {log} is not in this ledger; run 'firsthand init'")
    return Head(**row)


def save_head(connection: Connection, head: Head) -> None:
    """Update the head row.

    Also called for batches of duplicates only, because their messages may be deleted only after
    a commit.
    """
    connection.execute(_SAVE, {**asdict(head), "of": head.log})


def existing_entries(connection: Connection, log: int, ids: Iterable[str]) -> list[RowMapping]:
    """Return index, author, id and digest of this log's entries with one of these ids.

    The rows are unordered: with ORDER BY, SQLite scans the whole log instead of the ids.
    """
    return list(_EXISTING(connection, ids, log=log).mappings())


def leaves(connection: Connection, log: int, indexes: Collection[int]) -> dict[int, bytes]:
    """Return the bytes of these entries, by index."""
    if not indexes:
        return {}
    return {row["index"]: row["leaf"] for row in _LEAVES(connection, indexes, log=log).mappings()}


def append_entries(connection: Connection, rows: Sequence[Row]) -> None:
    """Append entries; the database rejects an index that exists."""
    bulk.insert(connection, entries, rows)


def save_keys(connection: Connection, rows: Sequence[Row]) -> None:
    """Store new wrapped keys."""
    bulk.insert(connection, keys, rows)


def save_unreadable(connection: Connection, rows: Sequence[Row]) -> None:
    """Quarantine messages that cannot be parsed or decrypted."""
    bulk.insert(connection, unreadable, rows)


def save_held(connection: Connection, rows: Sequence[Row]) -> None:
    """Store messages that wait for a key or entries."""
    bulk.insert(connection, held, rows)


def release_held(connection: Connection, numbers: Collection[int]) -> None:
    """Delete held messages that were decided in this transaction."""
    if numbers:
        connection.execute(delete(held).where(held.c.number.in_(numbers)))


def save_alarms(connection: Connection, rows: Sequence[Row]) -> None:
    """Store alarms."""
    bulk.insert(connection, alarms, rows)


def save_people(connection: Connection, rows: Sequence[Row]) -> None:
    """Store the present positions of people's streams."""
    bulk.upsert(connection, people, rows)


def save_plans(connection: Connection, rows: Sequence[Row]) -> None:
    """Store encrypted plans, replacing older ones."""
    bulk.upsert(connection, plans, rows)


def save_snapshots(connection: Connection, rows: Sequence[Row]) -> None:
    """Store encrypted snapshots of plans, for views of the past."""
    bulk.insert(connection, snapshots, rows)
