"""Builds of Firsthand that are broken on purpose, one for each invariant: they test the checks.

    python -m tests.chaos.broken DeletesWhatItReads services.cli worker
    python -m tests.chaos.broken DeletesWhatItReads tests.simulation.run --seeds 10

A build makes instances of these subclasses instead of our classes, and runs the module's `main`.
The harness must report its invariant and no other.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

import orjson
from flask import Response
from sqlalchemy import Table, UniqueConstraint
from sqlalchemy import event as sqlalchemy_event

from services.intake import routes
from services.intake.routes import _decided
from services.ledger.log.merkle import leaf_hash
from services.ledger.store import reads, writes
from services.ledger.store.append_only import SQLITE_TRIGGERS
from services.ledger.store.database import Connection
from services.ledger.store.tables import entries
from services.ledger.store.writes import Head, lock_head
from services.ledger.writer.batch import Batch, Message
from services.ledger.writer.projector import Projector
from services.ledger.writer.queue_accounting import Alarm
from shared.errors import PreconditionFailed
from shared.events.event import Event
from shared.inbox.inbox import Inbox, StreamHead


class DeletesWhatItReads(Inbox):
    def peek(self, partition: int, count: int) -> StreamHead:
        reading = super().peek(partition, count)
        self.acknowledge(partition, [message_id for message_id, _ in reading.messages], (), None)
        return reading


class RecordsRepeats(Batch):
    def _find_duplicate(self, *_: Any, **__: Any) -> None:
        """Recognise no event as recorded before."""


def drop_unique_key() -> None:
    """Have the store of a new ledger accept an event twice."""
    del SQLITE_TRIGGERS["entries_no_replace"]

    @sqlalchemy_event.listens_for(Table, "before_create")
    def drop(table: Table, *_: Any, **__: Any) -> None:
        if table.name == entries.name:
            table.constraints -= {c for c in table.constraints if isinstance(c, UniqueConstraint)}


class AnswersWithAnother(Batch):
    def _find_duplicate(self, event: Event, prior: dict[str, int]) -> int | None:
        index = super()._find_duplicate(event, prior)
        return None if index is None else max(index - 1, 0)


def decide_by_any_receipt(answer: bytes, event: Event) -> Response | None:
    """Return the answer to a request, also where the receipt is of another event."""
    receipt = orjson.loads(answer.partition(b"\n")[2])
    about = {name: receipt[name] for name in ("id", "author", "subject")}
    return _decided(answer, event._replace(**about))


class SortsById(Batch):
    def _open_all(self, messages: Sequence[Message]) -> list[tuple[bytes, Event | dict[str, Any]]]:
        opened = super()._open_all(messages)
        return sorted(opened, key=lambda pair: pair[1].id if isinstance(pair[1], Event) else "")


class SignsAnotherRoot(Projector):
    def _extend(self, head: Head, leaves: Sequence[bytes], recorded: str) -> Head:
        new = super()._extend(head, leaves, recorded)
        if leaves:
            return new
        signed = self._signed(replace(new, root=leaf_hash(new.root)))
        return replace(signed, root=new.root)

    def _check_published(self, connection: Connection, head: Head, published: bytes | None) -> int:
        """Accept that root: otherwise it would stop the next batch."""
        with suppress(PreconditionFailed):
            return super()._check_published(connection, head, published)
        return head.published


class LocksLate(Projector):
    def _check(
        self, connection: Connection, head: Head, reading: StreamHead
    ) -> tuple[Head, Alarm | None]:
        """Lock the log's head, now that the head of the stream is read."""
        return super()._check(connection, lock_head(connection, head.log), reading)


@dataclass(frozen=True)
class Broken:
    """A build: the invariant it breaks, its subclasses, and other changes."""

    invariant: str
    says: str
    subclasses: Sequence[type]
    change: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """Return its name on the command line."""
        return self.subclasses[0].__name__

    def command(self, module: str) -> list[str]:
        """Return the command that runs a module in this build. Arguments may follow."""
        return [sys.executable, "-m", "tests.chaos.broken", self.name, module]

    def install(self) -> None:
        """Change this process permanently."""
        self.change()
        for subclass in self.subclasses:
            make_instead(subclass)


def make_instead(subclass: type) -> None:
    """Make an instance of this class wherever one of its base class would be made."""
    (base,) = subclass.__bases__
    base.__new__ = lambda *_, **__: object.__new__(subclass)  # type: ignore[method-assign]  # wherever it was imported


BUILDS = [
    Broken("I1", "messages are deleted before COMMIT", [DeletesWhatItReads]),
    Broken(
        "I2",
        "a duplicate is not detected, and SQL has no constraint",
        [RecordsRepeats],
        drop_unique_key,
    ),
    Broken(
        "I3",
        "an event that is sent again is answered with the receipt of another entry",
        [AnswersWithAnother],
        partial(setattr, routes, _decided.__name__, decide_by_any_receipt),
    ),
    Broken("I4", "a batch takes its messages in the order of their ids", [SortsById]),
    Broken("I5", "a batch of duplicates signs another root of the same size", [SignsAnotherRoot]),
]
TAKES_FIRST = Broken(
    "I4",
    "a drain deletes what it reads from the stream before it has the head's lock",
    [LocksLate, DeletesWhatItReads],
    partial(setattr, writes, lock_head.__name__, reads.head),
)

if __name__ in ("__main__", "__mp_main__"):  # the latter: a child that this process has spawned
    _, wanted, program, *words = sys.argv
    next(build for build in (*BUILDS, TAKES_FIRST) if build.name == wanted).install()
    if __name__ == "__main__":
        import_module(program).main(words)
