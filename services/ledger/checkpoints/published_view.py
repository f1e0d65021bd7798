"""How far each log was published: no reader of a log sees beyond it, and what was served stays so.

The watermark stands in the queue, outside the database (shared/inbox). Of what the queue
says, what was kept (`checkpoints`), and what this process has served, the largest counts: a rightly
signed checkpoint of before, put there by somebody who may write to the queue, takes nothing away.
What is there and is no checkpoint counts as missing, and is logged. While the queue is away, the
last checkpoint that was kept stands for it: readers see a little less, never more.
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
    """Opens the store for reading no further than was published. `vkeys` are those of each log."""

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
        """How many logs there are: one a partition."""
        return len(self.vkeys)

    @property
    def queues(self) -> RedisServers:
        """The queue's servers, where the watermark stands."""
        return self._last.queues

    @contextmanager
    def reading(self, log: int) -> Iterator[tuple[Connection, PublishedHead]]:
        """A connection, and how far its log may be read. Unavailable if nobody can say."""
        note = self._in_queue(log)  # first: the store was committed before it was published
        with transaction(self._engine) as connection:
            head = reads.head(connection, log)
            if head is None:
                raise Unavailable(f"Log {log} is not in this ledger.")
            published = self._published(connection, head, note)
            if head.size < published.size:
                raise Unavailable("This database is behind what was published.")
            yield connection, published

    def checkpoint(self, log: int) -> str:
        """What is served as the log's checkpoint: where there are witnesses, the last one with
        quorum. Unavailable if there is none.
        """
        with self.reading(log) as (connection, published):
            if not self._policy.witnesses:
                return published.checkpoint
            row = last_archived(connection, log, self._policy.quorum)
            if row is None and self._policy.quorum:
                raise Unavailable("No checkpoint has the cosignatures it needs yet.")
            return row["checkpoint"] if row else published.checkpoint

    def _in_queue(self, log: int) -> str:
        """What stands in the queue; nothing while it is away."""
        try:
            return self._last.read(log)
        except Unavailable:
            return ""

    def _published(self, connection: Connection, head: Head, note: str) -> PublishedHead:
        """The largest of what the queue says, what was kept, and what was found here before. Of an
        empty log, which can hide nothing, its head.
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
            raise Unavailable("It is not known just now how far this log was published.")
        if queued is not None and queued.size < largest.size:
            why = f"the queue says size {queued.size}, and {largest.size} was published"
            self._warn(log, "queue", note, why)
        return largest

    def _read(self, log: int, note: str, where: str) -> PublishedHead | None:
        """A checkpoint, if it is one of this log; the last one is not verified again."""
        known = self._verified.get((log, where))
        if known is not None and known.checkpoint == note:
            return known
        try:
            found = PublishedHead(read_checkpoint(note, *self.vkeys[log])[0], note)
        except ValueError as fault:
            why = f"what stands in the {where} is no checkpoint of this log ({fault})"
            self._warn(log, where, note, why)
            return None
        self._verified[log, where] = found
        return found

    def _larger(self, log: int, found: PublishedHead | None) -> PublishedHead | None:
        """The largest one so far, this one included."""
        with self._lock:
            known = self._largest.get(log)
            if found is not None and (known is None or found.size > known.size):
                known = self._largest[log] = found
            return known

    def _warn(self, log: int, where: str, note: str, why: str) -> None:
        """Log what is wrong, once until something else stands there."""
        if self._logged.get((log, where)) != note:
            self._logged[log, where] = note
            log_line.warning("published", log=log, why=why)
