"""SQLite's write-ahead log, at the end of the one process that writes."""

from contextlib import closing, suppress

from services.ledger.store.database import Engine


def empty_wal(engine: Engine) -> None:
    """Move what was committed from the WAL into the database file, and cut the WAL to nothing.

    SQLite does it when the last connection closes, but a reader that closes last may only read.
    What cannot be moved now, since a reader still needs it, stays in the WAL, and is as durable.
    """
    if engine.dialect.name != "sqlite":
        return
    refused = engine.dialect.loaded_dbapi.Error
    with closing(engine.raw_connection()) as connection, suppress(refused):
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
