"""The queue as intake sees it: looked at once a second, by one thread, for everything that asks.

One look says whether an event that is posted now would be answered 202 (`why` not), how far the
recording is behind, and about whom nothing is taken. /readyz, /metrics and each POST read the
last look; none of them asks the queue by itself.
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

EVERY = 1.0  # seconds between two looks
STALE = 10.0  # seconds after which a look says nothing: the queue's time-outs have passed twice
SKEW = 60.0  # seconds that our clock and the queue's may differ
HELD_SECONDS = 60  # after which a person's events may be posted again
LONGEST = 200  # characters of what others wrote into the queue

log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The queue at one moment. `away` is why one of its servers does not answer, `skew` what is
    wrong with the clocks, in words; both may be empty. `held` are aliases, by partition.
    """

    at: float
    durability: Durability
    lags: tuple[Lag, ...] = ()
    away: str = ""
    skew: str = ""
    full: str = ""
    held: Mapping[int, frozenset[bytes]] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """Why a POST would be answered 503; empty if it would be 202."""
        return self.durability.why or self.away or self.skew or self.full

    def recording(self) -> Json:
        """How far the recording is behind, for /readyz: in all, and why partitions wait."""
        waits = {
            str(each.partition): each.waits[:LONGEST]
            for each in self.lags
            if each.waits is not None
        }
        return {
            "messages": sum(each.messages for each in self.lags),
            "oldest_seconds": round(max((each.oldest for each in self.lags), default=0.0), 1),
            "waits": waits,
        }


class QueueStatus:
    """The last look at the queue of an inbox; fresh at each question until `start` was called."""

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
        """Look now, and from now on once a second in the background."""
        self._look()
        self._runs = True
        threading.Thread(target=self._go_on, name="status", daemon=True).start()

    def current(self) -> QueueSnapshot:
        """The last look, or a fresh one where none are taken in the background."""
        last = self._last
        if not self._runs or last is None:
            return self._look()
        if time.monotonic() - last.at > STALE:
            why = "the queue was not looked at for some time"
            return replace(last, durability=Durability(None, why), away=why)
        return last

    def check(self, partition: int, subjects: set[str]) -> None:
        """Unavailable if, by the last look, the clocks differ or these persons' events are held."""
        last = self._last
        if last is None:
            return
        if last.skew:
            raise Unavailable(f"Nothing is taken now: {last.skew}.", retry_after=HELD_SECONDS)
        held = last.held.get(partition)
        if held and any(self._aliases(each) & held for each in subjects):
            raise Unavailable(
                "Events about this person are held back until the ledger's operator has repaired "
                "what they wait for, and no more of them can be taken now.",
                retry_after=HELD_SECONDS,
            )

    def _aliases(self, subject: str) -> set[bytes]:
        return {each.encode() for each in self.inbox.transit.aliases(subject)}

    def _go_on(self) -> None:
        while True:
            time.sleep(EVERY)
            try:
                self._look()
            except Exception:
                log_line.exception("unhandled_exception", route="status")

    def _look(self) -> QueueSnapshot:
        began = time.monotonic()
        durability = self.inbox.durability()
        found, away = reachable_lags(self.inbox.queues, self._partitions)
        skew, held = "", dict[int, frozenset[bytes]]()
        with suppress(RedisError):  # the next look asks again
            skew = self._skew()
        with suppress(RedisError):
            held = self._held()
        with suppress(RedisError):
            self._count()
        self._last = QueueSnapshot(
            began,
            durability,
            tuple(found),
            f"the queue did not answer ({type(away).__name__})" if away else "",
            skew,
            self._full(found),
            held,
        )
        return self._last

    def _count(self) -> None:
        """Leave in a queue that was emptied or replaced how much had been added to it before.

        The worker counts what it takes off, and may not have run meanwhile.
        """
        for partition in range(self._partitions):
            added, own = self.inbox.summarize(partition).added, self.inbox.published[partition]
            before = self._counts.get(partition)
            if added is not None and before and added < before[0]:
                count = before[0] + max(0, own - before[1] - added)
                self.inbox.save_added(partition, count)
                log_line.error("queue-replaced", partition=partition, added_before=count)
            self._counts[partition] = added or 0, own

    def _full(self, found: list[Lag]) -> str:
        most = self.inbox.limits.messages
        full = [each.partition for each in found if most and each.messages >= most]
        return f"too many events wait to be recorded in partition {full[0]}" if full else ""

    def _skew(self) -> str:
        """How our clock differs from those of the queue's servers, if it differs by much."""
        for place, server in enumerate(self.inbox.queues.servers):
            seconds, microseconds = server.time()
            ahead = self._clock().timestamp() - (seconds + microseconds / 1e6)
            if abs(ahead) > SKEW:
                how = "ahead of" if ahead > 0 else "behind"
                return (
                    f"intake's clock is {abs(ahead):.0f} s {how} that of queue server {place + 1}"
                )
        return ""

    def _held(self) -> dict[int, frozenset[bytes]]:
        held = dict[int, frozenset[bytes]]()
        servers = self.inbox.queues.servers
        for place, server in enumerate(servers):
            numbers = range(place, self._partitions, len(servers))
            pipe = server.pipeline(transaction=False)
            for each in numbers:
                pipe.smembers(held_key(each))
            for each, members in zip(numbers, pipe.execute(), strict=True):
                if members:
                    held[each] = frozenset(members)
        return held
