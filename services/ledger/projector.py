"""The projector: one batch, start to end.

BEGIN; lock the log's head; *then* read the head of the stream; drop repeats; decide; append;
extend the tree and its tiles; sign; COMMIT; then publish checkpoint and receipts and delete
exactly the messages recorded. A crash anywhere re-reads the same head of the stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.ledger.batch import Batch
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.note import Signer, read_checkpoint
from services.ledger.log.proof import subtree
from services.ledger.metrics import Course
from services.ledger.people import People
from services.ledger.plan.rules import RULES
from services.ledger.store import append
from services.ledger.store.append import Head
from services.ledger.store.engine import Connection, Engine, transaction
from services.ledger.store.tiles import keep_tiles, nodes
from services.ledger.vault import Vault
from shared.crashpoint import crashpoint
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
        observe: Callable[[Course], None] = lambda _: None,
    ) -> None:
        self.inbox = inbox
        self.partitions = len(signers)
        self._engine = engine
        self._signers = signers
        self._clock = clock
        self._observe = observe
        self._people = People(vault)
        self._left: dict[int, Head] = {}  # each log's head, as this process left it

    def batch(self, log: int) -> int:
        """Record the head of a partition's stream; returns how many messages left it.

        An empty one too is committed and published, if that head is not what was published last.
        Whatever raises here has recorded nothing that was not committed, and deleted nothing.
        """
        batch, course = Batch(log, self.partitions, self._people, self.inbox.transit), Course(log)
        try:
            with transaction(self._engine) as connection:
                head = append.lock_head(connection, log)
                course.past("lock")
                crashpoint("batch-locked")
                messages, published = self.inbox.read(log, BATCH)
                crashpoint("batch-read")
                self._check(connection, head, published)
                course.past("read")
                if not messages and published == self._signed(head).checkpoint.encode():
                    self.inbox.settle(log, (), (), None)  # what it waited for, if it did, is over
                    return self._over(course, head, batch)
                batch.judge(connection, head, messages, max(self._now(), head.recorded))
                crashpoint("batch-judged")
                leaves = [leaf_hash(row["leaf"]) for row in batch.rows]
                new = self._extend(head, leaves, batch.recorded)
                course.past("judge")
                crashpoint("batch-signed")
                append.append(connection, batch.rows)
                crashpoint("batch-inserting")
                keep_tiles(connection, log, head.size, leaves)
                append.keep_keys(connection, batch.new_keys)
                append.keep_unreadable(connection, batch.unreadable)
                append.keep_people(connection, batch.people_rows())
                append.keep_plans(connection, batch.plan_rows())
                append.keep_snapshots(connection, batch.snapshots)
                append.save_head(connection, new)
                batch.prove(connection, head, leaves, new)
                course.past("append")
                crashpoint("batch-written")
        except BaseException:
            self._people.drop(batch.subjects)
            raise
        self._left[log] = new
        course.past("commit")
        crashpoint("batch-committed")
        checkpoint = new.checkpoint.encode()
        places = [place for place, _ in messages]
        self.inbox.settle(log, places, batch.receipts(), checkpoint)
        course.past("settle")
        crashpoint("batch-settled")
        self._people.trim()
        course.messages = len(messages)
        return self._over(course, new, batch)

    def forget(self) -> None:
        """Fold everybody from the store again: it was rebuilt."""
        self._people = People(self._people.vault)

    def _over(self, course: Course, head: Head, batch: Batch) -> int:
        """Tell whoever observes what the batch did; returns how many messages left the stream."""
        course.size, course.people = head.size, len(self._people)
        batch.tell(course)
        self._observe(course)
        return course.messages

    def _now(self) -> str:
        return timestamp(self._clock())

    def _extend(self, head: Head, leaves: Sequence[bytes], recorded: str) -> Head:
        """The head after these leaves, its tree extended and signed."""
        tree = Frontier.from_bytes(head.size, head.frontier)
        for each in leaves:
            tree.append(each)
        grown = replace(head, size=tree.size, frontier=tree.to_bytes(), root=tree.root())
        return self._signed(replace(grown, recorded=recorded if leaves else head.recorded))

    def _signed(self, head: Head) -> Head:
        checkpoint = self._signers[head.log].checkpoint(head.size, head.root)
        return replace(head, checkpoint=checkpoint, rules=RULES)

    def _check(self, connection: Connection, head: Head, published: bytes | None) -> None:
        """Stop rather than write behind newer rules, or behind what was published."""
        log = head.log
        if head == self._left.get(log) and published == head.checkpoint.encode():
            return  # nobody else wrote either since
        if head.rules > RULES:
            raise Unsafe(f"log {log} was ruled by rules {head.rules}, this worker has {RULES}")
        if published is None:
            return
        size, root = read_checkpoint(published.decode(), *self._signers[log].vkeys)
        if size > head.size:
            raise Unsafe(
                f"log {log} ends at {head.size}, but {size} entries were published: this "
                "database is an older copy. Bring back the newer one, or run 'firsthand restore' "
                "with an export that holds them"
            )
        kept = head.root if size == head.size else subtree(nodes(connection, log, size), 0, size)
        if root != kept:
            raise Unsafe(
                f"log {log} holds other entries than the {size} that were published: this "
                "database is not the one they were published from. Bring that one back"
            )
