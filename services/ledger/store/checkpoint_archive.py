"""Kept checkpoints: what was published, at most one a second, with the cosignatures it had."""

from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, insert, select

from services.ledger.store.tables import checkpoints


def archive_checkpoint(
    connection: Connection, log: int, size: int, cosignatures: int, checkpoint: str, kept: str
) -> None:
    """Keep a published checkpoint; one of the same size needs more cosignatures."""
    row = {"log": log, "size": size, "cosignatures": cosignatures}
    connection.execute(insert(checkpoints), [row | {"checkpoint": checkpoint, "kept": kept}])


def last_archived(connection: Connection, log: int, cosignatures: int = 0) -> RowMapping | None:
    """The newest kept checkpoint that has at least so many cosignatures."""
    wanted = (
        select(checkpoints)
        .where(checkpoints.c.log == log, checkpoints.c.cosignatures >= cosignatures)
        .order_by(checkpoints.c.size.desc(), checkpoints.c.cosignatures.desc())
        .limit(1)
    )
    return connection.execute(wanted).mappings().first()


def archived_checkpoints(connection: Connection, log: int) -> Iterator[RowMapping]:
    """All kept checkpoints of a log, from the smallest on."""
    wanted = (
        select(checkpoints)
        .where(checkpoints.c.log == log)
        .order_by(checkpoints.c.size, checkpoints.c.cosignatures)
    )
    yield from connection.execute(wanted, execution_options={"yield_per": 1_000}).mappings()
