"""Published view: readers of a log see it up to the last published checkpoint, never beyond.

The last published checkpoint is stored in the queue, outside the database (shared/inbox). The
largest of three counts: the checkpoint in the queue, the last archived one (`checkpoints`), and the
last one that this process served. An older signed checkpoint that an attacker writes to the queue
therefore hides nothing. An invalid checkpoint counts as missing, and is logged. While the queue is
unavailable, the last archived checkpoint counts, so readers see a little less, never more.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import structlog

from services.ledger.checkpoints.witnesses import NO_WITNESSES, Policy
from services.ledger.log.signed_note import read_checkpoint
from services.ledger.store import reads
from services.ledger.store.checkpoint_archive import last_archived
from services.ledger.store.database import Connection, Engine, transaction
from services.ledger.store.writes import Head
from shared.errors import Unavailable
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.servers import RedisServers

log_line = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """A published head of a log: its size and its signed checkpoint."""

    size: int
    checkpoint: str


class PublishedView:
    """Open the store for reading up to what was published. `vkeys` are those of every log."""

    def __init__(
        self,
        engine: Engine,
        last: PublishedCheckpoints,
        vkeys: Sequence[Sequence[str]],
        policy: Policy = NO_WITNESSES,
    ) -> None:
        self.vkeys = vkeys
        self._policy = policy
        self._engine = engine
        self._last = last
        self._largest: dict[int, PublishedHead] = {}
        self._verified: dict[tuple[int, str], PublishedHead] = {}
        self._logged: dict[tuple[int, str], str] = {}
        self._lock = Lock()

    @property
    def partitions(self) -> int:
        """The number of logs, one a partition."""
        return len(self.vkeys)

    @property
    def queues(self) -> RedisServers:
        """The queue's servers, which store the last published checkpoint."""
        return self._last.queues

    @contextmanager
    def reading(self, log: int) -> Iterator[tuple[Connection, PublishedHead]]:
        """Open a connection, with the head up to which its log may be read.

        Raises Unavailable if that head is unknown.
        """
        note = self._in_queue(log)  # read first: entries are committed before they are published
        with transaction(self._engine) as connection:
            head = reads.head(connection, log)
            if head is None:
                raise Unavailable(f"Log {log} is not in this ledger.")
            published = self._published(connection, head, note)
            if head.size < published.size:
                raise Unavailable("This database is behind what was published.")
            yield connection, published

    def checkpoint(self, log: int) -> str:
        """Return the checkpoint to serve: with witnesses, the last one that has a quorum.

        Raises Unavailable if there is none.
        """
        with self.reading(log) as (connection, published):
            if not self._policy.witnesses:
                return published.checkpoint
            row = last_archived(connection, log, self._policy.quorum)
            if row is None and self._policy.quorum:
                raise Unavailable("No checkpoint has the required cosignatures yet.")
            return row["checkpoint"] if row else published.checkpoint

    def _in_queue(self, log: int) -> str:
        """Return the checkpoint in the queue; empty while the queue is unavailable."""
        try:
            return self._last.read(log)
        except Unavailable:
            return ""

    def _published(self, connection: Connection, head: Head, note: str) -> PublishedHead:
        """Return the largest of the queued, the archived and the last served checkpoint.

        For an empty log, which hides nothing, return its head.
        """
        log = head.log
        queued = self._read(log, note, "queue") if note else None
        largest = self._larger(log, queued)
        row = last_archived(connection, log)
        if row is not None and (largest is None or row["size"] > largest.size):
            largest = self._larger(log, self._read(log, row["checkpoint"], "table of checkpoints"))
        if largest is None:
            if head.size == 0:
                return PublishedHead(0, head.checkpoint)
            raise Unavailable("The last published checkpoint is currently unavailable.")
        if queued is not None and queued.size < largest.size:
            why = f"the queue has size {queued.size}, but {largest.size} was published"
            self._warn(log, "queue", note, why)
        return largest

    def _read(self, log: int, note: str, where: str) -> PublishedHead | None:
        """Parse a checkpoint of this log; return None if invalid. The last one is cached."""
        known = self._verified.get((log, where))
        if known is not None and known.checkpoint == note:
            return known
        try:
            head = PublishedHead(read_checkpoint(note, *self.vkeys[log])[0], note)
        except ValueError as fault:
            why = f"the {where} has an invalid checkpoint of this log ({fault})"
            self._warn(log, where, note, why)
            return None
        self._verified[log, where] = head
        return head

    def _larger(self, log: int, head: PublishedHead | None) -> PublishedHead | None:
        """Return the largest head so far, including this one."""
        with self._lock:
            largest = self._largest.get(log)
            if head is not None and (largest is None or head.size > largest.size):
                largest = self._largest[log] = head
            return largest

    def _warn(self, log: int, where: str, note: str, why: str) -> None:
        """Log an invalid checkpoint once, until another one replaces it."""
        if self._logged.get((log, where)) != note:
            self._logged[log, where] = note
            log_line.warning("published", log=log, why=why)
