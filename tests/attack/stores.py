"""Damage to a store without the services' knowledge: rows, bytes, copies, and outages."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from sqlalchemy import Connection, delete, func, insert, select, text, update

from services.ledger.store import database, tables
from tests.attack.clients import Json
from tests.attack.memory import family
from tests.chaos.system import System
from tests.contract.ledgers import GUARDS


@contextlib.contextmanager
def as_owner(system: System) -> Iterator[Connection]:
    """Open a transaction of the tables' owner."""
    opened = database.connect(system.database.owner_url, write=True, owner=True)
    try:
        with database.transaction(opened) as connection:
            yield connection
    finally:
        opened.dispose()


@contextlib.contextmanager
def key_removed(system: System, person: str) -> Iterator[Callable[[], None]]:
    """Remove the row of a person's key, until the yielded function restores it."""
    keys = tables.keys
    with as_owner(system) as connection:
        query = select(keys).where(keys.c.subject == person)
        row = dict(connection.execute(query).mappings().one())
        connection.execute(delete(keys).where(keys.c.subject == person))
    done = False

    def restore() -> None:
        nonlocal done
        if not done:
            with as_owner(system) as connection:
                connection.execute(insert(keys).values(row))
            done = True

    try:
        yield restore
    finally:
        restore()


@contextlib.contextmanager
def entry_damaged(system: System, person: str) -> Iterator[Callable[[], None]]:
    """Change one bit in a person's newest entry, until the yielded function restores it."""
    _flip(system, person)
    done = False

    def restore() -> None:
        nonlocal done
        if not done:
            _flip(system, person)
            done = True

    try:
        yield restore
    finally:
        restore()


def _flip(system: System, person: str) -> None:
    entries = tables.entries
    with as_owner(system) as connection, _unguarded(connection):
        newest = select(entries.c.log, entries.c.index, entries.c.leaf)
        newest = newest.where(entries.c.subject == person).order_by(entries.c.index.desc())
        log, index, leaf = connection.execute(newest.limit(1)).one()
        middle = len(leaf) // 2
        damaged = leaf[:middle] + bytes([leaf[middle] ^ 1]) + leaf[middle + 1 :]
        same = (entries.c.log == log, entries.c.index == index)
        connection.execute(update(entries).where(*same).values(leaf=damaged))


@contextlib.contextmanager
def _unguarded(connection: Connection) -> Iterator[None]:
    """Remove the append-only triggers for the block."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = connection.execute(query).all()
        for name, _ in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        yield
        for _, sql in triggers:
            connection.exec_driver_sql(sql)
        return
    guarded = connection.scalars(text(GUARDS["postgresql"])).all()
    for table in guarded:
        connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    yield
    for table in guarded:
        for trigger in ("no_change", "no_truncate"):
            connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"))


class OlderCopy:
    """A copy of the database, taken now; no process of ours may use the database meanwhile."""

    def __init__(self, system: System) -> None:
        self._system, self._swapped = system, False
        system.engine.dispose()
        if system.database.kind == "sqlite":
            self._path = Path(system.settings.store_url.partition("///")[2])
            self._aside = system.folder / "older"
            self._aside.mkdir()
            for path in self._files(self._path.parent):
                shutil.copy2(path, self._aside)
        else:
            name, self._socket = _name_and_socket(system)
            self._names = name, f"{name}_older", f"{name}_newer"
            self._run(f"CREATE DATABASE {self._names[1]} TEMPLATE {name}")

    def swap(self) -> None:
        """Swap the database and the copy."""
        self._system.engine.dispose()
        if self._system.database.kind == "sqlite":
            between = self._system.folder / "between"
            between.mkdir()
            for source, target in (
                (self._path.parent, between),
                (self._aside, self._path.parent),
                (between, self._aside),
            ):
                for path in self._files(source):
                    shutil.move(path, target)
            between.rmdir()
        else:
            name, older, newer = self._names
            for old, new in (
                [(name, older), (newer, name)] if self._swapped else [(name, newer), (older, name)]
            ):
                self._run(f"ALTER DATABASE {old} RENAME TO {new}")
        self._swapped = not self._swapped

    def close(self) -> None:
        """Restore the database, and delete the copy."""
        if self._swapped:
            self.swap()
        if self._system.database.kind == "sqlite":
            shutil.rmtree(self._aside)
        else:
            self._run(f"DROP DATABASE {self._names[1]} WITH (FORCE)")

    def _files(self, folder: Path) -> list[Path]:
        return [path for path in folder.glob(f"{self._path.name}*") if path.is_file()]

    def _run(self, statement: str) -> None:
        with psycopg.connect(
            host=self._socket, dbname="postgres", user="postgres", autocommit=True
        ) as connection:
            for name in self._names:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (name,),
                )
            connection.execute(statement)


def _name_and_socket(system: System) -> tuple[str, str]:
    """Return name and socket folder of a database."""
    url, _, socket = system.database.owner_url.partition("?host=")
    return url.rpartition("/")[2], socket


@contextlib.contextmanager
def away(system: System) -> Iterator[None]:
    """Make the database refuse writes (SQLite: locked) or not answer at all."""
    if system.database.kind == "sqlite":
        with as_owner(system):  # every write transaction begins with the only lock
            yield
        return
    stopped = family(_postmaster(system))
    for process in stopped:
        _signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(stopped):
            _signal(process, signal.SIGCONT)


def _postmaster(system: System) -> int:
    """Return the server's process id, from its lock file next to the socket."""
    _, socket = _name_and_socket(system)
    return int((Path(socket) / ".s.PGSQL.5432.lock").read_text().split()[0])


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def count_entries(system: System) -> int:
    """Return the number of entries in the current database."""
    system.engine.dispose()
    with database.transaction(system.engine) as connection:
        return int(
            connection.execute(select(func.count()).select_from(tables.entries)).scalar_one()
        )


def recorded_in_the_future(entries: list[Json]) -> int:
    """Count entries whose date is more than a day in the future."""
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    return sum(entry["recorded"] > tomorrow for entry in entries)
