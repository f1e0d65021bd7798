"""The outbox of `firsthand post`: events rest here until the ledger's receipts for them are seen.

One SQLite file, `DATA/outbox/events.db`, for its owner alone (0600 in a folder 0700), with a row
for each event: its author, where it is meant to go, and the exact bytes that are sent each time.
It never holds a token. A commit is on the disk, name and all, before it returns (rollback journal,
`synchronous=EXTRA`), and what is removed is overwritten (`secure_delete`).

A row is written before its event is first sent, and removed once its fate is known, so that a
crash anywhere leads to sending again, never to forgetting. All events of one input are written in
one transaction: after a crash they are all here, or none was sent.
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
_GIVE_WAY = "DELETE FROM events WHERE author=? AND goes=? AND id=? AND aside IS NOT NULL"
_INSERT = "INSERT OR IGNORE INTO events (author, goes, id, body, input) VALUES (?, ?, ?, ?, ?)"
_BODY = "SELECT body FROM events WHERE author=? AND goes=? AND id=?"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event in the outbox. `aside` says why it is not sent any more, if it is not."""

    place: int
    author: str
    goes: str
    id: str
    body: bytes
    aside: str | None


class Outbox:
    """An outbox in a folder, which is made if it is not there; SettingsError if it cannot be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._file = self._folder / "events.db"
        try:
            self._make()
        except OSError as fault:
            raise SettingsError(f"There can be no outbox here: {fault}") from None

    def add(self, author: str, goes: str, events: Sequence[tuple[str, bytes]], source: str) -> bool:
        """Keep the events (id, bytes) of an input, all or none.

        False if events of the same input, named by `source`, wait here already: then nothing is
        added. ValueError names an id that another event waits under. An event that was set aside
        gives way to one of the same id.
        """
        with self._transaction() as connection:
            if connection.execute(_SAME_INPUT, (author, goes, source)).fetchone():
                return False
            for each in events:
                self._add(connection, (author, goes, *each), source)
            return True

    @staticmethod
    def _add(
        connection: sqlite3.Connection, event: tuple[str, str, str, bytes], source: str
    ) -> None:
        connection.execute(_GIVE_WAY, event[:3])
        connection.execute(_INSERT, (*event, source))
        if connection.execute(_BODY, event[:3]).fetchone()[0] != event[3]:
            raise ValueError(f"the id {event[2]} is taken by another event in the outbox")

    def everything(self) -> list[OutboxRow]:
        """All that is here, of everybody, in the order in which it came."""
        query = "SELECT place, author, goes, id, body, aside FROM events ORDER BY place"
        with self._transaction() as connection:
            return [OutboxRow(*row) for row in connection.execute(query)]

    def waiting(self, author: str, goes: str) -> list[OutboxRow]:
        """What is to be sent for an author to a service, in the order in which it came."""
        return [
            each
            for each in self.everything()
            if (each.author, each.goes, each.aside) == (author, goes, None)
        ]

    def remove(self, places: Iterable[int]) -> None:
        """Their fate is known."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM events WHERE place = ?", [(n,) for n in places])

    def set_aside(self, place: int, why: str) -> None:
        """It is not sent any more, and says why."""
        with self._transaction() as connection:
            connection.execute("UPDATE events SET aside = ? WHERE place = ?", (why, place))

    @contextmanager
    def alone(self, waits: Callable[[], None]) -> Iterator[None]:
        """Nobody else sends from this outbox meanwhile. `waits` is called if somebody does now.

        The system ends it with the process, however that ends.
        """
        opened = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)

    def _make(self) -> None:
        missing = [each for each in (self._folder, *self._folder.parents) if not each.exists()]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        for made in (self._file, *missing):
            fsync_directory(made.parent)
        with self._transaction() as connection:
            connection.execute(_TABLE)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is durable at the end, or none; SettingsError says what is wrong with it."""
        try:
            with closing(sqlite3.connect(self._file, timeout=30, isolation_level=None)) as opened:
                opened.execute("PRAGMA synchronous=EXTRA")
                opened.execute("PRAGMA secure_delete=ON")
                opened.execute("BEGIN IMMEDIATE")
                yield opened
                opened.execute("COMMIT")
        except sqlite3.Error as fault:
            raise SettingsError(f"The outbox {self._file} fails: {fault}") from None
