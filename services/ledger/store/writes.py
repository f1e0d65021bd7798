"""Writing: everything a batch does to the store, inside its one transaction."""

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

UNKNOWN = -1  # as `added` of a head: the log was restored, and what was taken is not known


@dataclass(frozen=True, slots=True)
class Head:
    """A log's head: size, frontier bytes, root, signed checkpoint, when, and newest rules.

    Then what is known of its stream (services/ledger/writer/queue_accounting.py): the largest size
    that was published, how many messages were ever added to the stream, how many of them were taken
    off it by this log and how many moved elsewhere, and the id of the last one taken.
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
    .values({each.name: bindparam(each.name) for each in heads.c})
)
_EARLIER = query_by_ids(
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
    """The head of a log, locked until the transaction ends. Unsafe if the log is not there."""
    row = connection.execute(_HEAD, {"log": log}).mappings().first()
    if row is None:
        raise PreconditionFailed(f"log {log} is not in this ledger; run 'firsthand init'")
    return Head(**row)


def save_head(connection: Connection, head: Head) -> None:
    """Write the head anew. Also a repeat alone writes it: its delete waits for a commit."""
    connection.execute(_SAVE, {**asdict(head), "of": head.log})


def existing_entries(connection: Connection, log: int, ids: Iterable[str]) -> list[RowMapping]:
    """Index, author, id and digest of the entries of this log that bear one of these ids.

    In no order: asked for in order, SQLite walks the whole log instead of the ids.
    """
    return list(_EARLIER(connection, ids, log=log).mappings())


def leaves(connection: Connection, log: int, indexes: Collection[int]) -> dict[int, bytes]:
    """The bytes of these entries, by index."""
    if not indexes:
        return {}
    return {
        each["index"]: each["leaf"] for each in _LEAVES(connection, indexes, log=log).mappings()
    }


def append_entries(connection: Connection, rows: Sequence[Row]) -> None:
    """Append entries; the database refuses any place that is taken."""
    bulk.insert(connection, entries, rows)


def save_keys(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep new wrapped keys."""
    bulk.insert(connection, keys, rows)


def save_unreadable(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep messages that did not open."""
    bulk.insert(connection, unreadable, rows)


def save_held(connection: Connection, rows: Sequence[Row]) -> None:
    """Hold messages back."""
    bulk.insert(connection, held, rows)


def release_held(connection: Connection, numbers: Collection[int]) -> None:
    """Remove held messages that were judged in this transaction."""
    if numbers:
        connection.execute(delete(held).where(held.c.number.in_(numbers)))


def save_alarms(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep alarms."""
    bulk.insert(connection, alarms, rows)


def save_people(connection: Connection, rows: Sequence[Row]) -> None:
    """Note where people's streams stand now."""
    bulk.upsert(connection, people, rows)


def save_plans(connection: Connection, rows: Sequence[Row]) -> None:
    """Store sealed plans in place of older ones."""
    bulk.upsert(connection, plans, rows)


def save_snapshots(connection: Connection, rows: Sequence[Row]) -> None:
    """Keep sealed plans for views of the past."""
    bulk.insert(connection, snapshots, rows)
