"""A real ledger of a test's own: made as `init` makes it, drained as a worker drains it.

    ledger = Ledger(tmp_path, database, redis_url)
    ledger.post(ada.starts(), ada.states())
    ledger.drain()                        # how many messages left the stream
    ledger.rows()[0]["verdict"]           # "accepted"

`as_owner` may do everything to the tables, `as_services` what worker and read API may.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Any, Self

import orjson
from sqlalchemy import Connection, select, text

from services.ledger.audit.replay import Replay, Report
from services.ledger.bootstrap import open_store
from services.ledger.config import LedgerSettings, signers, utc_now
from services.ledger.log import entry
from services.ledger.maintenance.init import init
from services.ledger.store import database as engine
from services.ledger.store import tables
from services.ledger.vault import Vault
from services.ledger.writer.projector import SKEW, Projector
from shared.crypto.jwe import from_b64url
from shared.crypto.transit import Transit
from shared.events.event import Event, partition_of
from shared.inbox.inbox import Inbox
from shared.inbox.servers import RedisServers, connect
from tests.growing import grow
from tests.logs import TiledLog
from tests.postgres import Database

DERIVED = ("tiles", "snapshots", "plans", "people", "heads")
GUARDS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT relname FROM pg_class WHERE oid IN ('entries'::regclass, "
    "'checkpoints'::regclass) OR oid IN "
    "(SELECT inhrelid FROM pg_inherits WHERE inhparent = 'entries'::regclass)",
}


class Ledger:
    """One ledger over a store and, for those who need it, a queue."""

    def __init__(
        self, folder: Path, database: Database, redis_url: str = "", partitions: int = 1
    ) -> None:
        self.kind = database.kind
        self.database = database
        self.settings = LedgerSettings.load(
            data=folder / "data",
            redis_url=redis_url,
            database_url=database.app_url,
            database_owner_url=database.owner_url,
            partitions=partitions,
        )
        init(self.settings)
        self._left = contextlib.ExitStack()

    def close(self) -> None:
        """Close every connection that was opened for the test."""
        self._left.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this ledger finds in its environment."""
        told = ("data", "redis_url", "database_url", "database_owner_url", "partitions")
        return {f"FIRSTHAND_{name.upper()}": str(getattr(self.settings, name)) for name in told}

    @contextlib.contextmanager
    def as_owner(self) -> Iterator[Connection]:
        """A transaction of whoever made the tables."""
        with _transaction(self.database.owner_url, write=True, owner=True) as connection:
            yield connection

    @contextlib.contextmanager
    def as_services(self, *, write: bool = True) -> Iterator[Connection]:
        """A transaction of the worker, or with `write` False of the read API."""
        with _transaction(self.database.app_url, write=write, owner=False) as connection:
            yield connection

    def change(self, *statements: str, **values: Any) -> None:
        """Change what is stored beside the entries, as the owner."""
        with self.as_owner() as connection:
            for statement in statements:
                assert connection.execute(text(statement), values).rowcount != 0, statement

    def rewrite(self, index: int, leaf: bytes) -> None:
        """Change an entry's bytes, guards or not, and drop what is derived from them."""
        with self.as_owner() as connection:
            if self.kind == "sqlite":
                (sql,) = connection.execute(
                    text("SELECT sql FROM sqlite_master WHERE name = 'entries_no_update'")
                ).scalars()
                connection.execute(text("DROP TRIGGER entries_no_update"))
            else:
                sql = "ALTER TABLE entries_0 ENABLE ALWAYS TRIGGER no_change"
                connection.execute(text("ALTER TABLE entries_0 DISABLE TRIGGER no_change"))
            connection.execute(
                text('UPDATE entries SET leaf = :leaf WHERE "index" = :index'),
                {"leaf": leaf, "index": index},
            )
            connection.execute(text(sql))
            for name in ("plans", "snapshots"):
                connection.execute(text(f"DELETE FROM {name}"))

    def inbox(self, ring: Callable[[int], None] = lambda _: None) -> Inbox:
        """The inbox, over a connection of its own."""
        urls = self.settings.queue_urls
        queues = RedisServers(*(self._left.enter_context(connect(url)) for url in urls))
        return Inbox(queues, Transit.from_folder(self.settings.key_folder), ring=ring)

    def post(self, *events: Event) -> None:
        """Publish events as intake does."""
        inbox = self.inbox()
        for each in events:
            partition = partition_of(each.subject, self.settings.partitions)
            assert inbox.publish(partition, [each]).level == "fsync"

    def projector(
        self,
        clock: Callable[[], datetime] = utc_now,
        inbox: Inbox | None = None,
        skew: float | None = None,
    ) -> Projector:
        """A projector of its own, checked at start as a worker is. A clock of the test's own may be
        any time away from the queue's.
        """
        opened, vault = open_store(self.settings, write=True)
        self._left.callback(opened.dispose)
        if skew is None:
            skew = SKEW if clock is utc_now else inf
        return Projector(
            opened, inbox or self.inbox(), vault, signers(self.settings), clock, skew=skew
        )

    def drain(self, projector: Projector | None = None) -> int:
        """Record all that waits; how many messages left the streams."""
        projector, done = projector or self.projector(), 0
        for partition in range(self.settings.partitions):
            while count := projector.batch(partition):
                done += count
        return done

    def grow(self, log: TiledLog, size: int) -> str:
        """Make log 0 as long as that with entries that are none; its checkpoint."""
        with self.as_services() as connection:
            return grow(connection, self.settings, log, size)

    def waiting(self) -> int:
        """How many messages are not yet recorded."""
        return sum(self.inbox().length(each) for each in range(self.settings.partitions))

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table, in the order of its key."""
        table = tables.metadata.tables[name]
        with self.as_owner() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key))
            return [dict(row) for row in found.mappings()]

    def rows(self) -> list[dict[str, Any]]:
        """The entries, in the order of the log."""
        return self.table("entries")

    def verdicts(self) -> list[str]:
        """ "accepted", or the code of the refusal, of each entry."""
        return [row["refusal"] or row["verdict"] for row in self.rows()]

    def ids(self, subject: str) -> list[str]:
        """The ids of what was recorded about a person, in order."""
        return [row["id"] for row in self.rows() if row["subject"] == subject]

    def replay(self, person: str | None = None) -> Report:
        """Fold again from entries and keys alone, and compare."""
        vault = Vault.from_folder(self.settings.key_folder)
        with self.as_services(write=False) as connection:
            work = Replay(connection, vault, [each.vkeys for each in signers(self.settings)])
            if person is not None:
                work.person(partition_of(person, self.settings.partitions), person)
            else:
                work.everything()
            return work.report


@contextlib.contextmanager
def _transaction(url: str, *, write: bool, owner: bool) -> Iterator[Connection]:
    opened = engine.connect(url, write=write, owner=owner)
    try:
        with engine.transaction(opened) as connection:
            yield connection
    finally:
        opened.dispose()


def kid_of(row: Mapping[str, Any]) -> str:
    """The name of the key that sealed an entry."""
    header = entry.parse(row["leaf"]).sealed.partition(b".")[0]
    return str(orjson.loads(from_b64url(header))["kid"])


def waited_for(said: Event, waiter: str) -> Event:
    """The event, posted by a request that waits for its receipt."""
    return said._replace(waiter=waiter)


class Together:
    """Runs functions in threads and hands on the first error."""

    def __init__(self, *functions: Callable[[], object]) -> None:
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in functions]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._threads:
            each.join(60)
        if self.errors:
            raise self.errors[0]

    def _run(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as fault:  # noqa: BLE001 - handed on to the test
            self.errors.append(fault)
