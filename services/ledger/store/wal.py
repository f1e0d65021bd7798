"""SQLite's write-ahead log: truncation when the only writing process ends."""

from contextlib import closing, suppress

from services.ledger.store.database import Engine


def empty_wal(engine: Engine) -> None:
    """Move committed pages from the WAL to the database file, and truncate the WAL.

    SQLite does so when the last connection closes, but not if that is a read-only one. Pages that a
    reader still needs stay in the WAL, where they are equally durable.
    """
    if engine.dialect.name != "sqlite":
        return
    database_error = engine.dialect.loaded_dbapi.Error
    with closing(engine.raw_connection()) as connection, suppress(database_error):
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
