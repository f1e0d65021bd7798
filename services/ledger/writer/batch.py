"""One batch: computes verdicts, entries, changed people and receipts, and writes nothing.

A batch is limited in time: people are loaded and events decided in order until the deadline. The
messages decided by then, at least one, are the batch; the rest stays in the queue.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from services.ledger.fold import (
    PersonState,
    apply_entry,
    is_snapshot_due,
    is_store_due,
    load_state,
    plan_row,
)
from services.ledger.log import entry
from services.ledger.log.entry import StreamPosition, VerdictRecord
from services.ledger.log.merkle import Frontier
from services.ledger.log.proofs import Proof, inclusion, nodes_from_frontier
from services.ledger.plan.decide import RULES, Accepted, Refusal, Verdict, decide
from services.ledger.plan.evolve import evolve
from services.ledger.receipts import LocatedEntry, encode_reply
from services.ledger.store import reads, writes
from services.ledger.store.database import Connection, StoreError
from services.ledger.store.tile_store import nodes
from services.ledger.store.writes import Head
from services.ledger.writer.held_messages import AT_ONCE, HeldMessages, held_event, held_row
from services.ledger.writer.metrics import BatchStats
from services.ledger.writer.plan_cache import PlanCache
from services.ledger.writer.queue_accounting import StreamId
from shared.crypto.jwe import Key
from shared.crypto.transit import Transit
from shared.errors import (
    CatalogueTooNew,
    ClockJump,
    DecryptionError,
    KeyUnavailable,
    MisroutedEvent,
)
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event, partition_of
from shared.events.refusals import Code
from shared.inbox.inbox import Reply
from shared.log_setup import describe_error
from shared.tracing import trace_of

SECONDS = 2.0  # for loading and deciding
LOAD_BYTES = 16 * 1024 * 1024  # of stored plans that are loaded at once

WAITS = "earlier messages about this person are held"

Message = tuple[bytes, bytes]  # id and encrypted event

log_line = structlog.get_logger()


class CannotJudge(Exception):
    """A person became unavailable during a batch; see the cause."""


class Batch:
    """Decide messages in order. Plans change in place; evict `subjects` if there is no commit."""

    def __init__(
        self,
        log: int,
        logs: int,
        people: PlanCache,
        transit: Transit,
        holding: HeldMessages | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self.new_keys: list[dict[str, str | bytes]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.unreadable: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] = []
        self.released: list[int] = []
        self.message_ids: list[bytes] = []  # of messages that were decided, held or quarantined
        self.subjects: set[str] = set()
        self.recorded = ""
        self._log = log
        self._logs = logs
        self._people = people
        self._vault = people.vault
        self._transit = transit
        self._held_messages = holding or HeldMessages()
        self._clock = clock
        self._size = 0
        self._until = 0.0
        self._ends = False  # before a message that cannot be decrypted yet
        self._touched: dict[str, tuple[PersonState, StreamPosition]] = {}
        self._blocked: dict[str, str] = {}  # by subject, why their messages are held
        self._existing: dict[tuple[str, str], dict[str, int]] = {}
        self._duplicates = 0
        self._traces: list[str] = []
        self._waiters: list[tuple[str, int, bool]] = []  # waiter, the entry's index, duplicate?
        self._leaves: dict[int, bytes] = {}
        self._proofs: dict[int, Proof] = {}

    def begin(self, connection: Connection, head: Head, recorded: str, latest: str) -> None:
        """Start under the head's lock; release held messages of people who are available again.

        `latest` is the latest possible `received` time of an event, by the worker's clock.
        """
        self._connection, self._size, self.recorded = connection, head.size, recorded
        self._last, self._latest = StreamId.parse(head.last), latest
        self._until = self._clock() + SECONDS
        people = self._held_messages.people(self._log)
        self._blocked = dict.fromkeys(people, WAITS)
        if self._held_messages.is_due(self._log):
            for subject in people[:AT_ONCE]:
                self._release(subject)
            released = any(subject not in self._blocked for subject in people)
            self._held_messages.schedule_retry(self._log, released=released)

    @property
    def is_over(self) -> bool:
        """True if no more messages may be decided in this batch."""
        return self._ends or self._is_late

    @property
    def _is_late(self) -> bool:
        return self._clock() >= self._until

    def judge(
        self, messages: Sequence[Message], *, poison: bool = False, alone: bool = False
    ) -> int:
        """Decide messages, in order, until the deadline; return how many were processed.

        `poison`: the first message crashed workers and is refused without being decided.
        `alone`: hold a message that exceeds the memory, since no other was decided.
        """
        opened = self._open_all(messages)
        events = [event for _, event in opened if isinstance(event, Event)]
        self._check_partition({event.subject for event in events})
        self._check_received(events)
        count = 0
        while count < len(opened) and not (count and self._is_late):
            part = self._load(opened[count:])
            for message_id, content in part:
                if self.message_ids and self._is_late:
                    break
                self._judge_message(message_id, content, poison=poison and not count, alone=alone)
                self.message_ids.append(message_id)
                count += 1
        return count

    def end(self) -> None:
        """Load the existing entries that duplicates need for their receipts."""
        self._leaves = {row["index"]: row["leaf"] for row in self.rows}
        known = self._leaves.keys()
        old = [index for _, index, duplicate in self._waiters if duplicate and index not in known]
        self._leaves |= writes.leaves(self._connection, self._log, old)

    def _open_all(self, messages: Sequence[Message]) -> list[tuple[bytes, Event | dict[str, Any]]]:
        """Decrypt messages; the batch ends before one that this worker cannot decrypt yet."""
        opened: list[tuple[bytes, Event | dict[str, Any]]] = []
        try:
            for message_id, sealed in messages:
                opened.append((message_id, self._open(message_id, sealed)))
        except (CatalogueTooNew, KeyUnavailable):
            if not (opened or self.message_ids):
                raise
            self._ends = True
        return opened

    def _open(self, message_id: bytes, sealed: bytes) -> Event | dict[str, Any]:
        """Return the event of a message, or the row that quarantines it."""
        try:
            event = Event.from_message(self._transit.decrypt(self._log, sealed, "event"))
        except (DecryptionError, ValueError, KeyError, TypeError) as fault:
            reason = describe_error(fault)
            log_line.warning(
                "message_unreadable", log=self._log, place=message_id.decode(), why=reason
            )
            return {
                "log": self._log,
                "place": message_id.decode(),
                "reason": reason,
                "seen": self.recorded,
                "message": sealed,
            }
        if event.type not in CATALOGUE:
            raise CatalogueTooNew(f"this worker does not know the event type {event.type}")
        return event

    def _check_partition(self, subjects: set[str]) -> None:
        """Raise MisroutedEvent if a person belongs to another log: entries cannot be removed."""
        for subject in subjects if self._logs > 1 else ():
            if (home := partition_of(subject, self._logs)) != self._log:
                raise MisroutedEvent(
                    f"an event of a person of log {home} is in the stream of log {self._log}; is "
                    "there an intake with another number of partitions?"
                )

    def _check_received(self, events: Sequence[Event]) -> None:
        """Raise ClockJump if an event was received much later than now: our clock is behind."""
        newest = max((event.received for event in events), default="")
        if newest > self._latest:
            raise ClockJump(
                f"an event was received at {newest}, and the worker's clock is more than an hour "
                "behind that; synchronise intake and worker with the same time server"
            )

    def _load(
        self, opened: Sequence[tuple[bytes, Event | dict[str, Any]]]
    ) -> Sequence[tuple[bytes, Event | dict[str, Any]]]:
        """Load people and entries for these messages, or for the first ones if plans are large."""
        subjects = {
            event.subject: None
            for _, event in opened
            if isinstance(event, Event) and event.subject not in self._blocked
        }
        weights, weight = self._people.weights(self._connection, subjects), 0
        if sum(weights.values()) > LOAD_BYTES:
            for number, (_, event) in enumerate(opened):
                weight += weights.pop(event.subject, 0) if isinstance(event, Event) else 0
                if number and weight > LOAD_BYTES:
                    opened = opened[:number]
                    break
        events = [event for _, event in opened if isinstance(event, Event)]
        self._load_people({event.subject for event in events} - self._blocked.keys())
        self._look_up({event.id for event in events})
        return opened

    def _look_up(self, ids: set[str]) -> None:
        """Load existing entries with these ids."""
        for row in writes.existing_entries(self._connection, self._log, ids):
            self._existing.setdefault((row["author"], row["id"]), {})[row["digest"]] = row["index"]

    def _load_people(self, subjects: set[str]) -> None:
        """Load people once a batch, since the store does not know what this batch added."""
        new, pinned = subjects - self.subjects, frozenset(self.subjects)
        self.subjects |= new
        failed = self._people.load(self._connection, self._log, new, pinned) if new else {}
        for subject, fault in failed.items():
            self._block(subject, fault)

    @property
    def blocked(self) -> list[str]:
        """The people whose events cannot be decided; their plans in memory must not be used."""
        return list(self._blocked)

    @property
    def touched(self) -> list[str]:
        """The people with new entries that have standing."""
        return list(self._touched)

    def _block(self, subject: str, fault: BaseException) -> None:
        self._blocked[subject] = describe_error(fault)
        log_line.error("held", log=self._log, subject=subject, why=describe_error(fault))

    def _judge_message(
        self, message_id: bytes, event: Event | dict[str, Any], *, poison: bool, alone: bool
    ) -> None:
        """Record an event or hold it; quarantine a message that is not an event."""
        if not isinstance(event, Event):
            if StreamId.parse(message_id) > self._last:  # else it was stored but not deleted
                self.unreadable.append(event)
            return
        if event.subject not in self._blocked:
            try:
                self._process(event, poison=poison)
            except CannotJudge as fault:
                self._block(event.subject, fault.__cause__ or fault)
            except MemoryError as fault:
                if not alone:
                    raise
                self._block(event.subject, fault)
        reason = self._blocked.get(event.subject)
        if reason is not None and StreamId.parse(message_id) > self._last:
            row = held_row(self._vault, self._log, message_id, event, reason, self.recorded)
            self.held.append(row)

    def _release(self, subject: str) -> None:
        """Decide a person's held messages, in order, if the person is available again."""
        del self._blocked[subject]
        self._load_people({subject})
        for row in reads.held_of(self._connection, self._log, subject):
            if subject in self._blocked:
                return
            if self._is_late:
                self._blocked[subject] = WAITS
                return
            try:
                event = held_event(self._vault, row)
                self._look_up({event.id})
                self._process(event)
            except CannotJudge as fault:
                self._block(subject, fault.__cause__ or fault)
            except (DecryptionError, ValueError, KeyError, TypeError, MemoryError) as fault:
                self._block(subject, fault)
            else:
                self.released.append(row["number"])
        if subject not in self._blocked:
            log_line.warning("released", log=self._log, subject=subject)

    def _process(self, event: Event, *, poison: bool = False) -> None:
        """Record one event, unless it is a duplicate."""
        existing = self._existing.setdefault((event.author, event.id), {})
        index = self._find_duplicate(event, existing) if existing else None
        is_duplicate = index is not None
        self._duplicates += is_duplicate
        if index is None:
            index = self._record(event, existing, reused=bool(existing), poison=poison)
        if trace := trace_of(event.traceparent):
            self._traces.append(trace)
        if event.waiter is not None:
            self._waiters.append((event.waiter, index, is_duplicate))

    def _find_duplicate(self, event: Event, existing: dict[str, int]) -> int | None:
        """Return the index of the entry with this author, id and digest."""
        # A digest is salted with the key of its entry: the person's or the envelope key.
        keys = (self._vault.person(event.subject), self._vault.envelope(event.subject))
        for key in filter(None, keys):
            salt = entry.salt_of(key, event.author, event.id)
            index = existing.get(entry.digest_of(salt, event.canonical))
            if index is not None:
                return index
        return None

    def _record(self, event: Event, existing: dict[str, int], *, reused: bool, poison: bool) -> int:
        """Decide an event and write its entry; return its index."""
        before = self._people[event.subject].plan.accepted_bytes
        if poison:
            log_line.error("our-fault", log=self._log, id=event.id, why="it crashed workers")
            verdict: Verdict = Refusal(Code.OUR_FAULT)
            person = self._people[event.subject]
        else:
            verdict, person = self._verdict(event, self._people[event.subject], reused)
        code = verdict.code if isinstance(verdict, Refusal) else None
        warnings = verdict.warnings if isinstance(verdict, Accepted) else ()
        key, position = self._key(event, code, person)
        record = VerdictRecord(RULES, self.recorded, code, verdict.represented, warnings)
        row = entry.write(event, record, key=key, position=position)
        index = self._size + len(self.rows)
        row["log"], row["index"] = self._log, index
        self.rows.append(row)
        if position:
            person.sequence = position.sequence
            person.unstored += len(row["leaf"])
            self._touched[event.subject] = person, position
            if is_snapshot_due(before, person):
                snapshot = plan_row(self._log, self._key_of(event.subject), person)
                self.snapshots.append(snapshot | {"recorded": self.recorded})
        existing[row["digest"]] = index
        return index

    def _verdict(
        self, event: Event, person: PersonState, reused: bool
    ) -> tuple[Verdict, PersonState]:
        """Decide, and evolve if accepted. After an internal error, retry once with fresh state."""
        for last in (False, True):
            try:
                verdict = decide(person.plan, event, reused=reused)
                if isinstance(verdict, Accepted):
                    evolve(person.plan, event)
                return verdict, person
            except MemoryError:
                raise  # temporary, so no reason to refuse
            except Exception:
                log_line.exception("our-fault", log=self._log, id=event.id, again=not last)
                person = self._fresh(event.subject)
        return Refusal(Code.OUR_FAULT), person

    def _fresh(self, subject: str) -> PersonState:
        """Fold the person again: from the store, then from this batch."""
        old = self._people[subject]
        try:
            person = load_state(self._connection, self._vault, self._log, subject)
            for row in self.rows:
                if row["subject"] == subject and row["sequence"] is not None:
                    apply_entry(self._vault, person, entry.parse(row["leaf"]))
        except (StoreError, MemoryError):
            raise
        except Exception as fault:
            raise CannotJudge from fault
        person.stored, person.unstored = old.stored, old.unstored
        self._people.replace(subject, person)
        return person

    def _key(
        self, event: Event, code: Code | None, person: PersonState
    ) -> tuple[Key, StreamPosition | None]:
        """Return the key that encrypts the entry, and its stream position if it has standing."""
        if code is None and event.type == "plan.started":
            new_key, row = self._vault.fresh(event.subject)
            self.new_keys.append(row)
            self._vault.remember(event.subject, new_key)
        key = self._vault.person(event.subject)
        if key is None or (code is not None and not code.standing):
            return self._vault.envelope(event.subject), None
        return key, StreamPosition(person.sequence + 1, person.plan.version)

    def prove(self, connection: Connection, old: Head, leaves: Sequence[bytes], new: Head) -> None:
        """Make the proofs for waiting requests, in the tree after this batch."""
        new_nodes = nodes_from_frontier(Frontier.from_bytes(old.size, old.frontier), leaves)
        old_nodes = nodes(connection, self._log, new.size)
        for _, index, _ in self._waiters:
            path = inclusion(new_nodes if index >= old.size else old_nodes, index, new.size)
            self._proofs[index] = Proof(index, tuple(path), new.checkpoint)

    def record_stats(self, stats: BatchStats) -> None:
        """Add the results to the batch's statistics."""
        stats.messages = len(self.message_ids)
        stats.verdicts.update(row["refusal"] or row["verdict"] for row in self.rows)
        stats.unreadable, stats.repeats = len(self.unreadable), self._duplicates
        stats.held, stats.released = len(self.held), len(self.released)
        stats.traces = self._traces

    def receipts(self) -> Iterator[Reply]:
        """Yield the replies to waiting requests; call it after the commit."""
        for waiter, index, duplicate in self._waiters:
            recorded = LocatedEntry(self._log, index, entry.parse(self._leaves[index]))
            proof = self._proofs[index]
            yield Reply(waiter, encode_reply(recorded, self._vault, proof, repeat=duplicate))

    def people_rows(self) -> list[Mapping[str, Any]]:
        """Return the new stream positions of the changed people."""
        return [
            {
                "subject": subject,
                "log": self._log,
                "sequence": position.sequence,
                "planversion": position.planversion,
            }
            for subject, (_, position) in self._touched.items()
        ]

    def plan_rows(self) -> list[dict[str, Any]]:
        """Return the plans to store: at growing intervals, so that long plans cost no more."""
        rows = []
        for subject, (person, _) in self._touched.items():
            if subject not in self._blocked and is_store_due(person):
                person.stored, person.unstored = person.sequence, 0
                rows.append(plan_row(self._log, self._key_of(subject), person))
        return rows

    def _key_of(self, subject: str) -> Key:
        key = self._vault.person(subject)
        if key is None:
            raise DecryptionError(f"no key of {subject}")
        return key
