"""The projector: one batch, start to end.

BEGIN; lock the log's head; *then* read the head of the stream; skip duplicates; decide; append;
extend the tree and its tiles; sign; COMMIT; then publish checkpoint and receipts and delete
exactly the recorded messages. After a crash at any point, the same head of the stream is read.

A failure for one person holds that person's messages (held_messages.py). A failure for all (SQL,
the queue, a key of the ledger, memory) records nothing, and the partition is blocked.
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

BATCH_BYTES = 8 * 1024 * 1024  # of encrypted messages, after which no more are read
SKEW, LATE = 60.0, 3_600.0  # seconds that our clock may differ from the queue's; and lag intake's

log_line = structlog.get_logger()


class Projector:
    """Drain partitions into their logs.

    Two projectors on one partition are allowed: the head row's lock serialises them. `skew` limits,
    in seconds, how far our clock may be from the queue's.
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
        self._held = HeldMessages()
        self._sizes = BatchSizes(inbox)
        self._last_heads: dict[int, Head] = {}  # by log, as this process wrote them
        self._added = defaultdict[int, int](int)  # the largest `added` count seen of a stream

    def batch(self, log: int) -> int:
        """Record the head of a partition's stream; return how many messages left it.

        Without messages, the head is committed and published if it was not published last. If this
        raises, no uncommitted entry is visible and no message was deleted.
        """
        stats = BatchStats(log)
        batch = Batch(log, self.partitions, self._people, self.inbox.transit, self._held)
        try:
            with transaction(self._engine) as connection:
                head = stored_head = writes.lock_head(connection, log)
                stats.record_stage("lock")
                crashpoint("batch-locked")
                reading = self.inbox.peek(log, LARGE)
                crashpoint("batch-read")
                head, alarm = self._check(connection, head, reading)
                stats.record_stage("read")
                if self._is_idle(head, reading, alarm):
                    self._last_heads[log] = stored_head
                    self.inbox.acknowledge(log, (), (), None)  # clears a reason for blocking
                    return self._report(stats, head, batch)
                self._judge(connection, head, reading, batch)
                crashpoint("batch-judged")
                leaves = [leaf_hash(row["leaf"]) for row in batch.rows]
                new = count_taken(self._extend(head, leaves, batch.recorded), batch.message_ids)
                stats.record_stage("judge")
                crashpoint("batch-signed")
                self._write(connection, batch, head, new, leaves, alarm)
                stats.record_stage("append")
                crashpoint("batch-written")
        except BaseException:
            self._people.drop(batch.subjects)
            self._held.forget(log)
            raise
        self._committed(log, new, batch, alarm)
        stats.record_stage("commit")
        crashpoint("batch-committed")
        self.inbox.acknowledge(log, batch.message_ids, batch.receipts(), new.checkpoint.encode())
        stats.record_stage("settle")
        crashpoint("batch-settled")
        self._people.drop(batch.blocked)
        self._people.trim(batch.touched)
        return self._report(stats, new, batch)

    def _judge(self, connection: Connection, head: Head, reading: StreamHead, batch: Batch) -> None:
        """Decide messages until the batch's deadline or size limit."""
        attempt = self._sizes.begin(head.log, head.size, reading)
        alone = attempt.messages == 1
        try:
            now = self._clock()
            batch.begin(connection, head, max(timestamp(now), head.recorded), self._latest(now))
            messages, size = reading.messages[: attempt.messages], 0
            while messages and not (batch.message_ids and batch.is_over):
                done = batch.judge(messages, poison=attempt.poison, alone=alone)
                size += sum(len(sealed) for _, sealed in messages)
                room = min(2 * len(messages), attempt.messages - len(batch.message_ids))
                if done < len(messages) or size >= BATCH_BYTES or room < 1:
                    break
                messages = self.inbox.peek_after(head.log, messages[-1][0], room)
            batch.end()
        except MemoryError:
            self._sizes.too_large(head.log)
            self._people.clear()
            raise
        finally:
            self._sizes.end(head.log)

    def _latest(self, now: datetime) -> str:
        """Return the latest possible `received` time of an event, if our clock is right."""
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
        """Write the results of a batch, and make the proofs for waiting requests."""
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
            self._held.refresh(connection, head.log)

    def _committed(self, log: int, new: Head, batch: Batch, alarm: Alarm | None) -> None:
        """Update this process's state after a commit, and log the alarm that was stored."""
        self._last_heads[log] = new
        self._sizes.succeeded(log)
        if alarm:
            log_line.error(alarm.kind, log=log, missing=alarm.missing, why=alarm.detail)
            self._added[log] = new.added
            self.inbox.clear_added(log)
        if batch.held or batch.released:
            self.publish_full_people(log)

    def _is_idle(self, head: Head, reading: StreamHead, alarm: Alarm | None) -> bool:
        """Return whether nothing is to be recorded, published, released or reported."""
        if reading.messages or alarm or self._held.is_due(head.log):
            return False
        return reading.published == self._signed(head).checkpoint.encode()

    def forget(self) -> None:
        """Clear the cache after a rebuild of the store."""
        self._people.clear()

    def needs_batch(self, log: int, summary: StreamSummary) -> bool:
        """Return whether a partition without overdue messages needs a batch nevertheless.

        It does if its stream has more or fewer messages than expected, or held messages are due.
        """
        head = self._last_heads.get(log)
        if head is None or summary.added is None:
            return False
        waiting = summary.added - head.taken - summary.moved
        if waiting >= summary.length:  # fewer means another stream
            self._added[log] = max(self._added[log], summary.added)
        return waiting != summary.length or self._held.is_due(log)

    def publish_full_people(self, log: int) -> None:
        """Let intake reject events of people with as many held messages as allowed."""
        self.inbox.set_full_people(log, self._held.full(log))

    def has_full_people(self, log: int) -> bool:
        """Return whether some people have as many held messages; intake is informed repeatedly."""
        return bool(self._held.full(log))

    def _report(self, stats: BatchStats, head: Head, batch: Batch) -> int:
        """Report the statistics to the observer; return how many messages left the stream."""
        stats.size, stats.people = head.size, len(self._people)
        batch.record_stats(stats)
        self._observe(stats)
        return stats.messages

    def _extend(self, head: Head, leaves: Sequence[bytes], recorded: str) -> Head:
        """Return the signed head after these leaves."""
        tree = Frontier.from_bytes(head.size, head.frontier)
        for leaf in leaves:
            tree.append(leaf)
        grown = replace(head, size=tree.size, frontier=tree.to_bytes(), root=tree.root())
        return self._signed(replace(grown, recorded=recorded if leaves else head.recorded))

    def _signed(self, head: Head) -> Head:
        checkpoint = self._signers[head.log].checkpoint(head.size, head.root)
        return replace(head, checkpoint=checkpoint, rules=RULES)

    def _check(
        self, connection: Connection, head: Head, reading: StreamHead
    ) -> tuple[Head, Alarm | None]:
        """Check rules, clock and published checkpoint; return the adjusted head and an alarm.

        Raises PreconditionFailed or ClockJump instead of writing with older rules, behind what was
        published, or with a wrong clock.
        """
        log, published = head.log, reading.published
        self._check_clock(reading)
        if not self._held.is_loaded(log) or head != self._last_heads.get(log):
            self._held.refresh(connection, log)  # another process wrote, or we just started
            if head.rules > RULES:
                raise PreconditionFailed(
                    f"log {log} was written by rules {head.rules}, this worker has {RULES}"
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
        if reading.clock is not None and abs(offset := ours - reading.clock) > self._skew:
            direction = "ahead of" if offset > 0 else "behind"
            raise ClockJump(
                f"the worker's clock is {abs(offset):.0f} s {direction} the queue's, and entries "
                "cannot be corrected later; synchronise both with the same time server"
            )

    def _check_published(self, connection: Connection, head: Head, published: bytes | None) -> int:
        """Return the size that was published last.

        Raises PreconditionFailed if the database is older or another one, and QueueReplaced if
        nothing is published although it was before.
        """
        log = head.log
        size, root = self._read_published(head, published)
        if root is None:
            archived = last_archived(connection, log)
            known = max(head.published, archived["size"] if archived else 0)
            if known:
                raise QueueReplaced(
                    f"at least {known} entries of log {log} were published, but the queue has no "
                    "record of it: it was emptied or replaced, or this database is an older copy; "
                    "make sure that it is the newest one, then run 'firsthand accept-queue'"
                )
            return 0
        if size > head.size:
            raise PreconditionFailed(
                f"log {log} ends at {head.size}, but {size} entries were published: this "
                "database is an older copy. Restore the newer one, or run 'firsthand restore' "
                "with an export that contains them"
            )
        if root != (head.root if size == head.size else root_at(connection, log, size)):
            raise PreconditionFailed(
                f"log {log} has other entries than the {size} that were published: this "
                "database is not the one they were published from. Restore that one"
            )
        return max(size, head.published)

    def _read_published(self, head: Head, published: bytes | None) -> tuple[int, bytes | None]:
        """Return size and root of the published checkpoint; no root if it is missing or invalid."""
        try:
            note = (published or b"").decode()
            return read_checkpoint(note, *self._signers[head.log].vkeys) if note else (0, None)
        except ValueError as fault:
            log_line.warning("published-unreadable", log=head.log, why=str(fault))
            return 0, None
