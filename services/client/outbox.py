"""Outbox of `firsthand post`: a durable queue of events whose receipts have not arrived yet.

One SQLite file, `DATA/outbox/events.db`, readable by its owner only (0600 in a folder 0700). It has
a row per event: the author, the service to send it to, and the exact bytes of every attempt. It
never contains a token. Commits are durable, including the file's directory entry (rollback
journal, `synchronous=EXTRA`), and deleted rows are overwritten (`secure_delete`).

A row is written before its event is first sent, and deleted when its outcome is known. So a crash
at any point leads to a retry, never to a lost event. All events of one input are written in one
transaction: after a crash, either all of them are in the outbox, or none was sent.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import SettingsError
from shared.files import fsync_directory

_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    author TEXT NOT NULL,
    goes TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    input TEXT NOT NULL,
    aside TEXT,
    UNIQUE (author, goes, id)
) STRICT
"""
_SAME_INPUT = "SELECT 1 FROM events WHERE author=? AND goes=? AND input=? AND aside IS NULL"
_DELETE_ASIDE = "DELETE FROM events WHERE author=? AND goes=? AND id=? AND aside IS NOT NULL"
_INSERT = "INSERT OR IGNORE INTO events (author, goes, id, body, input) VALUES (?, ?, ?, ?, ?)"
_BODY = "SELECT body FROM events WHERE author=? AND goes=? AND id=?"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event in the outbox. `aside` is why it was set aside and is no longer sent, if it was."""

    number: int
    author: str
    service: str
    id: str
    body: bytes
    aside: str | None


class Outbox:
    """The outbox in a folder. The folder is created if missing; SettingsError if that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._file = self._folder / "events.db"
        try:
            self._create()
        except OSError as fault:
            raise SettingsError(f"The outbox cannot be created: {fault}") from None

    def add(
        self, author: str, service: str, events: Sequence[tuple[str, bytes]], source: str
    ) -> bool:
        """Add the events (id, bytes) of an input, all or nothing.

        Returns False, without adding, if events of the same input, named by `source`, are already
        waiting. Raises ValueError if a different event with the same id is waiting. Replaces
        events with the same id that were set aside.
        """
        with self._transaction() as connection:
            if connection.execute(_SAME_INPUT, (author, service, source)).fetchone():
                return False
            for event_id, body in events:
                self._add(connection, (author, service, event_id, body), source)
            return True

    @staticmethod
    def _add(
        connection: sqlite3.Connection, event: tuple[str, str, str, bytes], source: str
    ) -> None:
        connection.execute(_DELETE_ASIDE, event[:3])
        connection.execute(_INSERT, (*event, source))
        if connection.execute(_BODY, event[:3]).fetchone()[0] != event[3]:
            raise ValueError(f"a different event with the id {event[2]} is in the outbox")

    def rows(self) -> list[OutboxRow]:
        """Return all rows, of every author, in insertion order."""
        query = "SELECT place, author, goes, id, body, aside FROM events ORDER BY place"
        with self._transaction() as connection:
            return [OutboxRow(*row) for row in connection.execute(query)]

    def waiting(self, author: str, service: str) -> list[OutboxRow]:
        """Return the rows to send to a service for an author, in insertion order."""
        return [
            row
            for row in self.rows()
            if (row.author, row.service, row.aside) == (author, service, None)
        ]

    def remove(self, numbers: Iterable[int]) -> None:
        """Delete rows whose outcome is known."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM events WHERE place = ?", [(n,) for n in numbers])

    def set_aside(self, number: int, why: str) -> None:
        """Set a row aside with a reason, so that it is no longer sent."""
        with self._transaction() as connection:
            connection.execute("UPDATE events SET aside = ? WHERE place = ?", (why, number))

    @contextmanager
    def locked(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Lock the outbox against other senders. `on_wait` is called if the lock is taken.

        The operating system releases the lock when the process ends.
        """
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _create(self) -> None:
        missing = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        for path in (self._file, *missing):
            fsync_directory(path.parent)
        with self._transaction() as connection:
            connection.execute(_TABLE)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a durable transaction; SettingsError if SQLite fails."""
        try:
            with closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as database:
                database.execute("PRAGMA synchronous=EXTRA")
                database.execute("PRAGMA secure_delete=ON")
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
        except sqlite3.Error as fault:
            raise SettingsError(f"The outbox {self._file} failed: {fault}") from None
