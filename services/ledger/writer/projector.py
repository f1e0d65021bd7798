"""The projector: one batch, start to end.

BEGIN; lock the log's head; *then* read the head of the stream; drop repeats; decide; append;
extend the tree and its tiles; sign; COMMIT; then publish checkpoint and receipts and delete
exactly the messages recorded. A crash anywhere re-reads the same head of the stream.

What fails for one person holds that person's messages back (holding.py). What fails for all, SQL,
the queue, a key of the ledger, memory, records nothing; the partition waits and says why.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import Signer, read_checkpoint
from services.ledger.plan.decide import RULES
from services.ledger.store import writes
from services.ledger.store.checkpoint_archive import last_archived
from services.ledger.store.database import Connection, Engine, transaction
from services.ledger.store.tile_store import root_at, save_tiles
from services.ledger.store.writes import Head
from services.ledger.vault import Vault
from services.ledger.writer.batch import Batch
from services.ledger.writer.batch_size import LARGE, BatchSizes
from services.ledger.writer.held_messages import HeldMessages
from services.ledger.writer.metrics import BatchStats
from services.ledger.writer.plan_cache import PlanCache
from services.ledger.writer.queue_accounting import Alarm, count_taken, reconcile
from shared.crashpoints import crashpoint
from shared.errors import ClockJump, PreconditionFailed, QueueReplaced
from shared.events.event import timestamp
from shared.inbox.inbox import Inbox, StreamHead, StreamSummary

BATCH_BYTES = 8 * 1024 * 1024  # of messages, sealed, after which no more are read
SKEW, LATE = 60.0, 3_600.0  # seconds that our clock may differ from the queue's; and lag behind

log_line = structlog.get_logger()


class Projector:
    """Drains partitions into their logs. Two of them on one partition are legal: the head row's
    lock orders them. `skew` bounds, in seconds, how far our clock may be from the queue's.
    """

    def __init__(
        self,
        engine: Engine,
        inbox: Inbox,
        vault: Vault,
        signers: list[Signer],
        clock: Callable[[], datetime],
        observe: Callable[[BatchStats], None] = lambda _: None,
        *,
        skew: float = SKEW,
    ) -> None:
        self.inbox = inbox
        self.partitions = len(signers)
        self._engine = engine
        self._signers = signers
        self._clock = clock
        self._observe = observe
        self._skew = skew
        self._people = PlanCache(vault)
        self._holding = HeldMessages()
        self._trials = BatchSizes(inbox)
        self._left: dict[int, Head] = {}  # each log's head, as this process left it
        self._added = defaultdict[int, int](int)  # messages that were ever seen added to a stream

    def batch(self, log: int) -> int:
        """Record the head of a partition's stream; returns how many messages left it.

        An empty one too is committed and published, if that head is not what was published last.
        Whatever raises here has recorded nothing that was not committed, and deleted nothing.
        """
        course = BatchStats(log)
        batch = Batch(log, self.partitions, self._people, self.inbox.transit, self._holding)
        try:
            with transaction(self._engine) as connection:
                head = found = writes.lock_head(connection, log)
                course.record_stage("lock")
                crashpoint("batch-locked")
                reading = self.inbox.peek(log, LARGE)
                crashpoint("batch-read")
                head, alarm = self._check(connection, head, reading)
                course.record_stage("read")
                if self._is_idle(head, reading, alarm):
                    self._left[log] = found
                    self.inbox.acknowledge(
                        log, (), (), None
                    )  # what it waited for, if it did, is over
                    return self._over(course, head, batch)
                self._judge(connection, head, reading, batch)
                crashpoint("batch-judged")
                leaves = [leaf_hash(row["leaf"]) for row in batch.rows]
                new = count_taken(self._extend(head, leaves, batch.recorded), batch.places)
                course.record_stage("judge")
                crashpoint("batch-signed")
                self._write(connection, batch, head, new, leaves, alarm)
                course.record_stage("append")
                crashpoint("batch-written")
        except BaseException:
            self._people.drop(batch.subjects)
            self._holding.forget(log)
            raise
        self._committed(log, new, batch, alarm)
        course.record_stage("commit")
        crashpoint("batch-committed")
        self.inbox.acknowledge(log, batch.places, batch.receipts(), new.checkpoint.encode())
        course.record_stage("settle")
        crashpoint("batch-settled")
        self._people.drop(batch.blocked)
        self._people.trim(batch.touched)
        return self._over(course, new, batch)

    def _judge(self, connection: Connection, head: Head, reading: StreamHead, batch: Batch) -> None:
        """Judge messages until the batch's deadline, or until there are enough of them."""
        trial = self._trials.begin(head.log, head.size, reading)
        alone = trial.messages == 1
        try:
            now = self._clock()
            batch.begin(connection, head, max(timestamp(now), head.recorded), self._latest(now))
            messages, size = reading.messages[: trial.messages], 0
            while messages and not (batch.places and batch.is_over):
                done = batch.judge(messages, aside=trial.aside, alone=alone)
                size += sum(len(sealed) for _, sealed in messages)
                room = min(2 * len(messages), trial.messages - len(batch.places))
                if done < len(messages) or size >= BATCH_BYTES or room < 1:
                    break
                messages = self.inbox.peek_after(head.log, messages[-1][0], room)
            batch.end()
        except MemoryError:
            self._trials.too_large(head.log)
            self._people.clear()
            raise
        finally:
            self._trials.end(head.log)

    def _latest(self, now: datetime) -> str:
        """The moment after which no event can have been received, if our clock is right."""
        bounded = self._skew <= LATE
        return timestamp(now + timedelta(seconds=LATE)) if bounded else "9999"

    def _write(
        self,
        connection: Connection,
        batch: Batch,
        head: Head,
        new: Head,
        leaves: Sequence[bytes],
        alarm: Alarm | None,
    ) -> None:
        """Write all that a batch worked out, and make the proofs for those who wait."""
        writes.append_entries(connection, batch.rows)
        crashpoint("batch-inserting")
        save_tiles(connection, head.log, head.size, leaves)
        writes.save_keys(connection, batch.new_keys)
        writes.save_unreadable(connection, batch.unreadable)
        writes.save_held(connection, batch.held)
        writes.release_held(connection, batch.released)
        writes.save_alarms(connection, [alarm.row(batch.recorded)] if alarm else [])
        writes.save_people(connection, batch.people_rows())
        writes.save_plans(connection, batch.plan_rows())
        writes.save_snapshots(connection, batch.snapshots)
        writes.save_head(connection, new)
        batch.prove(connection, head, leaves, new)
        if batch.held or batch.released:
            self._holding.refresh(connection, head.log)

    def _committed(self, log: int, new: Head, batch: Batch, alarm: Alarm | None) -> None:
        """Remember what is in the store now, and raise the alarm that is kept there."""
        self._left[log] = new
        self._trials.succeeded(log)
        if alarm:
            log_line.error(alarm.kind, log=log, missing=alarm.missing, why=alarm.detail)
            self._added[log] = new.added
            self.inbox.clear_added(log)
        if batch.held or batch.released:
            self.close_for_full(log)

    def _is_idle(self, head: Head, reading: StreamHead, alarm: Alarm | None) -> bool:
        """Whether there is nothing to record, to publish, to release or to say."""
        if reading.messages or alarm or self._holding.is_due(head.log):
            return False
        return reading.published == self._signed(head).checkpoint.encode()

    def forget(self) -> None:
        """Fold everybody from the store again: it was rebuilt."""
        self._people.clear()

    def wants_a_look(self, log: int, glance: StreamSummary) -> bool:
        """Whether a partition in which no message waits for long wants a batch all the same: its
        stream holds more or less than it must, or held messages are to be tried again.
        """
        head = self._left.get(log)
        if head is None or glance.added is None:
            return False
        waiting = glance.added - head.taken - glance.moved
        if waiting >= glance.length:  # or it is another stream
            self._added[log] = max(self._added[log], glance.added)
        return waiting != glance.length or self._holding.is_due(log)

    def close_for_full(self, log: int) -> None:
        """Have intake refuse what comes about people of whom as much is held as may be."""
        self.inbox.set_full_people(log, self._holding.full(log))

    def has_full(self, log: int) -> bool:
        """Whether there are such people, of whom intake hears again and again."""
        return bool(self._holding.full(log))

    def _over(self, course: BatchStats, head: Head, batch: Batch) -> int:
        """Report to the observer what the batch did; returns how many messages left the stream."""
        course.size, course.people = head.size, len(self._people)
        batch.record_stats(course)
        self._observe(course)
        return course.messages

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

    def _check(
        self, connection: Connection, head: Head, reading: StreamHead
    ) -> tuple[Head, Alarm | None]:
        """Stop rather than write behind newer rules, behind what was published, or by a clock that
        leapt; the head, brought in step with the stream, and what is missing from that.
        """
        log, published = head.log, reading.published
        self._check_clock(reading)
        if not self._holding.known(log) or head != self._left.get(log):
            self._holding.refresh(connection, log)  # somebody else wrote since, or we just started
            if head.rules > RULES:
                raise PreconditionFailed(
                    f"log {log} was ruled by rules {head.rules}, this worker has {RULES}"
                )
        if published != head.checkpoint.encode():
            head = replace(head, published=self._check_published(connection, head, published))
        else:
            head = replace(head, published=head.size)
        head, alarm = reconcile(head, reading, self._added[log])
        if alarm is None:
            self._added[log] = max(self._added[log], reading.added or 0)
        return head, alarm

    def _check_clock(self, reading: StreamHead) -> None:
        ours = self._clock().timestamp()
        if reading.clock is not None and abs(off := ours - reading.clock) > self._skew:
            way = "ahead of" if off > 0 else "behind"
            raise ClockJump(
                f"the worker's clock is {abs(off):.0f} s {way} the queue's, and entries would keep "
                "its time for good; set both by the same time server"
            )

    def _check_published(self, connection: Connection, head: Head, published: bytes | None) -> int:
        """The size that was published last. Unsafe if the database is behind it, or not the one
        it was published from; QueueReplaced if nothing is published where something was.
        """
        log = head.log
        size, root = self._read_published(head, published)
        if root is None:
            kept = last_archived(connection, log)
            known = max(head.published, kept["size"] if kept else 0)
            if known:
                raise QueueReplaced(
                    f"at least {known} entries of log {log} were published, and the queue does not "
                    "say so any more: it was emptied or replaced, or this database is an older "
                    "copy; make sure that it is the newest one, then run 'firsthand accept-queue'"
                )
            return 0
        if size > head.size:
            raise PreconditionFailed(
                f"log {log} ends at {head.size}, but {size} entries were published: this "
                "database is an older copy. Bring back the newer one, or run 'firsthand restore' "
                "with an export that holds them"
            )
        if root != (head.root if size == head.size else root_at(connection, log, size)):
            raise PreconditionFailed(
                f"log {log} holds other entries than the {size} that were published: this "
                "database is not the one they were published from. Bring that one back"
            )
        return max(size, head.published)

    def _read_published(self, head: Head, published: bytes | None) -> tuple[int, bytes | None]:
        """Size and root of what is published; no root if that is nothing, or no checkpoint."""
        try:
            note = (published or b"").decode()
            return read_checkpoint(note, *self._signers[head.log].vkeys) if note else (0, None)
        except ValueError as fault:
            log_line.warning("published-unreadable", log=head.log, why=str(fault))
            return 0, None
