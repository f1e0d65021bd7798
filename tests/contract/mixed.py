"""A ledger in which everything has happened, for what reads it all again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.ledger.plan import decide
from services.ledger.plan.model import Plan
from shared.events.event import Event, partition_of
from tests.contract.ledgers import Ledger
from tests.given import ADA, EVE, Voice, about, ada, again, eve, sam, tom, under_the_id_of
from tests.histories import history

EVENTS, BATCH = 400, 37
PEOPLE = [f"person:p{number}" for number in range(5)]


def told() -> list[Event]:
    """Ada's long history, Eve's short one, some other people, repeats, and ids used twice."""
    adas = [said for said, _ in history(range(1_000, 1_000 + EVENTS))]
    others = [about(EVE, each) for each in (eve.starts(), eve.states(), sam.rewords("No."))]
    for who in PEOPLE:
        voice = Voice(who)
        others += [about(who, each) for each in (voice.starts(), voice.states(), tom.observes())]
    others += [about("person:nobody", sam.observes()), about("person:nobody", again(sam.starts()))]
    reused = [
        under_the_id_of(adas[50], ada.states("Fly.")),
        under_the_id_of(adas[60], sam.starts()),
    ]
    whole = adas[:100] + others + adas[100:200] + adas[150:180] + reused + adas[200:] + others
    return [*whole, *reused, adas[0]]


class Decide:
    """decide as it is, with a fault in it."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def __call__(self, plan: Plan, said: Event, *, reused: bool = False) -> decide.Verdict:
        """A verdict, or the fault."""
        if said.id in self.names:
            raise ZeroDivisionError
        return decide.decide(plan, said, reused=reused)


def clock() -> Iterator[datetime]:
    """A clock that moves at each look, so that each batch has its own moment; it starts now."""
    moment = datetime.now(UTC)
    while True:
        moment += timedelta(milliseconds=10)
        yield moment


def live(ledger: Ledger) -> None:
    """Let it all happen, in many batches, two events failing through a fault of ours."""
    events, ticks = told(), clock()
    projector = ledger.projector(clock=lambda: next(ticks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "services.ledger.writer.batch.decide", Decide({events[70].id, events[101].id})
        )
        inbox = ledger.inbox()
        for start in range(0, len(events), BATCH):
            for each in events[start : start + BATCH]:
                inbox.publish(partition_of(each.subject, 1), [each])
            ledger.drain(projector)


def is_mixed(ledger: Ledger) -> None:
    """It is as mixed as it should be."""
    verdicts = set(ledger.verdicts())
    assert len(verdicts) >= 12, verdicts
    assert {"our-fault", "id-reused", "no-grant", "not-yours-to-say", "accepted"} <= verdicts
    snapshots = [row for row in ledger.table("snapshots") if row["subject"] == ADA]
    assert len(snapshots) >= 2
    assert len(ledger.table("plans")) >= 1
