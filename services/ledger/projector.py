"""The projector: one batch, start to end.

BEGIN; lock the log's head; *then* read the head of the stream; drop repeats; decide; append;
extend the tree; sign; COMMIT; then publish checkpoint and receipts and delete exactly the
messages recorded. A crash anywhere re-reads the same head of the stream.
"""

from collections.abc import Callable
from datetime import datetime

from services.ledger.batch import Batch
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.note import Signer, read_checkpoint
from services.ledger.people import People
from services.ledger.plan.rules import RULES
from services.ledger.store import append
from services.ledger.store.append import Head
from services.ledger.store.engine import Engine, transaction
from services.ledger.vault import Vault
from shared.event import timestamp
from shared.inbox import Inbox
from shared.problems import Unsafe

BATCH = 2000  # messages at most


class Projector:
    """Drains partitions into their logs. Two of them on one partition are legal: the head row's
    lock orders them.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        vault: Vault,
        signers: list[Signer],
        clock: Callable[[], datetime],
    ) -> None:
        self.inbox = inbox
        self._engine = engine
        self._signers = signers
        self._clock = clock
        self._people = People(vault)

    def batch(self, log: int) -> int:
        """Record the head of a partition's stream; returns how many messages left it.

        Whatever raises here has recorded nothing that was not committed, and deleted nothing.
        """
        batch = Batch(log, self._people, self.inbox.transit)
        try:
            with transaction(self._engine) as connection:
                head = append.lock_head(connection, log)
                messages, published = self.inbox.read(log, BATCH)
                self._check(log, head, published)
                if not messages:
                    return 0
                batch.judge(connection, head, messages, max(self._now(), head.recorded))
                new = self._extend(head, batch)
                append.append(connection, batch.rows)
                append.keep_keys(connection, batch.new_keys)
                append.keep_unreadable(connection, batch.unreadable)
                append.keep_people(connection, batch.people_rows())
                append.keep_plans(connection, batch.plan_rows())
                append.keep_snapshots(connection, batch.snapshot_rows())
                append.save_head(connection, new)
        except BaseException:
            self._people.drop(batch.subjects)
            raise
        checkpoint = new.checkpoint.encode()
        places = [place for place, _ in messages]
        self.inbox.settle(log, places, batch.receipts(new.checkpoint), checkpoint)
        self._people.trim()
        return len(messages)

    def _now(self) -> str:
        return timestamp(self._clock())

    def _extend(self, head: Head, batch: Batch) -> Head:
        """The head after the batch's entries, its tree extended and signed."""
        tree = Frontier.from_bytes(head.size, head.frontier)
        for row in batch.rows:
            tree.append(leaf_hash(row["leaf"]))
        root = tree.root()
        checkpoint = self._signers[head.log].checkpoint(tree.size, root)
        recorded = batch.recorded if batch.rows else head.recorded
        return Head(head.log, tree.size, tree.to_bytes(), root, checkpoint, recorded, RULES)

    def _check(self, log: int, head: Head, published: bytes | None) -> None:
        """Stop rather than write behind newer rules, or behind what was published."""
        if head.rules > RULES:
            raise Unsafe(f"log {log} was ruled by rules {head.rules}, this worker has {RULES}")
        if published is not None:
            size, _ = read_checkpoint(published.decode(), self._signers[log].vkey)
            if size > head.size:
                raise Unsafe(
                    f"log {log} ends at {head.size}, but {size} entries were published: this "
                    "database is an older copy. Bring back the newer one"
                )
