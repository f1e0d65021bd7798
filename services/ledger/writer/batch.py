"""What one batch works out: verdicts, entries, touched people, receipts. It writes nothing.

A batch is bounded in time: people are loaded and events judged in order until the deadline. What
was judged by then, at least one message, is the batch; the rest stays in the queue.
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

SECONDS = 2.0  # that loading and judging may take
LOAD_BYTES = 16 * 1024 * 1024  # of stored plans that are loaded at once

WAITS = "earlier messages about this person are held"

Message = tuple[bytes, bytes]  # id and sealed event

log_line = structlog.get_logger()


class CannotJudge(Exception):
    """A person became unusable in the midst of a batch; the cause says why."""


class Batch:
    """Judges messages in order. Plans are changed in place; drop `subjects` if not committed."""

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
        self.places: list[bytes] = []  # of the messages that were judged, held or put aside
        self.subjects: set[str] = set()
        self.recorded = ""
        self._log = log
        self._logs = logs
        self._people = people
        self._vault = people.vault
        self._transit = transit
        self._holding = holding or HeldMessages()
        self._clock = clock
        self._size = 0
        self._until = 0.0
        self._ends = False  # before a message that cannot be opened yet
        self._touched: dict[str, tuple[PersonState, StreamPosition]] = {}
        self._blocked: dict[str, str] = {}  # by subject, why their messages are held
        self._earlier: dict[tuple[str, str], dict[str, int]] = {}
        self._repeats = 0
        self._traces: list[str] = []
        self._told: list[tuple[str, int, bool]] = []  # waiter, the entry's index, repeat?
        self._leaves: dict[int, bytes] = {}
        self._proofs: dict[int, Proof] = {}

    def begin(self, connection: Connection, head: Head, recorded: str, latest: str) -> None:
        """Start under the head's lock; release held messages of people who can be judged again.

        `latest` is the moment after which no event can have been received, by the worker's clock.
        """
        self._connection, self._size, self.recorded = connection, head.size, recorded
        self._last, self._latest = StreamId.parse(head.last), latest
        self._until = self._clock() + SECONDS
        people = self._holding.people(self._log)
        self._blocked = dict.fromkeys(people, WAITS)
        if self._holding.is_due(self._log):
            for subject in people[:AT_ONCE]:
                self._release(subject)
            released = any(each not in self._blocked for each in people)
            self._holding.schedule_retry(self._log, released=released)

    @property
    def is_over(self) -> bool:
        """Whether no more messages may be judged in this batch."""
        return self._ends or self._is_late

    @property
    def _is_late(self) -> bool:
        return self._clock() >= self._until

    def judge(
        self, messages: Sequence[Message], *, aside: bool = False, alone: bool = False
    ) -> int:
        """Work out the verdicts on messages, in order, until the deadline; how many were taken.

        `aside`: the first one is not judged, since workers died at it. `alone`: where memory does
        not suffice for a message, hold it back, since nothing else was judged.
        """
        opened = self._open_all(messages)
        events = [each for _, each in opened if isinstance(each, Event)]
        self._check_place({each.subject for each in events})
        self._check_received(events)
        count = 0
        while count < len(opened) and not (count and self._is_late):
            part = self._load(opened[count:])
            for place, each in part:
                if self.places and self._is_late:
                    break
                self._judge_message(place, each, aside=aside and not count, alone=alone)
                self.places.append(place)
                count += 1
        return count

    def end(self) -> None:
        """All messages of the batch are judged: gather what the receipts need."""
        self._leaves = {row["index"]: row["leaf"] for row in self.rows}
        repeats = [index for _, index, repeat in self._told if repeat and index not in self._leaves]
        self._leaves |= writes.leaves(self._connection, self._log, repeats)

    def _open_all(self, messages: Sequence[Message]) -> list[tuple[bytes, Event | dict[str, Any]]]:
        """Messages opened, up to one that this worker cannot open yet: the batch ends before it."""
        opened: list[tuple[bytes, Event | dict[str, Any]]] = []
        try:
            for place, sealed in messages:
                opened.append((place, self._open(place, sealed)))
        except (CatalogueTooNew, KeyUnavailable):
            if not (opened or self.places):
                raise
            self._ends = True
        return opened

    def _open(self, place: bytes, sealed: bytes) -> Event | dict[str, Any]:
        """The event in a message, or the row that keeps aside what does not open."""
        try:
            event = Event.from_message(self._transit.decrypt(self._log, sealed, "event"))
        except (DecryptionError, ValueError, KeyError, TypeError) as fault:
            why = describe_error(fault)
            log_line.warning("message_unreadable", log=self._log, place=place.decode(), why=why)
            return {
                "log": self._log,
                "place": place.decode(),
                "reason": why,
                "seen": self.recorded,
                "message": sealed,
            }
        if event.type not in CATALOGUE:
            raise CatalogueTooNew(f"an event of type {event.type}, which this worker does not know")
        return event

    def _check_place(self, subjects: set[str]) -> None:
        """Misplaced unless this is everybody's log: an entry could never be taken out of it."""
        for subject in subjects if self._logs > 1 else ():
            if (home := partition_of(subject, self._logs)) != self._log:
                raise MisroutedEvent(
                    f"an event about a person of log {home} stands here; is there an "
                    "intake with another number of partitions?"
                )

    def _check_received(self, events: Sequence[Event]) -> None:
        """ClockLeap if one was received long after the present: then the worker's clock lags."""
        newest = max((each.received for each in events), default="")
        if newest > self._latest:
            raise ClockJump(
                f"an event was received at {newest}, and the worker's clock is more than an hour "
                "behind that; set intake and worker by the same time server"
            )

    def _load(
        self, opened: Sequence[tuple[bytes, Event | dict[str, Any]]]
    ) -> Sequence[tuple[bytes, Event | dict[str, Any]]]:
        """Load the people of these messages and what came under their ids before; where plans are
        large, of the first messages only, which are returned.
        """
        wanted = {
            each.subject: None
            for _, each in opened
            if isinstance(each, Event) and each.subject not in self._blocked
        }
        weights, weight = self._people.weights(self._connection, wanted), 0
        if sum(weights.values()) > LOAD_BYTES:
            for number, (_, each) in enumerate(opened):
                weight += weights.pop(each.subject, 0) if isinstance(each, Event) else 0
                if number and weight > LOAD_BYTES:
                    opened = opened[:number]
                    break
        events = [each for _, each in opened if isinstance(each, Event)]
        self._load_people({each.subject for each in events} - self._blocked.keys())
        self._look_up({each.id for each in events})
        return opened

    def _look_up(self, ids: set[str]) -> None:
        """Load what the log holds under these ids already."""
        for row in writes.existing_entries(self._connection, self._log, ids):
            self._earlier.setdefault((row["author"], row["id"]), {})[row["digest"]] = row["index"]

    def _load_people(self, subjects: set[str]) -> None:
        """Load those who were not loaded yet: the store does not know what this batch added."""
        new, kept = subjects - self.subjects, frozenset(self.subjects)
        self.subjects |= new
        failed = self._people.load(self._connection, self._log, new, kept) if new else {}
        for subject, fault in failed.items():
            self._block(subject, fault)

    @property
    def blocked(self) -> list[str]:
        """The people who cannot be judged now: their plans in memory are not to be used."""
        return list(self._blocked)

    @property
    def touched(self) -> list[str]:
        """The people about whom something with standing was recorded."""
        return list(self._touched)

    def _block(self, subject: str, fault: BaseException) -> None:
        self._blocked[subject] = describe_error(fault)
        log_line.error("held", log=self._log, subject=subject, why=describe_error(fault))

    def _judge_message(
        self, place: bytes, each: Event | dict[str, Any], *, aside: bool, alone: bool
    ) -> None:
        """Record an event, hold it back, or keep aside what is not an event."""
        if not isinstance(each, Event):
            if StreamId.parse(place) > self._last:  # or it was kept before, and not deleted
                self.unreadable.append(each)
            return
        if each.subject not in self._blocked:
            try:
                self._process(each, aside=aside)
            except CannotJudge as fault:
                self._block(each.subject, fault.__cause__ or fault)
            except MemoryError as fault:
                if not alone:
                    raise
                self._block(each.subject, fault)
        reason = self._blocked.get(each.subject)
        if reason is not None and StreamId.parse(place) > self._last:
            self.held.append(held_row(self._vault, self._log, place, each, reason, self.recorded))

    def _release(self, subject: str) -> None:
        """Judge a person's held messages, in order, if they can be judged again."""
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

    def _process(self, event: Event, *, aside: bool = False) -> None:
        """Record one event, unless it is a repeat."""
        prior = self._earlier.setdefault((event.author, event.id), {})
        index = self._find_duplicate(event, prior) if prior else None
        repeat = index is not None
        self._repeats += repeat
        if index is None:
            index = self._record(event, prior, reused=bool(prior), aside=aside)
        if trace := trace_of(event.traceparent):
            self._traces.append(trace)
        if event.waiter is not None:
            self._told.append((event.waiter, index, repeat))

    def _find_duplicate(self, event: Event, prior: dict[str, int]) -> int | None:
        """The entry of the same author, id and digest. A digest is salted by the key that sealed
        its entry, and two keys seal things about a person.
        """
        keys = (self._vault.person(event.subject), self._vault.envelope(event.subject))
        for key in filter(None, keys):
            salt = entry.salt_of(key, event.author, event.id)
            index = prior.get(entry.digest_of(salt, event.canonical))
            if index is not None:
                return index
        return None

    def _record(self, event: Event, prior: dict[str, int], *, reused: bool, aside: bool) -> int:
        """Judge an event and write its entry; its index."""
        before = self._people[event.subject].plan.accepted_bytes
        if aside:
            log_line.error("our-fault", log=self._log, id=event.id, why="workers died at it")
            verdict: Verdict = Refusal(Code.OUR_FAULT)
            person = self._people[event.subject]
        else:
            verdict, person = self._verdict(event, self._people[event.subject], reused)
        code = verdict.code if isinstance(verdict, Refusal) else None
        warnings = verdict.warnings if isinstance(verdict, Accepted) else ()
        key, standing = self._key(event, code, person)
        ruling = VerdictRecord(RULES, self.recorded, code, verdict.represented, warnings)
        row = entry.write(event, ruling, key=key, standing=standing)
        index = self._size + len(self.rows)
        row["log"], row["index"] = self._log, index
        self.rows.append(row)
        if standing:
            person.sequence = standing.sequence
            person.unstored += len(row["leaf"])
            self._touched[event.subject] = person, standing
            if is_snapshot_due(before, person):
                snapshot = plan_row(self._log, self._key_of(event.subject), person)
                self.snapshots.append(snapshot | {"recorded": self.recorded})
        prior[row["digest"]] = index
        return index

    def _verdict(
        self, event: Event, person: PersonState, reused: bool
    ) -> tuple[Verdict, PersonState]:
        """Decide, and evolve if accepted. A failure of ours is tried again from fresh state."""
        for last in (False, True):
            try:
                verdict = decide(person.plan, event, reused=reused)
                if isinstance(verdict, Accepted):
                    evolve(person.plan, event)
                return verdict, person
            except MemoryError:
                raise  # temporary, and so never a refusal
            except Exception:
                log_line.exception("our-fault", log=self._log, id=event.id, again=not last)
                person = self._fresh(event.subject)
        return Refusal(Code.OUR_FAULT), person

    def _fresh(self, subject: str) -> PersonState:
        """The person folded again: from the store, then from this batch."""
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
        """The key that seals the entry, and its place in the person's stream if it has one."""
        if code is None and event.type == "plan.started":
            key, row = self._vault.fresh(event.subject)
            self.new_keys.append(row)
            self._vault.remember(event.subject, key)
        held = self._vault.person(event.subject)
        if held is None or (code is not None and not code.standing):
            return self._vault.envelope(event.subject), None
        return held, StreamPosition(person.sequence + 1, person.plan.version)

    def prove(self, connection: Connection, old: Head, leaves: Sequence[bytes], new: Head) -> None:
        """Make the proofs of those who wait, in the tree that this batch leaves."""
        fresh = nodes_from_frontier(Frontier.from_bytes(old.size, old.frontier), leaves)
        before = nodes(connection, self._log, new.size)
        for _, index, _ in self._told:
            path = inclusion(fresh if index >= old.size else before, index, new.size)
            self._proofs[index] = Proof(index, tuple(path), new.checkpoint)

    def record_stats(self, course: BatchStats) -> None:
        """Put into the batch's course what was judged."""
        course.messages = len(self.places)
        course.verdicts.update(row["refusal"] or row["verdict"] for row in self.rows)
        course.unreadable, course.repeats = len(self.unreadable), self._repeats
        course.held, course.released = len(self.held), len(self.released)
        course.traces = self._traces

    def receipts(self) -> Iterator[Reply]:
        """What goes to the requests that wait, once the batch is committed."""
        for waiter, index, repeat in self._told:
            recorded = LocatedEntry(self._log, index, entry.parse(self._leaves[index]))
            proof = self._proofs[index]
            yield Reply(waiter, encode_reply(recorded, self._vault, proof, repeat=repeat))

    def people_rows(self) -> list[Mapping[str, Any]]:
        """Where the touched people's streams stand now."""
        return [
            {
                "subject": subject,
                "log": self._log,
                "sequence": standing.sequence,
                "planversion": standing.planversion,
            }
            for subject, (_, standing) in self._touched.items()
        ]

    def plan_rows(self) -> list[dict[str, Any]]:
        """Plans to store: now and then, and seldom when they are long, so that one more event
        costs the same on a long plan as on a short one.
        """
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
