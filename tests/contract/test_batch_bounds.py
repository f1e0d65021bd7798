"""A batch is bounded, whatever one person's events cost: in time, memory, and deaths of workers."""

import multiprocessing
import os
import signal
from contextlib import suppress
from datetime import timedelta

import pytest

from services.ledger.config import utc_now
from services.ledger.plan import decide as rules
from services.ledger.plan.model import Plan
from services.ledger.writer import batch as batch_module
from services.ledger.writer import plan_cache
from services.ledger.writer.batch_size import BATCH, DEATHS, LARGE, BatchAttempt
from services.ledger.writer.worker import Drainer
from shared.events.event import Event, timestamp
from shared.inbox.redis_keys import trying_key
from tests.contract.ledgers import Ledger
from tests.contract.standins import IDS, TOLD, WAITING
from tests.contract.test_projector_faults import failing
from tests.given import ADA, EVE, Voice, about, ada, at, eve, event

MANY = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(LARGE + 20))]


def test_what_was_judged_by_the_deadline_is_recorded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least one message a batch, and the rest stays in order."""
    monkeypatch.setattr(batch_module, "SECONDS", 0.0)
    ledger.post(*TOLD)
    projector = ledger.projector()
    for number in range(1, len(TOLD) + 1):
        assert projector.batch(0) == 1
        assert ledger.ids(ADA) == IDS[:number]
    assert not ledger.replay().findings


def test_a_large_batch_is_read_in_parts_and_is_one_commit(ledger: Ledger) -> None:
    ledger.post(*MANY, about(EVE, eve.starts()), MANY[3])
    assert ledger.projector().batch(0) == len(MANY) + 2
    assert ledger.ids(ADA) == [each.id for each in MANY]
    (head,) = ledger.table("heads")
    assert head["size"] == len(MANY) + 1
    assert not ledger.inbox().redis.exists(trying_key(0))
    assert not ledger.replay().findings


def test_people_whose_plans_are_large_are_loaded_a_few_at_a_time(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"person:p{number}" for number in range(6)]
    starts = [about(who, Voice(who).starts()) for who in people]
    more = [fish(who, number) for who in people for number in range(20)]
    on_valkey.post(*starts, *more)
    on_valkey.drain()
    loads: list[int] = []
    load = plan_cache.PlanCache.load

    def counted(self: plan_cache.PlanCache, *given: object) -> dict[str, Exception]:
        loads.append(len(given[2]))  # type: ignore[arg-type]  # the subjects
        return load(self, *given)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(plan_cache.PlanCache, "load", counted)
    monkeypatch.setattr(batch_module, "LOAD_BYTES", 8_000)
    again = [fish(who, 99) for who in people]
    on_valkey.post(*again)
    assert on_valkey.projector().batch(0) == len(again)
    assert len(loads) > 1
    assert sum(loads) == len(again)


def fish(who: str, number: int) -> Event:
    """Something that a person writes, of some length."""
    data = {"section": "Food", "words": f"Fish {number} " * 20}
    return event(who, {"type": "about-me.written", "data": data}, subject=who)


@pytest.mark.parametrize("most", [1, 7, 300])
def test_after_a_death_half_as_many_are_taken_and_then_twice_as_many(
    on_valkey: Ledger, most: int
) -> None:
    inbox = on_valkey.inbox()
    on_valkey.post(*MANY)
    first = inbox.peek(0, 1).messages[0][0]
    inbox.mark_batch(0, BatchAttempt(most, 0, 0, first).note())
    projector, taken = on_valkey.projector(), []
    while count := projector.batch(0):
        taken.append(count)
    half = max(1, most // 2)
    wanted = [min(half * 2**step, BATCH) for step in range(len(taken))]
    assert taken[:-1] == wanted[:-1]
    assert on_valkey.ids(ADA) == [each.id for each in MANY]
    assert not inbox.redis.exists(trying_key(0))


@pytest.mark.parametrize("note", [b"garbage", b"1 2 3", b"9 7 0 1-0", b"0 0 0 1-0", b"1 0 99 2-0"])
def test_a_note_that_says_nothing_of_this_log_is_no_death(on_valkey: Ledger, note: bytes) -> None:
    """Somebody else's, of another size of the log, or of another message."""
    on_valkey.post(*TOLD)
    on_valkey.inbox().mark_batch(0, note)
    on_valkey.drain()
    assert set(on_valkey.verdicts()) == {"accepted"}


def dying(ledger: Ledger, name: str) -> None:
    """A worker that is killed when it judges one event."""

    def decide(plan: Plan, said: Event, *, reused: bool = False) -> rules.Verdict:
        if said.id == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return rules.decide(plan, said, reused=reused)

    vars(batch_module)["decide"] = decide  # in a process of its own
    ledger.drain()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_event_that_kills_its_workers_is_set_aside_alone(on_valkey: Ledger) -> None:
    """Halved at each death, it ends up by itself; what stands before and behind it is recorded."""
    bad = MANY[50]
    on_valkey.post(*MANY)
    fork, deaths = multiprocessing.get_context("fork"), 0
    while on_valkey.waiting():
        worker = fork.Process(target=dying, args=(on_valkey, bad.id))
        worker.start()
        worker.join()
        deaths += worker.exitcode == -signal.SIGKILL
        assert deaths < 30
    verdicts = {row["id"]: row["refusal"] for row in on_valkey.rows()}
    assert verdicts.pop(bad.id) == "our-fault"
    assert set(verdicts.values()) == {None}
    assert len(on_valkey.rows()) == len(MANY)
    assert deaths > DEATHS


def test_a_person_who_does_not_fit_into_memory_is_held(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never refused: and others go on."""
    monkeypatch.setattr("services.ledger.writer.batch.decide", failing(IDS[1], MemoryError(), 99))
    on_valkey.post(*TOLD, about(EVE, eve.starts()))
    projector = on_valkey.projector()
    for _ in range(40):
        with suppress(MemoryError):
            projector.batch(0)
    assert on_valkey.ids(ADA) == IDS[:1]
    assert len(on_valkey.ids(EVE)) == 1
    assert [row["reason"] for row in on_valkey.table("held")][:1] == ["MemoryError"]
    assert on_valkey.waiting() == 0
    monkeypatch.undo()
    on_valkey.projector().batch(0)
    assert on_valkey.ids(ADA) == IDS
    assert set(on_valkey.verdicts()) == {"accepted"}


@pytest.mark.parametrize("years", [60, -60])
def test_a_worker_whose_clock_leapt_waits_and_says_so(on_valkey: Ledger, years: int) -> None:
    leap = timedelta(days=365 * years)
    on_valkey.post(*TOLD)
    projector = on_valkey.projector(clock=lambda: utc_now() + leap, skew=60.0)
    drainer = Drainer(projector, lambda _: None)
    assert drainer.drain(0) == 0
    why = on_valkey.inbox().redis.get(WAITING) or b""
    assert b"the worker's clock is" in why
    assert (b"ahead of" if years > 0 else b"behind") in why
    assert on_valkey.rows() == []
    assert on_valkey.drain() == len(TOLD)
    assert max(row["recorded"] for row in on_valkey.rows()) <= timestamp(utc_now())


def test_a_worker_far_behind_what_was_received_waits(on_valkey: Ledger) -> None:
    """Where worker and queue share a clock that is wrong."""
    ahead = timestamp(utc_now() + timedelta(hours=2))
    on_valkey.post(TOLD[0], at(ahead, TOLD[1]))
    drainer = Drainer(on_valkey.projector(), lambda _: None)
    assert drainer.drain(0) == 0
    assert b"more than an hour behind" in (on_valkey.inbox().redis.get(WAITING) or b"")
