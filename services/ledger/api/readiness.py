"""What the read service says of itself in /readyz: whether it can be read, and how far recording is
behind.

    {"ready": true, "recording": {"messages": 0, "stalled_seconds": 0.0, "waits": {}}}

It is ready when the store is as it must be. Recording is another matter: while it is behind, reads
are answered as ever. `messages` are not yet recorded; `stalled_seconds` is for how long this
process has seen messages wait in a partition in which nothing was recorded; `waits` says of each
partition that waits, why. `recording` is null where the queue does not answer. (The age of the
oldest message stands in intake's figures: this service may not look at messages.)

It needs no token, so ids are taken out of the reasons. It is asked for at most once a second, by
one thread: other requests meanwhile get what was found before.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.store import setup
from services.ledger.store.database import Engine, StoreError, transaction
from shared.errors import PreconditionFailed, Unavailable
from shared.events.event import Json
from shared.events.schema_fields import ID_PATTERN
from shared.inbox.lag import Backlog, backlogs

FRESH, STALE = 1.0, 5.0  # seconds
LONGEST_REASON = 200  # characters
_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class ReadinessState:
    """Why the service is not ready, if it is not; how far recording is behind; and when."""

    why: str | None
    recording: Json | None
    at: float


class Readiness:
    """Asks store and queue, and keeps the answer for a second."""

    def __init__(
        self,
        engine: Engine,
        watermark: PublishedView,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._watermark, self._clock = engine, watermark, clock
        self._asking = Lock()
        self._found: ReadinessState | None = None
        self._asked_at: float | None = None  # while a thread asks
        self._stalled: dict[int, tuple[bytes | None, float]] = {}  # what was published, since when

    def why(self) -> str | None:
        """Why the service is not ready, in words; None if it is."""
        found, asked_at = self._now(), self._asked_at
        if asked_at is not None and self._clock() - asked_at >= STALE:
            return f"the store has not answered for more than {STALE:g} s"
        return found.why

    def recording(self) -> Json:
        """How far recording is behind, as a member of the answer."""
        return {"recording": self._now().recording}

    def _now(self) -> ReadinessState:
        found = self._found
        if found is not None and self._clock() - found.at < FRESH:
            return found
        if self._asking.acquire(timeout=0 if found else STALE):
            try:
                if self._found is found:  # nobody asked while we waited
                    self._asked_at = self._clock()
                    why, recording = self._of_store(), self._of_queue()
                    self._found = ReadinessState(why, recording, self._clock())
            finally:
                self._asked_at = None
                self._asking.release()
        return self._found or ReadinessState("the store was not asked yet", None, self._clock())

    def _of_store(self) -> str | None:
        try:
            with transaction(self._engine) as connection:
                setup.check_ledger(connection, partitions=self._watermark.partitions)
        except StoreError as fault:
            return f"the store did not answer ({type(fault).__name__})"
        except PreconditionFailed as fault:
            return str(fault)
        return None

    def _of_queue(self) -> Json | None:
        try:
            found = backlogs(self._watermark.queues, self._watermark.partitions)
        except Unavailable:
            return None
        return {
            "messages": sum(each.messages for each in found),
            "stalled_seconds": round(max(map(self._stalled_for, found), default=0.0), 1),
            "waits": {str(each.partition): _public(each.waits) for each in found if each.waits},
        }

    def _stalled_for(self, each: Backlog) -> float:
        now = self._clock()
        published, since = self._stalled.get(each.partition, (None, now))
        if not each.messages or published != each.published:
            since = now
        self._stalled[each.partition] = (each.published, since)
        return now - since


def _public(why: str) -> str:
    """A reason without ids, and without what would steer a terminal."""
    plain = "".join(each if each.isprintable() else " " for each in why)
    return _ID.sub("somebody", plain)[:LONGEST_REASON]
