"""Worker process: RQ's drain job, and the sweeper that works without RQ.

RQ alone suffices: a doorbell job drains one partition. The sweeper alone suffices: every two
seconds it checks all partitions and drains those whose oldest message has waited as long. A lock
serialises the two in one process; between processes, the head row's lock does.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from redis.exceptions import RedisError

from services.ledger.checkpoints.archiver import CheckpointArchiver
from services.ledger.writer.projector import Projector
from services.ledger.writer.reroute import reroute
from shared.crashpoints import crashpoint
from shared.errors import MisroutedEvent, PreconditionFailed
from shared.inbox.doorbell import DrainJob, JSONSerializer, SimpleWorker, StopRequested, bell
from shared.inbox.lag import messages_outside_layout
from shared.inbox.partition_layout import publish_layout
from shared.log_setup import describe_error

DEADLINE = 5.0  # seconds after which a drain enqueues another job and returns
LINGER = 20  # milliseconds that a drain waits for the next event; a doorbell job costs RQ 3 ms
SWEEP_EVERY = 2.0  # seconds; a lost doorbell job delays events by at most twice this
SILENCE = 90  # seconds without a sweep; a batch may wait 30 for the lock and 60 for a query
PAUSE = 0.2  # seconds between checks of the stop flag, and before RQ's loop is restarted …
LONGEST_PAUSE = 5.0  # … doubled up to this while the queue is unreachable
WORKER_TTL = 60  # seconds; RQ blocks for 15 s less

log_line = structlog.get_logger()


class Drainer:
    """Drain partitions with a projector, one at a time in this process."""

    def __init__(
        self,
        projector: Projector,
        ring_again: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        linger: int = 0,
        failed: Callable[[], None] = lambda: None,
        switch: Callable[[], None] = lambda: None,
    ) -> None:
        self.stopping = threading.Event()
        self.broken: PreconditionFailed | None = None
        self._projector = projector
        self._ring_again = ring_again
        self._clock = clock
        self._linger = linger
        self._failed = failed
        self._swept_at = clock()
        self._switch = switch
        self._lock = threading.Lock()

    def drain(self, partition: int, *, starting: bool = False) -> int:
        """Clear the wake flag, then process batches until the partition is empty.

        If `starting`, an empty partition also gets one batch, which checks the log's head. Returns
        how many messages left the stream. On any failure the partition is marked as blocked with
        the reason, and the sweeper retries it. PreconditionFailed stops the worker.
        """
        with self._lock:
            try:
                return self._drain(partition, starting)
            except PreconditionFailed as fault:
                self.broken = fault
                self._mark_blocked(partition, fault)
                self.stopping.set()
                os.kill(os.getpid(), signal.SIGTERM)  # RQ may be blocked in another thread
            except Exception as fault:  # noqa: BLE001 - nothing is lost; the sweeper retries
                self._mark_blocked(partition, fault)
        return 0

    def stuck(self) -> str:
        """Return why this worker is not live, or nothing if its sweeps go on."""
        silent = self._clock() - self._swept_at
        return f"it has not finished a sweep for {silent:.0f} s" if silent > SILENCE else ""

    def switch(self) -> None:
        """Activate a finished rebuild, between two drains."""
        with self._lock:
            self._switch()

    def _drain(self, partition: int, starting: bool) -> int:
        if partition >= self._projector.partitions:
            return self._move(partition)
        inbox, until, done = self._projector.inbox, self._clock() + DEADLINE, 0
        crashpoint("drain-begun")
        inbox.clear_wake(partition)
        crashpoint("drain-cleared")
        while starting or inbox.has_messages(partition, linger=self._linger):
            starting = False
            if self.stopping.is_set() or self._clock() > until:
                self._ring_again(partition)
                break
            try:
                done += self._projector.batch(partition)
            except MisroutedEvent as fault:
                log_line.warning("misplaced", log=partition, why=describe_error(fault))
                self._move(partition)
        crashpoint("drain-over")
        return done

    def _move(self, partition: int) -> int:
        """Reroute messages that belong in other partitions, and have those drained."""
        inbox = self._projector.inbox
        inbox.clear_wake(partition)
        for target in reroute(inbox, partition, self._projector.partitions):
            self._ring_again(target)
        return 0

    def begin(self) -> None:
        """Drain everything, and reroute messages in partitions that this ledger does not have."""
        self._lay_out()
        for partition in range(self._projector.partitions):
            self.drain(partition, starting=True)
        with suppress(RedisError):
            for partition in messages_outside_layout(
                self._projector.inbox.queues, self._projector.partitions
            ):
                self.drain(partition)

    def _lay_out(self) -> None:
        with suppress(RedisError):
            publish_layout(self._projector.inbox.queues, self._projector.partitions)

    def _mark_blocked(self, partition: int, fault: Exception) -> None:
        why = describe_error(fault)
        self._failed()
        log_line.error("partition_blocked", log=partition, why=why, exc_info=fault)
        with suppress(RedisError):  # the queue itself may be unreachable
            self._projector.inbox.set_blocked_reason(partition, why)

    def sweep(self) -> None:
        """Drain every partition whose oldest message has waited for a sweep, until stopped.

        A drain that hangs delays the sweep, and `stuck` then returns a reason.
        """
        unreachable = set[int]()
        while not self.stopping.wait(SWEEP_EVERY):
            self._lay_out()
            for partition in range(self._projector.partitions):
                try:
                    summary = self._projector.inbox.summarize(partition)
                    if self._projector.has_full_people(partition):
                        self._projector.publish_full_people(partition)
                except RedisError as fault:
                    if partition not in unreachable:  # logged once per outage
                        log_line.warning("sweep_failed", log=partition, why=describe_error(fault))
                    unreachable.add(partition)
                    continue
                unreachable.discard(partition)
                # A negative age means that the queue's clock was set back.
                is_overdue = summary.oldest is not None and not 0 <= summary.oldest < SWEEP_EVERY
                needs_batch = self._projector.needs_batch(partition, summary)
                if (is_overdue or needs_batch) and not self.stopping.is_set():
                    crashpoint("sweep-found")
                    self.drain(partition, starting=needs_batch)
            self._swept_at = self._clock()


_drainer: Drainer | None = None


def drain(partition: int) -> None:
    """Drain one partition; the function that RQ's jobs run."""
    if _drainer is None:
        raise RuntimeError("this process is not a worker")
    _drainer.drain(partition)


def switch(_: int) -> None:
    """Activate what `firsthand rebuild` folded; the only other function that RQ may run."""
    if _drainer is None:
        raise RuntimeError("this process is not a worker")
    _drainer.switch()


class Worker(SimpleWorker):
    """RQ's worker in this process: no fork per job, and a graceful stop after the batch."""

    job_class = DrainJob

    def check_for_suspension(self, burst: bool) -> None:
        """Stop before waiting for the next job if a stop was requested meanwhile.

        This also covers the time before RQ has installed its signal handlers.
        """
        if _drainer is not None and _drainer.stopping.is_set():
            raise StopRequested
        super().check_for_suspension(burst)

    def handle_warm_shutdown_request(self) -> None:
        """Let the drain end after its batch (SIGTERM)."""
        if _drainer is not None:
            _drainer.stopping.set()
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]  # untyped in RQ


def run(
    drainer: Drainer,
    archiver: CheckpointArchiver,
    connection: Any,
    *,
    sweeper: bool,
    rq: bool,
) -> None:
    """Work until SIGTERM. Raises PreconditionFailed if the ledger must not be written.

    `sweeper` and `rq` can be switched off, one at a time, to show that the other suffices.
    """
    global _drainer  # noqa: PLW0603 - RQ imports its job function by name, so the drainer is global
    _drainer = drainer
    _take_signals(drainer)
    sweeping = threading.Thread(target=drainer.sweep, name="sweeper", daemon=True)
    archiving = threading.Thread(
        target=archiver.run, args=(drainer.stopping,), name="keeper", daemon=True
    )
    archiving.start()
    if sweeper:
        sweeping.start()
    try:
        drainer.begin()
        pause = PAUSE
        while not drainer.stopping.is_set():
            pause = next_pause(pause, connected=not rq or _work(drainer, connection))
            rest(drainer, pause)
    finally:
        drainer.stopping.set()
        archiving.join(timeout=2 * DEADLINE)
        if sweeper:
            sweeping.join(timeout=2 * DEADLINE)
    if drainer.broken is not None:
        raise drainer.broken


def next_pause(pause: float, *, connected: bool) -> float:
    """Return the seconds to pause after RQ's loop; `connected` tells if Redis was reachable."""
    return PAUSE if connected else min(2 * pause, LONGEST_PAUSE)


def rest(drainer: Drainer, seconds: float) -> None:
    """Sleep, but return soon after a stop is requested."""
    until = time.monotonic() + seconds
    while not drainer.stopping.is_set() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, PAUSE))


def _work(drainer: Drainer, connection: Any) -> bool:
    """Run RQ's loop, which ends when Redis is unreachable for long.

    Returns False if Redis was or became unreachable.
    """
    connected = True
    try:
        worker = Worker(
            [bell(connection)],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )
        worker.work(logging_level="WARNING")
    except RedisError as fault:
        connected = False
        log_line.warning("rq_unavailable", why=describe_error(fault))
    _take_signals(drainer)
    return connected


def _take_signals(drainer: Drainer) -> None:
    """Install signal handlers that request a stop.

    RQ installs handlers while it works and does not restore ours. The main thread sleeps instead
    of waiting for `stopping`: the handler could not take that event's lock then.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: drainer.stopping.set())
