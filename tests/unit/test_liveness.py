"""Whether the worker is stuck: its sweeps say it, and a drain that hangs holds them up."""

import threading
from typing import cast

import fakeredis

from services.ledger.writer.projector import Projector
from services.ledger.writer.worker import SILENCE, Drainer
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


def test_a_worker_is_stuck_while_a_drain_hangs_and_not_after_it() -> None:
    projector, times = Hanging(), [0.0]
    drainer = Drainer(cast(Projector, projector), lambda _: None, lambda: times[-1])
    assert drainer.stuck() == ""
    sweeper = threading.Thread(target=drainer.sweep)
    sweeper.start()
    try:
        wait_until(lambda: projector.batches == 1, "a sweep that drains")
        times.append(float(SILENCE))
        assert drainer.stuck() == ""
        times.append(SILENCE + 1.0)
        assert drainer.stuck() == "it has not finished a sweep for 91 s"
    finally:
        drainer.stopping.set()
        projector.go.set()
        sweeper.join()
    assert drainer.stuck() == "", "the sweep has ended"


def test_a_sweeper_that_ended_is_noticed() -> None:
    times = [0.0]
    drainer = Drainer(cast(Projector, Hanging()), lambda _: None, lambda: times[-1])
    drainer.stopping.set()
    drainer.sweep()
    times.append(SILENCE + 1.0)
    assert drainer.stuck()
