"""Queue status: one thread of intake polls the queue once a second and caches the result.

A snapshot contains whether an event posted now would be answered with 202 (`why` if not), the lag,
and the people about whom no events are accepted. /readyz, /metrics and each POST read the last
snapshot. None of them queries the queue.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog
from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.events.event import Json
from shared.inbox.durability import Durability
from shared.inbox.inbox import Inbox
from shared.inbox.lag import Lag, reachable_lags
from shared.inbox.redis_keys import held_key

EVERY = 1.0  # seconds between two snapshots
STALE = 10.0  # seconds until a snapshot is too old: twice the time-outs of the queue
SKEW = 60.0  # seconds that intake's clock and the queue's may differ
HELD_SECONDS = 60  # `Retry-After` for a person whose events are held back
MAX_REASON_LENGTH = 200  # characters of a reason, which another writer may have set

log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The state of the queue at one time.

    `unavailable` is why a server does not answer, `skew` how the clocks differ, `full` which
    partition is full, in words; empty if not. `held` are the aliases of people, by partition.
    """

    at: float
    durability: Durability
    lags: tuple[Lag, ...] = ()
    unavailable: str = ""
    skew: str = ""
    full: str = ""
    held: Mapping[int, frozenset[bytes]] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """The reason why a POST would be answered with 503; empty if with 202."""
        return self.durability.why or self.unavailable or self.skew or self.full

    def recording(self) -> Json:
        """Return the total lag, and why partitions wait, for /readyz."""
        waits = {
            str(lag.partition): lag.waits[:MAX_REASON_LENGTH]
            for lag in self.lags
            if lag.waits is not None
        }
        return {
            "messages": sum(lag.messages for lag in self.lags),
            "oldest_seconds": round(max((lag.oldest for lag in self.lags), default=0.0), 1),
            "waits": waits,
        }


class QueueStatus:
    """The last snapshot of the queue. Before `start`, every call of `current` takes a new one."""

    def __init__(
        self,
        inbox: Inbox,
        partitions: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.inbox = inbox
        self._partitions = partitions
        self._clock = clock
        self._last: QueueSnapshot | None = None
        self._runs = False
        self._counts: dict[int, tuple[int, int]] = {}  # added to each stream, and by this process

    def start(self) -> None:
        """Take a snapshot now, and one per second in a background thread."""
        self._poll()
        self._runs = True
        threading.Thread(target=self._poll_forever, name="status", daemon=True).start()

    def current(self) -> QueueSnapshot:
        """Return the last snapshot; a new one if the background thread was not started."""
        last = self._last
        if not self._runs or last is None:
            return self._poll()
        if time.monotonic() - last.at > STALE:
            why = "the status of the queue is out of date"
            return replace(last, durability=Durability(None, why), unavailable=why)
        return last

    def check(self, partition: int, subjects: set[str]) -> None:
        """Raise Unavailable if the clocks differ or events about a subject are held back."""
        last = self._last
        if last is None:
            return
        if last.skew:
            raise Unavailable(f"No events are accepted: {last.skew}.", retry_after=HELD_SECONDS)
        held = last.held.get(partition)
        if held and any(self._aliases(subject) & held for subject in subjects):
            raise Unavailable(
                "Events about this person are held back until the ledger's operator has repaired "
                "the cause. No more of them can be accepted.",
                retry_after=HELD_SECONDS,
            )

    def _aliases(self, subject: str) -> set[bytes]:
        return {alias.encode() for alias in self.inbox.transit.aliases(subject)}

    def _poll_forever(self) -> None:
        while True:
            time.sleep(EVERY)
            try:
                self._poll()
            except Exception:
                log_line.exception("unhandled_exception", route="status")

    def _poll(self) -> QueueSnapshot:
        began = time.monotonic()
        durability = self.inbox.durability()
        lags, error = reachable_lags(self.inbox.queues, self._partitions)
        skew, held = "", dict[int, frozenset[bytes]]()
        with suppress(RedisError):  # the next poll tries again
            skew = self._skew()
        with suppress(RedisError):
            held = self._held()
        with suppress(RedisError):
            self._count()
        self._last = QueueSnapshot(
            began,
            durability,
            tuple(lags),
            f"the queue did not answer ({type(error).__name__})" if error else "",
            skew,
            self._full(lags),
            held,
        )
        return self._last

    def _count(self) -> None:
        """Detect a queue that was emptied or replaced, and save in it how much it had before.

        The worker counts the messages that it deletes, but it may not have run in between.
        """
        for partition in range(self._partitions):
            added = self.inbox.summarize(partition).added
            published = self.inbox.published[partition]
            before = self._counts.get(partition)
            if added is not None and before and added < before[0]:
                count = before[0] + max(0, published - before[1] - added)
                self.inbox.save_added(partition, count)
                log_line.error("queue-replaced", partition=partition, added_before=count)
            self._counts[partition] = added or 0, published

    def _full(self, lags: list[Lag]) -> str:
        limit = self.inbox.limits.messages
        full = [lag.partition for lag in lags if limit and lag.messages >= limit]
        return f"too many events wait to be recorded in partition {full[0]}" if full else ""

    def _skew(self) -> str:
        """Describe how intake's clock differs from a server's; empty if by at most SKEW."""
        for number, server in enumerate(self.inbox.queues.servers, start=1):
            seconds, microseconds = server.time()
            ahead = self._clock().timestamp() - (seconds + microseconds / 1e6)
            if abs(ahead) > SKEW:
                how = "ahead of" if ahead > 0 else "behind"
                return f"intake's clock is {abs(ahead):.0f} s {how} that of queue server {number}"
        return ""

    def _held(self) -> dict[int, frozenset[bytes]]:
        held = dict[int, frozenset[bytes]]()
        servers = self.inbox.queues.servers
        for number, server in enumerate(servers):
            partitions = range(number, self._partitions, len(servers))
            pipe = server.pipeline(transaction=False)
            for partition in partitions:
                pipe.smembers(held_key(partition))
            for partition, members in zip(partitions, pipe.execute(), strict=True):
                if members:
                    held[partition] = frozenset(members)
        return held
