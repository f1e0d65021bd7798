"""Archived checkpoints: at most one per second, with the cosignatures collected so far."""

from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, insert, select

from services.ledger.store.tables import checkpoints


def archive_checkpoint(
    connection: Connection,
    log: int,
    size: int,
    cosignatures: int,
    checkpoint: str,
    archived_at: str,
) -> None:
    """Archive a published checkpoint; a second one of the same size needs more cosignatures."""
    row = {"log": log, "size": size, "cosignatures": cosignatures}
    connection.execute(insert(checkpoints), [row | {"checkpoint": checkpoint, "kept": archived_at}])


def last_archived(connection: Connection, log: int, cosignatures: int = 0) -> RowMapping | None:
    """Return the newest archived checkpoint with at least this many cosignatures."""
    query = (
        select(checkpoints)
        .where(checkpoints.c.log == log, checkpoints.c.cosignatures >= cosignatures)
        .order_by(checkpoints.c.size.desc(), checkpoints.c.cosignatures.desc())
        .limit(1)
    )
    return connection.execute(query).mappings().first()


def archived_checkpoints(connection: Connection, log: int) -> Iterator[RowMapping]:
    """Yield all archived checkpoints of a log, smallest first."""
    query = (
        select(checkpoints)
        .where(checkpoints.c.log == log)
        .order_by(checkpoints.c.size, checkpoints.c.cosignatures)
    )
    yield from connection.execute(query, execution_options={"yield_per": 1_000}).mappings()
