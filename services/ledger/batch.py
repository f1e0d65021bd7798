"""What one batch works out: verdicts, entries, touched people, receipts. It writes nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

import structlog

from services.ledger.log import entry
from services.ledger.log.entry import Ruling, Standing
from services.ledger.log.merkle import Frontier
from services.ledger.log.proof import Proof, growing, inclusion
from services.ledger.metrics import Course
from services.ledger.people import People, Person, fold_one, plan_row, take
from services.ledger.plan.changes import evolve
from services.ledger.plan.rules import RULES, Accepted, Refusal, Verdict, decide
from services.ledger.receipts import Recorded, answer
from services.ledger.store import append
from services.ledger.store.append import Head
from services.ledger.store.engine import Connection
from services.ledger.store.tiles import nodes
from shared.catalogue import CATALOGUE
from shared.event import Event, partition_of
from shared.inbox import Outgoing
from shared.logs import told
from shared.problems import Misplaced, SealBroken, TooNew
from shared.refusals import Code
from shared.seal import Key
from shared.trace import trace_of
from shared.transit import Transit

STORE_EVERY = 16  # entries of one person, and more for longer plans: so many a reader folds
SNAPSHOT_EVERY = 64  # entries of one person, and for longer plans a 16th of what they hold

log_line = structlog.get_logger()


def store_every(person: Person) -> int:
    """After how many entries a person's plan is stored anew."""
    return max(STORE_EVERY, len(person.plan.entries) // 64)


def snapshot_every(person: Person) -> int:
    """After how many entries a person's plan is kept for views of the past."""
    return max(SNAPSHOT_EVERY, len(person.plan.entries) // 16)


class Batch:
    """Judges messages in order. Plans are changed in place; drop `subjects` if not committed."""

    def __init__(self, log: int, logs: int, people: People, transit: Transit) -> None:
        self.rows: list[dict[str, Any]] = []
        self.new_keys: list[dict[str, str | bytes]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.unreadable: list[dict[str, Any]] = []
        self.subjects: set[str] = set()
        self.recorded = ""
        self._log = log
        self._logs = logs
        self._people = people
        self._vault = people.vault
        self._transit = transit
        self._size = 0
        self._touched: dict[str, Person] = {}
        self._repeats = 0
        self._traces: list[str] = []
        self._told: list[tuple[str, int, bool]] = []  # waiter, the entry's index, repeat?
        self._leaves: dict[int, bytes] = {}
        self._proofs: dict[int, Proof] = {}

    def judge(
        self,
        connection: Connection,
        head: Head,
        messages: list[tuple[bytes, bytes]],
        recorded: str,
    ) -> None:
        """Work out the verdict on every message, in order."""
        self._connection, self._size, self.recorded = connection, head.size, recorded
        events = [each for place, sealed in messages if (each := self._open(place, sealed))]
        self.subjects = {each.subject for each in events}
        self._check_place()
        self._traces = [found for each in events if (found := trace_of(each.traceparent))]
        self._held = self._people.open(connection, self._log, self.subjects)
        self._earlier: dict[tuple[str, str], dict[str, int]] = {}
        for row in append.earlier(connection, self._log, {each.id for each in events}):
            self._earlier.setdefault((row["author"], row["id"]), {})[row["digest"]] = row["index"]
        for event in events:
            self._take(event)
        self._leaves = {row["index"]: row["leaf"] for row in self.rows}
        repeats = [index for _, index, repeat in self._told if repeat and index not in self._leaves]
        self._leaves |= append.leaves(connection, self._log, repeats)

    def _open(self, place: bytes, sealed: bytes) -> Event | None:
        """The event in a message; what does not open is kept aside and is no event."""
        try:
            event = Event.from_message(self._transit.unseal(self._log, sealed, "event"))
        except (SealBroken, ValueError, KeyError, TypeError) as fault:
            why = told(fault)
            log_line.warning("unreadable", log=self._log, place=place.decode(), why=why)
            self.unreadable.append(
                {
                    "log": self._log,
                    "place": place.decode(),
                    "reason": why,
                    "seen": self.recorded,
                    "message": sealed,
                }
            )
            return None
        if event.type not in CATALOGUE:
            raise TooNew(f"an event of type {event.type}, which this worker does not know")
        return event

    def _check_place(self) -> None:
        """Misplaced unless this is everybody's log: an entry could never be taken out of it."""
        for subject in self.subjects if self._logs > 1 else ():
            if (home := partition_of(subject, self._logs)) != self._log:
                raise Misplaced(
                    f"an event about a person of log {home} stands here; is there an "
                    "intake with another number of partitions?"
                )

    def _take(self, event: Event) -> None:
        """Record one event, unless it is a repeat."""
        prior = self._earlier.setdefault((event.author, event.id), {})
        index = self._repeat(event, prior) if prior else None
        repeat = index is not None
        self._repeats += repeat
        if index is None:
            index = self._record(event, prior, reused=bool(prior))
        if event.waiter is not None:
            self._told.append((event.waiter, index, repeat))

    def _repeat(self, event: Event, prior: dict[str, int]) -> int | None:
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

    def _record(self, event: Event, prior: dict[str, int], *, reused: bool) -> int:
        """Judge an event and write its entry; its index."""
        verdict, person = self._verdict(event, self._held[event.subject], reused)
        code = verdict.code if isinstance(verdict, Refusal) else None
        warnings = verdict.warnings if isinstance(verdict, Accepted) else ()
        key, standing = self._key(event, code, person)
        ruling = Ruling(RULES, self.recorded, code, verdict.represented, warnings)
        row = entry.write(event, ruling, key=key, standing=standing)
        index = self._size + len(self.rows)
        row["log"], row["index"] = self._log, index
        self.rows.append(row)
        if standing:
            person.sequence = standing.sequence
            self._touched[event.subject] = person
            if person.sequence - person.snapped >= snapshot_every(person):
                self._snap(event.subject, person)
        prior[row["digest"]] = index
        return index

    def _verdict(self, event: Event, person: Person, reused: bool) -> tuple[Verdict, Person]:
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

    def _fresh(self, subject: str) -> Person:
        """The person folded anew: from the store, then from this batch."""
        old = self._held[subject]
        person = fold_one(self._connection, self._vault, self._log, subject)
        for row in self.rows:
            if row["subject"] == subject and row["sequence"] is not None:
                take(self._vault, person, entry.read(row["leaf"]))
        person.stored, person.snapped = old.stored, old.snapped
        self._held[subject] = person
        self._people.replace(subject, person)
        return person

    def _key(self, event: Event, code: Code | None, person: Person) -> tuple[Key, Standing | None]:
        """The key that seals the entry, and its place in the person's stream if it has one."""
        if code is None and event.type == "plan.started":
            key, row = self._vault.fresh(event.subject)
            self.new_keys.append(row)
            self._vault.remember(event.subject, key)
        held = self._vault.person(event.subject)
        if held is None or (code is not None and not code.standing):
            return self._vault.envelope(event.subject), None
        return held, Standing(person.sequence + 1, person.plan.version)

    def prove(self, connection: Connection, old: Head, leaves: Sequence[bytes], new: Head) -> None:
        """Make the proofs of those who wait, in the tree that this batch leaves."""
        fresh = growing(Frontier.from_bytes(old.size, old.frontier), leaves)
        before = nodes(connection, self._log, new.size)
        for _, index, _ in self._told:
            path = inclusion(fresh if index >= old.size else before, index, new.size)
            self._proofs[index] = Proof(index, tuple(path), new.checkpoint)

    def tell(self, course: Course) -> None:
        """Put into the batch's course what was judged."""
        course.verdicts.update(row["refusal"] or row["verdict"] for row in self.rows)
        course.unreadable, course.repeats = len(self.unreadable), self._repeats
        course.traces = self._traces

    def receipts(self) -> Iterator[Outgoing]:
        """What goes to the requests that wait, once the batch is committed."""
        for waiter, index, repeat in self._told:
            recorded = Recorded(self._log, index, entry.read(self._leaves[index]))
            proof = self._proofs[index]
            yield Outgoing(waiter, answer(recorded, self._vault, proof, repeat=repeat))

    def people_rows(self) -> list[dict[str, Any]]:
        """Where the touched people's streams stand now."""
        return [
            {
                "subject": subject,
                "log": self._log,
                "sequence": person.sequence,
                "planversion": person.plan.version,
            }
            for subject, person in self._touched.items()
        ]

    def plan_rows(self) -> list[dict[str, Any]]:
        """Plans to store: now and then, and seldom when they are long, so that one more event
        costs the same on a long plan as on a short one.
        """
        rows = []
        for subject, person in self._touched.items():
            if person.sequence - person.stored >= store_every(person):
                person.stored = person.sequence
                rows.append(plan_row(self._log, self._key_of(subject), person))
        return rows

    def _snap(self, subject: str, person: Person) -> None:
        """Keep a plan for views of the past, in the midst of a batch too: whatever its size, no
        reader folds more than lies between two of them.
        """
        person.snapped = person.sequence
        row = plan_row(self._log, self._key_of(subject), person)
        self.snapshots.append(row | {"recorded": self.recorded})

    def _key_of(self, subject: str) -> Key:
        key = self._vault.person(subject)
        if key is None:
            raise SealBroken(f"no key of {subject}")
        return key
