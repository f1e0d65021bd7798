"""The worker: RQ's job, and the sweeper that makes RQ's word unnecessary.

RQ alone suffices: a bell is a job that drains one partition. The sweeper alone suffices: every
two seconds it looks at each partition and drains one whose oldest message has waited as long.
In one process a lock keeps the two apart; between processes the head row's lock does.
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

DEADLINE = 5.0  # seconds a drain may take before it rings again and returns
LINGER = 20  # milliseconds that a drain stays for the next event; a bell costs RQ 3 ms
SWEEP_EVERY = 2.0  # seconds; a bell that was lost costs at most twice this
SILENCE = 90  # seconds without a sweep; a sound batch may wait 30 for the lock and 60 for a query
PAUSE = 0.2  # seconds between two looks at whether to stop, and before RQ is begun again …
LONGEST_PAUSE = 5.0  # … twice as long each time that the queue is away, up to this
WORKER_TTL = 60  # seconds; RQ blocks for 15 s less

log_line = structlog.get_logger()


class Drainer:
    """Drains partitions with a projector, one at a time in this process."""

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
        self._one = threading.Lock()

    def drain(self, partition: int, *, starting: bool = False) -> int:
        """Empty a partition: clear the flag first, then batches until nothing is left.

        When `starting`, an empty partition too takes a batch, which looks at the log's head.
        Returns how many messages left the stream. Whatever fails makes the partition wait and say
        why; the sweeper comes back to it. Unsafe stops the worker.
        """
        with self._one:
            try:
                return self._drain(partition, starting)
            except PreconditionFailed as fault:
                self.broken = fault
                self._wait(partition, fault)
                self.stopping.set()
                os.kill(os.getpid(), signal.SIGTERM)  # RQ may be blocked in another thread
            except Exception as fault:  # noqa: BLE001 - whatever it is: nothing is lost, it waits
                self._wait(partition, fault)
        return 0

    def stuck(self) -> str:
        """Return why this worker is not live, or nothing if its sweeps go on."""
        silent = self._clock() - self._swept_at
        return f"it has not finished a sweep for {silent:.0f} s" if silent > SILENCE else ""

    def switch(self) -> None:
        """Put a rebuild in place, between two drains."""
        with self._one:
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
        """Move what does not belong in a partition, and have it drained where it went."""
        inbox = self._projector.inbox
        inbox.clear_wake(partition)
        for each in reroute(inbox, partition, self._projector.partitions):
            self._ring_again(each)
        return 0

    def begin(self) -> None:
        """Drain everything, and move what waits where this ledger has no partition."""
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

    def _wait(self, partition: int, fault: Exception) -> None:
        why = describe_error(fault)
        self._failed()
        log_line.error("partition_blocked", log=partition, why=why, exc_info=fault)
        with suppress(RedisError):  # the queue itself may be what is away
            self._projector.inbox.set_blocked_reason(partition, why)

    def sweep(self) -> None:
        """Drain every partition whose oldest message has waited for a sweep, until stopped.

        A drain that hangs holds the sweep up, which `stuck` then says.
        """
        away = set[int]()
        while not self.stopping.wait(SWEEP_EVERY):
            self._lay_out()
            for partition in range(self._projector.partitions):
                try:
                    glance = self._projector.inbox.summarize(partition)
                    if self._projector.has_full(partition):
                        self._projector.close_for_full(partition)
                except RedisError as fault:
                    if partition not in away:  # said once, until it was there again
                        log_line.warning("sweep_failed", log=partition, why=describe_error(fault))
                    away.add(partition)
                    continue
                away.discard(partition)
                # Less than nothing: the queue's clock was set back behind its messages.
                forgotten = glance.oldest is not None and not 0 <= glance.oldest < SWEEP_EVERY
                looks = self._projector.wants_a_look(partition, glance)
                if (forgotten or looks) and not self.stopping.is_set():
                    crashpoint("sweep-found")
                    self.drain(partition, starting=looks)
            self._swept_at = self._clock()


_drainer: Drainer | None = None


def drain(partition: int) -> None:
    """The function that RQ's jobs run."""
    if _drainer is None:
        raise RuntimeError("this process is no worker")
    _drainer.drain(partition)


def switch(_: int) -> None:
    """The only other function an RQ job may run: put in place what `firsthand rebuild` folded."""
    if _drainer is None:
        raise RuntimeError("this process is no worker")
    _drainer.switch()


class Worker(SimpleWorker):
    """RQ's worker in this process: no fork a job, and a stop that ends after the batch."""

    job_class = DrainJob

    def check_for_suspension(self, burst: bool) -> None:
        """Before each wait for a bell: none is begun by who was asked to stop meanwhile, also
        while RQ had not yet put its own signal handlers in place.
        """
        if _drainer is not None and _drainer.stopping.is_set():
            raise StopRequested
        super().check_for_suspension(burst)

    def handle_warm_shutdown_request(self) -> None:
        """SIGTERM: let the drain end with its batch."""
        if _drainer is not None:
            _drainer.stopping.set()
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]  # as RQ has it


def run(
    drainer: Drainer,
    keeper: CheckpointArchiver,
    connection: Any,
    *,
    sweeper: bool,
    rq: bool,
) -> None:
    """Work until SIGTERM. Raises Unsafe when the ledger may not be written.

    `sweeper` and `rq` can be switched off, one at a time, to show that the other suffices.
    """
    global _drainer  # noqa: PLW0603 - RQ finds its function by name, so what it drains with is the module's
    _drainer = drainer
    _take_signals(drainer)
    sweep = threading.Thread(target=drainer.sweep, name="sweeper", daemon=True)
    keep = threading.Thread(target=keeper.run, args=(drainer.stopping,), name="keeper", daemon=True)
    keep.start()
    if sweeper:
        sweep.start()
    try:
        drainer.begin()
        pause = PAUSE
        while not drainer.stopping.is_set():
            pause = next_pause(pause, went=not rq or _work(drainer, connection))
            rest(drainer, pause)
    finally:
        drainer.stopping.set()
        keep.join(timeout=2 * DEADLINE)
        if sweeper:
            sweep.join(timeout=2 * DEADLINE)
    if drainer.broken is not None:
        raise drainer.broken


def next_pause(pause: float, *, went: bool) -> float:
    """Seconds to pause after RQ's loop; `went` is false if the queue was away, again or anew."""
    return PAUSE if went else min(2 * pause, LONGEST_PAUSE)


def rest(drainer: Drainer, seconds: float) -> None:
    """Sleep, and look meanwhile at whether to stop."""
    until = time.monotonic() + seconds
    while not drainer.stopping.is_set() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, PAUSE))


def _work(drainer: Drainer, connection: Any) -> bool:
    """RQ's loop, to be begun again if it gives up: it quits when Redis is away for long. False if
    it did not even begin, or the queue went away.
    """
    went = True
    try:
        worker = Worker(
            [bell(connection)],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )
        worker.work(logging_level="WARNING")
    except RedisError as fault:
        went = False
        log_line.warning("rq_unavailable", why=describe_error(fault))
    _take_signals(drainer)
    return went


def _take_signals(drainer: Drainer) -> None:
    """Stop when asked to. RQ has handlers of its own while it works, and leaves them behind. The
    main thread sleeps and never waits for `stopping`: its handler could not take that lock then.
    """
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: drainer.stopping.set())
