"""Database connections for SQLite and PostgreSQL, and the settings that they require.

SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE, one writing process (a lock file next to the
database), readers `mode=ro`; at least 3.51.3, since older versions have the WAL-reset bug.
PostgreSQL: synchronous commit, 15 s for an idle transaction, readers read-only and with one
snapshot (repeatable read), as on SQLite.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy import RowMapping as Row
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import SQLAlchemyError as StoreError
from sqlalchemy.pool import QueuePool

from shared.errors import FirsthandError, PreconditionFailed, SettingsError, Unavailable
from shared.files import try_lock

# The rest of the ledger uses no other names of SQLAlchemy.
__all__ = [
    "Connection",
    "Engine",
    "Row",
    "StoreError",
    "answering",
    "connect",
    "lock_writer",
    "transaction",
]

try:
    from pysqlite3 import dbapi2 as sqlite
except ImportError:  # no wheel for this platform: use the standard library's, if new enough
    import sqlite3 as sqlite

# One connection for each of 16 threads, and a reserve. A thread that gets none in 3 s gives up: the
# caller gets a 503 and can retry, which is better than a response after half a minute.
POOL: dict[str, Any] = {"pool_size": 16, "max_overflow": 4, "pool_timeout": 3}
OLDEST_SQLITE = (3, 51, 3)
OLDEST_POSTGRESQL = 140000
BUSY_MILLISECONDS = 10_000
_DENIED = (sqlite.SQLITE_DROP_TABLE, sqlite.SQLITE_DROP_TRIGGER, sqlite.SQLITE_ALTER_TABLE)
WAL_PAGES = 10_000  # 40 MB: a page that many batches modify is written to the database once
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"wal_autocheckpoint={WAL_PAGES}",
    "cache_size=-32768",
    f"busy_timeout={BUSY_MILLISECONDS}",
)
_POSTGRESQL_OPTIONS = (
    "-c synchronous_commit=on -c idle_in_transaction_session_timeout=15000 "
    "-c statement_timeout=60000 -c lock_timeout=30000 -c timezone=UTC "
    # No time-out applies to a COPY: keepalives detect a dead peer within 25 s.
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_READ_ONLY = (
    " -c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
)


class CommitUnknown(FirsthandError):
    """The database reported a commit that may not have been replicated; its outcome is unknown."""


def connect(url: str, *, write: bool, owner: bool = False) -> Engine:
    """Create an engine for one of the services; `owner` lifts the limits for migrations."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("FIRSTHAND_DATABASE_URL: not a database URL") from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(Path(parsed.database or ""), write=write, owner=owner)
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(url, write=write)
    raise SettingsError("FIRSTHAND_DATABASE_URL: use sqlite:///… or postgresql+psycopg://…")


def _sqlite(path: Path, *, write: bool, owner: bool) -> Engine:
    if sqlite.sqlite_version_info < OLDEST_SQLITE:
        raise PreconditionFailed(
            f"SQLite {sqlite.sqlite_version} can lose a WAL; use 3.51.3 or newer "
            "(pip install pysqlite3) or PostgreSQL"
        )
    if not owner and not path.exists():
        raise PreconditionFailed(f"no ledger at {path}; run 'firsthand init'")
    if owner:
        path.touch(mode=0o600)  # other users who can open its folder then see no more than sizes
    mode = "rw" if write else "ro"

    def open_connection() -> Any:
        connection = sqlite.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        for pragma in _PRAGMAS if write else _PRAGMAS[4:]:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if not owner:
            connection.set_authorizer(_deny_drop)
        return connection

    # The URL "sqlite://" alone would select SingletonThreadPool, which closes the connection of
    # another thread, in use or not, as soon as threads outnumber connections.
    engine = create_engine(
        "sqlite://",
        module=sqlite,
        creator=open_connection,
        poolclass=QueuePool,
        hide_parameters=True,
        **POOL,
    )
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _deny_drop(action: int, *_: str | None) -> Any:
    """Stop our connections from dropping and altering tables (SQLite's authorizer)."""
    return sqlite.SQLITE_DENY if action in _DENIED else sqlite.SQLITE_OK


def _postgresql(url: str, *, write: bool) -> Engine:
    options = _POSTGRESQL_OPTIONS + ("" if write else _READ_ONLY)
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=QueuePool,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text goes into logs
        **POOL,
        connect_args={"options": options, "connect_timeout": 5},
    )

    @event.listens_for(engine, "connect")
    def listen(connection: Any, record: Any) -> None:
        def on_notice(notice: Any) -> None:
            if notice.severity_nonlocalized == "WARNING":
                record.info["warned"] = notice.message_primary

        connection.add_notice_handler(on_notice)

    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that commits at the end.

    Raises CommitUnknown if the database warned at COMMIT that the wait for the standby was
    cancelled.
    """
    with engine.connect() as connection:
        connection.info.pop("warned", None)
        with connection.begin():
            yield connection
        warning = connection.info.pop("warned", None)
        if warning:
            raise CommitUnknown(f"the database warned at commit: {warning}")


@contextmanager
def answering() -> Iterator[None]:
    """Translate every database error to Unavailable, for commands that then exit."""
    try:
        yield
    except StoreError as fault:
        raise Unavailable(f"The database is unavailable ({type(fault).__name__}).") from fault


def lock_writer(folder: Path) -> BinaryIO:
    """Lock a SQLite ledger for the only writer; the caller must keep the file open.

    Raises PreconditionFailed if another process holds the lock.
    """
    if (file := try_lock(folder / "writer.lock")) is None:
        raise PreconditionFailed(f"another worker writes to {folder}; stop it first")
    return file
