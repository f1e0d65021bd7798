"""The worker's heart beats with its sweeps: not while a drain hangs."""

import threading
from typing import cast

import fakeredis

from services.ledger.writer.projector import Projector
from services.ledger.writer.worker import Drainer
from shared.crypto.jwe import Key
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox, StreamSummary
from shared.inbox.redis_keys import inbox_key
from shared.inbox.servers import RedisServers
from tests.process import wait_until


class Waiting:
    """An inbox in which something always waits, and has done so for long."""

    def __init__(self) -> None:
        self.queues = RedisServers(fakeredis.FakeStrictRedis(server=fakeredis.FakeServer()))
        self.queues.first.xadd(inbox_key(0), {"e": "sealed"}, id="1-0")

    def summarize(self, partition: int) -> StreamSummary:
        return Inbox(self.queues, Transit([Key(bytes(32))])).summarize(partition)

    def clear_wake(self, _: int) -> None:
        """Nobody rang."""

    def has_messages(self, _: int, *, linger: int) -> bool:
        return linger == 0


class Hanging:
    """A projector whose batch takes until it is let go."""

    partitions = 1

    def __init__(self) -> None:
        self.inbox, self.go, self.batches = Waiting(), threading.Event(), 0

    def has_full_people(self, _: int) -> bool:
        return False

    def needs_batch(self, _: int, __: StreamSummary) -> bool:
        return False

    def batch(self, _: int) -> int:
        self.batches += 1
        self.go.wait()
        return 1


def test_no_beat_comes_while_a_drain_hangs() -> None:
    projector, beats = Hanging(), threading.Event()
    drainer = Drainer(cast(Projector, projector), lambda _: None, beat=beats.set)
    sweeper = threading.Thread(target=drainer.sweep)
    sweeper.start()
    try:
        wait_until(lambda: projector.batches == 1, "a sweep that drains")
        assert not beats.wait(3), "more than a sweep's time"
    finally:
        drainer.stopping.set()
        projector.go.set()
        sweeper.join()
    assert beats.is_set(), "the sweep ended, and then it beats"


def test_a_full_disk_does_not_end_the_sweeper() -> None:
    tried = threading.Semaphore(0)

    def fail() -> None:
        tried.release()
        raise OSError("no space left")

    projector = Hanging()
    projector.go.set()
    drainer = Drainer(
        cast(Projector, projector), lambda _: None, iter(range(10**9)).__next__, beat=fail
    )
    sweeper = threading.Thread(target=drainer.sweep)
    sweeper.start()
    try:
        assert tried.acquire(timeout=30)
        assert tried.acquire(timeout=30), "a second sweep came"
    finally:
        drainer.stopping.set()
        sweeper.join()
