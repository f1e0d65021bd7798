"""Two drains of one partition at once are legal: each person's order holds, nothing goes back."""

import contextlib
import importlib.util
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from services.ledger.config import signers, utc_now
from services.ledger.log.signed_note import read_checkpoint
from shared.inbox.inbox import Inbox, StreamHead
from tests.contract.ledgers import Ledger, Together
from tests.contract.standins import IDS, TOLD, Stalls, like
from tests.given import ADA, event

sqlite = importlib.import_module(
    "pysqlite3" if importlib.util.find_spec("pysqlite3") else "sqlite3"
)


class Looks(Inbox):
    """An inbox that looks, when it is read, whether the head is locked."""

    def look_with(self, locked: Callable[[], bool]) -> "Looks":
        """Say how."""
        self.found, self._locked = list[bool](), locked
        return self

    def peek(self, partition: int, count: int) -> StreamHead:
        """Look, then read."""
        self.found.append(self._locked())
        return super().peek(partition, count)


def head_is_locked(ledger: Ledger) -> bool:
    """Whether somebody else has the head now, asked without waiting."""
    try:
        if ledger.kind == "sqlite":
            path = ledger.settings.store_url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite.connect(path, timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
        else:
            with ledger.as_owner() as connection:
                connection.execute(text("SELECT 1 FROM heads FOR UPDATE NOWAIT"))
    except (sqlite.OperationalError, OperationalError):
        return True
    return False


def test_the_stream_is_read_under_the_heads_lock(on_valkey: Ledger) -> None:
    inbox = like(Looks, on_valkey)
    assert isinstance(inbox, Looks)
    projector = on_valkey.projector(inbox=inbox.look_with(lambda: head_is_locked(on_valkey)))
    on_valkey.post(*TOLD)
    assert not head_is_locked(on_valkey)
    assert projector.batch(0) == len(TOLD)
    assert inbox.found == [True]


@pytest.mark.parametrize("recovers", [True, False], ids=["and goes on", "and dies"])
def test_a_stall_between_reading_and_commit_keeps_the_order(ledger: Ledger, recovers: bool) -> None:
    """F53: the head is locked before the stream is read, so who comes later reads later."""
    reading, go, done = threading.Event(), threading.Event(), threading.Event()

    def stalled() -> datetime:
        reading.set()
        assert go.wait(20)
        if not recovers:
            raise KeyboardInterrupt
        return utc_now()

    def first() -> None:
        try:
            slow.batch(0)
        except KeyboardInterrupt:
            assert not recovers

    def second() -> None:
        ledger.drain(quick)
        done.set()

    slow, quick = ledger.projector(clock=stalled), ledger.projector()
    ledger.post(*TOLD[:3])
    with Together(first):
        assert reading.wait(10)
        ledger.post(*TOLD[3:])
        with Together(second):
            assert not done.wait(0.5), "the second drain went past a locked head"
            go.set()
    assert (ledger.ids(ADA), ledger.waiting()) == (IDS, 0)
    assert not ledger.replay().findings


def test_two_that_drain_one_partition_at_once_keep_each_persons_order(ledger: Ledger) -> None:
    people = [f"person:p{number}" for number in range(3)]
    said = {
        who: [
            event(who, {"type": "about-me.written", "data": _section(number)}, subject=who)
            for number in range(40)
        ]
        for who in people
    }
    over = threading.Event()

    def publish() -> None:
        inbox = ledger.inbox()
        for number in range(40):
            inbox.publish(0, [said[who][number] for who in people])
        over.set()

    def drain() -> None:
        projector = ledger.projector()
        while not over.is_set() or ledger.waiting():
            projector.batch(0)

    with Together(publish, drain, drain):
        pass
    for who in people:
        assert ledger.ids(who) == [each.id for each in said[who]]
    assert not ledger.replay().findings


def _section(number: int) -> dict[str, str]:
    return {"section": "Food", "words": f"Fish {number}"}


def test_what_was_published_never_goes_back(ledger: Ledger) -> None:
    """A drain that publishes late says nothing older than what was published meanwhile."""
    inbox = like(Stalls, ledger)
    assert isinstance(inbox, Stalls)
    late = ledger.projector(inbox=inbox.stall())
    ledger.post(*TOLD[:2])
    with Together(lambda: late.batch(0)):
        assert inbox.there.wait(10)
        ledger.post(*TOLD[2:])
        ledger.drain()
        inbox.go.set()
    published = ledger.inbox().peek(0, 1).published
    assert published is not None
    size, _ = read_checkpoint(published.decode(), signers(ledger.settings)[0].vkey)
    assert size == len(TOLD) == len(ledger.rows())
