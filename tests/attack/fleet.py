"""A fleet of clients with outboxes: each stores an event until it has its receipt.

Every client posts about one person, one event after another, on one thread. An outage is judged
from three sets: the acknowledged events, those recorded before anything was sent again, and those
recorded in the end.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import select

from services.ledger.store import tables
from services.ledger.store.database import transaction
from tests.attack.attacks import Run
from tests.attack.clients import Client, Json, started, writes
from tests.attack.figures import Sheet
from tests.chaos.system import System

VERDICTS = frozenset({200, 201, 403, 409})
PAUSE = 0.05  # seconds before an event that was not acknowledged is sent again


@dataclass
class Outbox:
    """One client: all its events, and the answers to each."""

    client: Client
    events: list[Json] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    receipts: dict[str, Json] = field(default_factory=dict)

    def make(self) -> Json:
        """Make the next event."""
        who, number = self.client.author, len(self.events)
        self.events.append(writes(who, f"Fish {number}") if number else started(who))
        return self.events[-1]

    def post(self, sent: Json, until: float) -> None:
        """Send an event until it is acknowledged or the time is over; at least once."""
        while True:
            status, _ = self.client.post(sent)
            if status in VERDICTS or status == 202:
                self.acknowledged.add(sent["id"])
                return
            if time.monotonic() > until:
                return
            time.sleep(PAUSE)

    def resend(self, until: float) -> None:
        """Send all events without a receipt until they have one, in the old order."""
        for sent in self.events:
            while sent["id"] not in self.receipts and time.monotonic() < until:
                status, body = self.client.post(sent, wait=3)
                if status in VERDICTS:
                    answer = orjson.loads(body)
                    self.receipts[sent["id"]] = answer.get("receipt", answer)
                    self.acknowledged.add(sent["id"])
                elif status != 202:
                    time.sleep(PAUSE)


class Fleet:
    """All clients of one attack."""

    def __init__(self, run: Run, clients: int) -> None:
        self._system = run.system
        self.outboxes = [
            Outbox(run.client(run.name(f"person:client{number}"))) for number in range(clients)
        ]

    def post(self, count: int, seconds: float = 30.0) -> int:
        """Have each client make and post so many events; return how many were acknowledged."""
        before, end = len(self.acknowledged), time.monotonic() + seconds

        def posts(outbox: Outbox) -> None:
            for _ in range(count):
                outbox.post(outbox.make(), end)

        self._in_threads(posts)
        return len(self.acknowledged) - before

    def resend(self, seconds: float) -> None:
        """Have each client send its events without a receipt again."""
        end = time.monotonic() + seconds
        self._in_threads(lambda outbox: outbox.resend(end))

    @property
    def made(self) -> int:
        """Return the number of events made."""
        return sum(len(outbox.events) for outbox in self.outboxes)

    @property
    def acknowledged(self) -> set[str]:
        """Return the ids of the events that were answered with 202 or a verdict."""
        return {name for outbox in self.outboxes for name in outbox.acknowledged}

    @property
    def without_receipt(self) -> int:
        """Return the number of events without a receipt."""
        return self.made - sum(len(outbox.receipts) for outbox in self.outboxes)

    def entries(self) -> list[Json]:
        """Return the ledger's entries about these people: id, refusal and time of record."""
        people = [outbox.client.author for outbox in self.outboxes]
        return entries_about(self._system, people)

    def _in_threads(self, does: Callable[[Outbox], None]) -> None:
        threads = [threading.Thread(target=does, args=(outbox,)) for outbox in self.outboxes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def entries_about(system: System, people: Sequence[str]) -> list[Json]:
    """Return entries about these people, read from the store."""
    entries = tables.entries.c
    wanted = select(entries.id, entries.subject, entries.refusal, entries.recorded)
    with transaction(system.engine) as connection:
        rows = connection.execute(wanted.where(entries.subject.in_(people)))
        return [dict(row) for row in rows.mappings()]


@dataclass(frozen=True)
class Judgement:
    """An outage's effect on acknowledged events, in counts that must be zero or explained."""

    acknowledged: int
    lost: int
    silent: int
    our_fault: int
    twice: int

    @classmethod
    def of(
        cls,
        acknowledged: Collection[str],
        before: Iterable[Json],
        after: Iterable[Json],
        *,
        alarmed: bool,
    ) -> "Judgement":
        """Judge by the entries before and after everything was sent again.

        An event is lost if it was acknowledged and is not among the entries before. The loss is
        silent if no alarm with a number was raised: a retry by the client does not excuse that.
        """
        lost = set(acknowledged) - {row["id"] for row in before}
        counts = Counter(row["id"] for row in after)
        return cls(
            acknowledged=len(set(acknowledged)),
            lost=len(lost),
            silent=0 if alarmed else len(lost),
            our_fault=sum(row["refusal"] == "our-fault" for row in after),
            twice=sum(count - 1 for count in counts.values()),
        )

    def add_to(self, figures: Sheet, fleet_made: int, recorded: int, *, named: str) -> None:
        """Add the figures."""
        figures.add("events acknowledged before the fault was over", self.acknowledged)
        figures.add("of these not recorded until sent again", self.lost, note=f"alarms: {named}")
        figures.add("of these lost silently", self.silent, limit="= 0")
        figures.add("refused as our-fault", self.our_fault, limit="= 0")
        figures.add("recorded twice", self.twice, limit="= 0")
        figures.add("recorded in the end", recorded, limit=f"= {fleet_made}")
