"""What one batch works out: verdicts, entries, touched people, receipts. It writes nothing."""

from collections.abc import Iterator
from typing import Any

import structlog

from services.ledger.log import entry
from services.ledger.log.entry import Ruling, Standing
from services.ledger.people import People, Person, fold_one, plan_row, take
from services.ledger.plan.changes import evolve
from services.ledger.plan.rules import RULES, Accepted, Refusal, Verdict, decide
from services.ledger.receipts import Recorded, answer
from services.ledger.store import append
from services.ledger.store.append import Head
from services.ledger.store.engine import Connection
from shared.catalogue import CATALOGUE
from shared.event import Event
from shared.inbox import Outgoing
from shared.problems import FirsthandError, SealBroken
from shared.refusals import Code
from shared.seal import Key
from shared.transit import Transit

Place = tuple[int, bytes]  # an entry's index and bytes
STORE_EVERY = 16  # entries of one person, and more for longer plans
SNAPSHOT_EVERY = 64  # entries of one person, and more for longer plans

log_line = structlog.get_logger()


class TooNew(FirsthandError):
    """A message has a type that this worker does not know yet: the partition waits."""


class Batch:
    """Judges messages in order. Plans are changed in place; drop `subjects` if not committed."""

    def __init__(self, log: int, people: People, transit: Transit) -> None:
        self.rows: list[dict[str, Any]] = []
        self.new_keys: list[dict[str, str | bytes]] = []
        self.unreadable: list[dict[str, Any]] = []
        self.subjects: set[str] = set()
        self.recorded = ""
        self._log = log
        self._people = people
        self._vault = people.vault
        self._transit = transit
        self._size = 0
        self._touched: dict[str, Person] = {}
        self._told: list[tuple[str, Place, bool]] = []  # waiter, entry, repeat?

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
        self._held = self._people.open(connection, self._log, self.subjects)
        self._earlier: dict[tuple[str, str], list[Place]] = {}
        for row in append.earlier(connection, self._log, {each.id for each in events}):
            self._earlier.setdefault((row["author"], row["id"]), []).append(
                (row["index"], row["leaf"])
            )
        for event in events:
            self._take(event)

    def _open(self, place: bytes, sealed: bytes) -> Event | None:
        """The event in a message; what does not open is kept aside and is no event."""
        try:
            event = Event.from_message(self._transit.unseal(self._log, sealed, "event"))
        except (SealBroken, ValueError, KeyError, TypeError) as fault:
            log_line.warning("unreadable", log=self._log, place=place.decode(), why=str(fault))
            self.unreadable.append(
                {
                    "log": self._log,
                    "place": place.decode(),
                    "reason": str(fault),
                    "seen": self.recorded,
                    "message": sealed,
                }
            )
            return None
        if event.type not in CATALOGUE:
            raise TooNew(f"an event of type {event.type}, which this worker does not know")
        return event

    def _take(self, event: Event) -> None:
        """Record one event, unless it is a repeat."""
        prior = self._earlier.setdefault((event.author, event.id), [])
        repeat = next((place for place in prior if self._is_repeat(place, event)), None)
        place = repeat or self._record(event, reused=bool(prior))
        if event.waiter is not None:
            self._told.append((event.waiter, place, repeat is not None))
        if repeat is None:
            prior.append(place)

    def _recorded(self, place: Place) -> Recorded:
        index, leaf = place
        return Recorded(self._log, index, entry.read(leaf))

    def _is_repeat(self, place: Place, event: Event) -> bool:
        """Same author, id and digest; the digest's key is the one that sealed the entry."""
        prior = self._recorded(place)
        if prior.entry.subject != event.subject:
            return False
        return entry.digest_of(prior.salt(self._vault), event.canonical) == prior.entry.digest

    def _record(self, event: Event, *, reused: bool) -> Place:
        """Judge an event and write its entry."""
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
            person.sequence, person.index = standing.sequence, index
            self._touched[event.subject] = person
        return index, row["leaf"]

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
            if row["subject"] == subject:
                take(self._vault, person, entry.read(row["leaf"]), row["index"])
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

    def receipts(self, checkpoint: str) -> Iterator[Outgoing]:
        """What goes to the requests that wait, once the batch is committed."""
        for waiter, place, repeat in self._told:
            told = answer(self._recorded(place), self._vault, checkpoint, repeat=repeat)
            yield Outgoing(waiter, told)

    def people_rows(self) -> list[dict[str, Any]]:
        """Where the touched people's streams stand now."""
        return [
            {
                "subject": subject,
                "log": self._log,
                "sequence": person.sequence,
                "index": person.index,
                "planversion": person.plan.version,
            }
            for subject, person in self._touched.items()
        ]

    def plan_rows(self) -> list[dict[str, Any]]:
        """Plans to store: often while they are short, now and then when they are long, so that
        one more event costs the same on a long plan as on a short one.
        """
        rows = []
        for subject, person in self._touched.items():
            length = len(person.plan.entries)
            if person.sequence - person.stored >= max(min(STORE_EVERY, length // 2), length // 64):
                person.stored = person.sequence
                rows.append(plan_row(self._log, self._key_of(subject), person))
        return rows

    def snapshot_rows(self) -> list[dict[str, Any]]:
        """Plans to keep for views of the past."""
        rows = []
        for subject, person in self._touched.items():
            every = max(SNAPSHOT_EVERY, len(person.plan.entries) // 8)
            if person.sequence - person.snapped >= every:
                person.snapped = person.sequence
                row = plan_row(self._log, self._key_of(subject), person)
                rows.append(row | {"recorded": self.recorded})
        return rows

    def _key_of(self, subject: str) -> Key:
        key = self._vault.person(subject)
        if key is None:
            raise SealBroken(f"no key of {subject}")
        return key
