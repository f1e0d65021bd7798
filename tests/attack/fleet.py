"""A fleet of clients with outboxes: each keeps an event until it has its receipt.

Every client posts about one person, one event after another, on one thread. What an outage did is
judged from three sets: what was acknowledged, what was recorded before anything was sent again,
and what was recorded in the end.
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
from tests.chaos.rig import Rig

VERDICTS = frozenset({200, 201, 403, 409})
PAUSE = 0.05  # seconds before an event that was not acknowledged is sent again


@dataclass
class Outbox:
    """One client: every event it ever made, and what it knows of each."""

    client: Client
    events: list[Json] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    receipts: dict[str, Json] = field(default_factory=dict)

    def make(self) -> Json:
        """The next event."""
        who, number = self.client.author, len(self.events)
        self.events.append(writes(who, f"Fish {number}") if number else started(who))
        return self.events[-1]

    def post(self, sent: Json, until: float) -> None:
        """Send an event until it is acknowledged, or the time is over; at least once."""
        while True:
            status, _ = self.client.post(sent)
            if status in VERDICTS or status == 202:
                self.acknowledged.add(sent["id"])
                return
            if time.monotonic() > until:
                return
            time.sleep(PAUSE)

    def resend(self, until: float) -> None:
        """Send everything without a receipt until its receipt comes, in the old order."""
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
        self._rig = run.rig
        self.outboxes = [
            Outbox(run.client(run.name(f"person:client{each}"))) for each in range(clients)
        ]

    def post(self, count: int, seconds: float = 30.0) -> int:
        """Have each client make and post so many events; how many were acknowledged."""
        before, end = len(self.acknowledged), time.monotonic() + seconds

        def posts(outbox: Outbox) -> None:
            for _ in range(count):
                outbox.post(outbox.make(), end)

        self._each(posts)
        return len(self.acknowledged) - before

    def resend(self, seconds: float) -> None:
        """Have each client send again what it has no receipt for."""
        end = time.monotonic() + seconds
        self._each(lambda outbox: outbox.resend(end))

    @property
    def made(self) -> int:
        """How many events were made."""
        return sum(len(each.events) for each in self.outboxes)

    @property
    def acknowledged(self) -> set[str]:
        """The ids of the events that were answered 202, or with a verdict."""
        return {name for each in self.outboxes for name in each.acknowledged}

    @property
    def without_receipt(self) -> int:
        """How many events have none."""
        return self.made - sum(len(each.receipts) for each in self.outboxes)

    def entries(self) -> list[Json]:
        """What the ledger holds about these people: id, refusal and when it was recorded."""
        people = [each.client.author for each in self.outboxes]
        return entries_about(self._rig, people)

    def _each(self, does: Callable[[Outbox], None]) -> None:
        threads = [threading.Thread(target=does, args=(each,)) for each in self.outboxes]
        for each in threads:
            each.start()
        for each in threads:
            each.join()


def entries_about(rig: Rig, people: Sequence[str]) -> list[Json]:
    """Entries about these people, straight from the store."""
    entries = tables.entries.c
    wanted = select(entries.id, entries.subject, entries.refusal, entries.recorded)
    with transaction(rig.engine) as connection:
        found = connection.execute(wanted.where(entries.subject.in_(people)))
        return [dict(each) for each in found.mappings()]


@dataclass(frozen=True)
class Judgement:
    """What an outage did to acknowledged events, in counts that must be zero, or are explained."""

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
        """`before` and `after` are the entries before and after everything was sent again.

        Lost is what was acknowledged and is not among the entries before; silently, if no
        alarm with a number was raised. Sending again is the client's remedy and excuses no silence.
        """
        lost = set(acknowledged) - {each["id"] for each in before}
        counts = Counter(each["id"] for each in after)
        return cls(
            acknowledged=len(set(acknowledged)),
            lost=len(lost),
            silent=0 if alarmed else len(lost),
            our_fault=sum(each["refusal"] == "our-fault" for each in after),
            twice=sum(count - 1 for count in counts.values()),
        )

    def add_to(self, sheet: Sheet, fleet_made: int, recorded: int, *, named: str) -> None:
        """Its figures."""
        sheet.add("events acknowledged before the fault was over", self.acknowledged)
        sheet.add("of these not recorded until sent again", self.lost, note=f"named by {named}")
        sheet.add("of these lost silently", self.silent, limit="= 0")
        sheet.add("refused as our-fault", self.our_fault, limit="= 0")
        sheet.add("recorded twice", self.twice, limit="= 0")
        sheet.add("recorded in the end", recorded, limit=f"= {fleet_made}")
