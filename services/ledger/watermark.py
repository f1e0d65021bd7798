"""How far each log was published: no reader of a log sees beyond it.

The watermark stands in the queue, outside the database (shared/inbox.py). While the queue is
away, the last checkpoint that was kept stands for it: readers see a little less, never more.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from services.ledger.log.note import read_checkpoint
from services.ledger.store import reads
from services.ledger.store.append import Head
from services.ledger.store.engine import Connection, Engine, transaction
from services.ledger.store.published import last_kept
from services.ledger.witnesses import NO_WITNESSES, Policy
from shared.problems import Unavailable
from shared.published import LastPublished


@dataclass(frozen=True, slots=True)
class Published:
    """The last published head of a log: its size and its signed checkpoint."""

    size: int
    checkpoint: str


class Watermark:
    """Opens the store for reading no further than was published. `vkeys` are those of each log."""

    def __init__(
        self,
        engine: Engine,
        last: LastPublished,
        vkeys: Sequence[Sequence[str]],
        policy: Policy = NO_WITNESSES,
    ) -> None:
        self.vkeys = vkeys
        self._policy = policy
        self._engine = engine
        self._last = last
        self._known: dict[int, Published] = {}

    @contextmanager
    def reading(self, log: int) -> Iterator[tuple[Connection, Published]]:
        """A connection, and how far its log may be read. Unavailable if nobody can say."""
        published = self._in_queue(log)  # first: the store was committed before it was published
        with transaction(self._engine) as connection:
            head = reads.head(connection, log)
            if head is None:
                raise Unavailable(f"Log {log} is not in this ledger.")
            published = published or _kept(connection, head)
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
            row = last_kept(connection, log, self._policy.quorum)
            if row is None and self._policy.quorum:
                raise Unavailable("No checkpoint has the cosignatures it needs yet.")
            return row["checkpoint"] if row else published.checkpoint

    def _in_queue(self, log: int) -> Published | None:
        """What the queue says, if it answers with a checkpoint of this log."""
        with suppress(Unavailable, ValueError):
            note = self._last.of(log)
            known = self._known.get(log)
            if known is None or known.checkpoint != note:
                size, _ = read_checkpoint(note, *self.vkeys[log])
                known = self._known[log] = Published(size, note)
            return known
        return None


def _kept(connection: Connection, head: Head) -> Published:
    """What was kept; of an empty log, which can hide nothing, its head."""
    row = last_kept(connection, head.log)
    if row is not None:
        return Published(row["size"], row["checkpoint"])
    if head.size == 0:
        return Published(0, head.checkpoint)
    raise Unavailable("It is not known just now how far this log was published.")
