"""Connections to the two stores, and the settings each must have.

SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE, one writing process (a lock on a file beside the
database), readers `mode=ro`; at least 3.51.3, since older ones have the WAL-reset bug.
PostgreSQL: synchronous commit, 15 s for an idle transaction, readers read-only and at one
moment (repeatable read), as SQLite's are.
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

# What the rest of the ledger knows of SQLAlchemy: these names, and nothing else.
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
except ImportError:  # no wheel for this machine: the interpreter's own, if it is new enough
    import sqlite3 as sqlite

# One connection for each of 16 threads, and some to spare. A thread that finds none free gives up
# soon: the caller hears 503 and may ask again, rather than wait half a minute for an answer.
POOL: dict[str, Any] = {"pool_size": 16, "max_overflow": 4, "pool_timeout": 3}
OLDEST_SQLITE = (3, 51, 3)
OLDEST_POSTGRESQL = 140000
BUSY_MILLISECONDS = 10_000
_DENIED = (sqlite.SQLITE_DROP_TABLE, sqlite.SQLITE_DROP_TRIGGER, sqlite.SQLITE_ALTER_TABLE)
WAL_PAGES = 10_000  # 40 MB: pages that many batches touch go into the database once
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
    # A COPY heeds no time-out: a machine that vanishes in its middle is missed within 25 s.
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_READ_ONLY = (
    " -c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
)


class CommitUnknown(FirsthandError):
    """The database reported a commit that may not have been replicated: its fate is unknown."""


def connect(url: str, *, write: bool, owner: bool = False) -> Engine:
    """An engine for one of the services; `owner` lifts what only migrations may do."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("FIRSTHAND_DATABASE_URL: not a database address") from None
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
        raise PreconditionFailed(f"there is no ledger at {path}; run 'firsthand init'")
    if owner:
        path.touch(mode=0o600)  # its folder may let others in, who read no more than sizes then
    mode = "rw" if write else "ro"

    def opened() -> Any:
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

    # The address "sqlite://" alone would select SingletonThreadPool, which closes the connection of
    # another thread, in use or not, as soon as there are more threads than connections.
    engine = create_engine(
        "sqlite://",
        module=sqlite,
        creator=opened,
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
    """SQLite's authorizer: our connections drop and alter nothing."""
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
        def noticed(notice: Any) -> None:
            if notice.severity_nonlocalized == "WARNING":
                record.info["warned"] = notice.message_primary

        connection.add_notice_handler(noticed)

    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits at the end, or raises.

    A warning at COMMIT means that the wait for the standby was cancelled: CommitUnknown.
    """
    with engine.connect() as connection:
        connection.info.pop("warned", None)
        with connection.begin():
            yield connection
        warned = connection.info.pop("warned", None)
        if warned:
            raise CommitUnknown(f"the database warned at commit: {warned}")


@contextmanager
def answering() -> Iterator[None]:
    """Whatever the database fails with, for a command that ends with it: Unavailable."""
    try:
        yield
    except StoreError as fault:
        raise Unavailable(f"The database does not answer ({type(fault).__name__}).") from fault


def lock_writer(folder: Path) -> BinaryIO:
    """The one writer of a SQLite ledger; keep the file open. Unsafe if there is another."""
    if (file := try_lock(folder / "writer.lock")) is None:
        raise PreconditionFailed(f"another worker writes to {folder}; stop it first")
    return file
