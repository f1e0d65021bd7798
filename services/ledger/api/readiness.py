"""Readiness of the read service in /readyz: whether the store is usable, and the recording lag.

    {"ready": true, "recording": {"messages": 0, "stalled_seconds": 0.0, "waits": {}}}

The service is ready when the store passes its check. Lag does not affect readiness: reads are
served meanwhile. `messages` counts unrecorded messages. `stalled_seconds` is how long this process
has seen messages wait in a partition in which nothing was recorded. `waits` gives the reason for
each blocked partition. `recording` is null if the queue does not answer. (Intake's metrics have the
age of the oldest message, which this service must not read.)

The endpoint needs no token, so ids are removed from the reasons. One thread at a time checks, at
most once a second; other requests get the previous result.
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
    """Result of a check: the reason if not ready, the recording lag, and the time."""

    why: str | None
    recording: Json | None
    at: float


class Readiness:
    """Readiness check of store and queue, cached for a second."""

    def __init__(
        self,
        engine: Engine,
        watermark: PublishedView,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._watermark, self._clock = engine, watermark, clock
        self._checking = Lock()
        self._state: ReadinessState | None = None
        self._checking_since: float | None = None  # while a thread checks
        self._stalled: dict[
            int, tuple[bytes | None, float]
        ] = {}  # published checkpoint, since when

    def why(self) -> str | None:
        """Return why the service is not ready; None if it is."""
        state, since = self._now(), self._checking_since
        if since is not None and self._clock() - since >= STALE:
            return f"the store has not answered for more than {STALE:g} s"
        return state.why

    def recording(self) -> Json:
        """Return the recording lag, as a member of the response."""
        return {"recording": self._now().recording}

    def _now(self) -> ReadinessState:
        state = self._state
        if state is not None and self._clock() - state.at < FRESH:
            return state
        if self._checking.acquire(timeout=0 if state else STALE):
            try:
                if self._state is state:  # no other thread has checked meanwhile
                    self._checking_since = self._clock()
                    why, recording = self._of_store(), self._of_queue()
                    self._state = ReadinessState(why, recording, self._clock())
            finally:
                self._checking_since = None
                self._checking.release()
        return self._state or ReadinessState(
            "the store has not been checked yet", None, self._clock()
        )

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
            partitions = backlogs(self._watermark.queues, self._watermark.partitions)
        except Unavailable:
            return None
        return {
            "messages": sum(partition.messages for partition in partitions),
            "stalled_seconds": round(max(map(self._stalled_for, partitions), default=0.0), 1),
            "waits": {
                str(partition.partition): _public(partition.waits)
                for partition in partitions
                if partition.waits
            },
        }

    def _stalled_for(self, partition: Backlog) -> float:
        now = self._clock()
        published, since = self._stalled.get(partition.partition, (None, now))
        if not partition.messages or published != partition.published:
            since = now
        self._stalled[partition.partition] = (partition.published, since)
        return now - since


def _public(why: str) -> str:
    """Return a reason without ids and terminal control characters."""
    plain = "".join(character if character.isprintable() else " " for character in why)
    return _ID.sub("somebody", plain)[:LONGEST_REASON]
