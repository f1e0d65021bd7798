"""The worker as a process: RQ alone suffices, the sweeper alone suffices, no stop loses a thing."""

import contextlib
import shutil
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from services.ledger.config import signers
from services.ledger.plan.decide import RULES
from services.ledger.store import reads
from services.ledger.store.database import connect, transaction
from services.ledger.writer import worker as worker_module
from shared.events.event import Event
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox
from tests.contract.ledgers import Ledger, Together
from tests.contract.workers import Worker, ended, until_drained
from tests.given import ADA, Voice, about, ada, event
from tests.process import wait_until
from tests.servers import ValkeyServer

SWEPT = 20.0  # seconds; a lost bell costs 5 s, on a busy machine more, and unswept it costs 30 s
TOLD = [ada.starts(), *(ada.writes("Food", f"Fish {number}") for number in range(20))]
IDS = [each.id for each in TOLD]
EVERY_WAY = [(), ("--no-sweeper",), ("--no-rq",)]


def ringing(ledger: Ledger) -> Inbox:
    """An inbox as intake has it: with a bell."""
    plain = ledger.inbox()
    bell = doorbell.bell(ledger.inbox().redis)
    return Inbox(plain.queues, plain.transit, ring=lambda each: doorbell.ring(bell, each))


def many(count: int) -> list[Event]:
    """A lot of events of some people, each person's in order."""
    people = [f"person:p{number}" for number in range(10)]
    told = [about(who, Voice(who).starts()) for who in people]
    for number in range(count - len(people)):
        who = people[number % len(people)]
        data = {"section": "Food", "words": f"Fish {number}"}
        told.append(event(who, {"type": "about-me.written", "data": data}, subject=who))
    return told


def in_order(ledger: Ledger, told: list[Event]) -> None:
    """Everything is there once, in the order in which it was posted."""
    assert [row["id"] for row in ledger.rows()] == [each.id for each in told]
    assert not ledger.replay().findings


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_after_its_stop_all_is_in_the_database_file(on_valkey: Ledger, tmp_path: Path) -> None:
    """Though the read API, which may only read, is the last to close it."""
    reader = connect(on_valkey.settings.store_url, write=False)
    with Worker(on_valkey) as worker:
        with transaction(reader) as connection:
            assert reads.log_sizes(connection) == {0: 0}
        for each in TOLD:
            ringing(on_valkey).publish(0, [each])
        until_drained(on_valkey, SWEPT)
        assert worker.terminate() == 0
    copy = tmp_path / "copy.db"
    shutil.copy(on_valkey.settings.store_url.removeprefix("sqlite:///"), copy)
    reader.dispose()
    copied = connect(f"sqlite:///{copy}", write=False)
    with transaction(copied) as connection:
        assert reads.log_sizes(connection) == {0: len(TOLD)}
    copied.dispose()


def test_rq_alone_drains(on_valkey: Ledger) -> None:
    with Worker(on_valkey, "--no-sweeper") as worker:
        inbox = ringing(on_valkey)
        for each in TOLD:
            inbox.publish(0, [each])
        until_drained(on_valkey, SWEPT)
        time.sleep(0.1)
        inbox.publish(0, [ada.states()])
        until_drained(on_valkey, SWEPT)
        assert worker.terminate() == 0
    in_order(on_valkey, [*TOLD, ada.states()])


def test_the_sweeper_alone_drains(on_valkey: Ledger) -> None:
    with Worker(on_valkey, "--no-rq") as worker:
        on_valkey.post(TOLD[0])
        until_drained(on_valkey, SWEPT)
        for part in (TOLD[1:5], TOLD[5:]):
            inbox = ringing(on_valkey)
            for each in part:
                inbox.publish(0, [each])
            until_drained(on_valkey, SWEPT)
        assert worker.terminate() == 0
    in_order(on_valkey, TOLD)


def test_a_bell_that_was_lost_is_swept(on_valkey: Ledger) -> None:
    """The flag says that somebody rang; no job is there, and none will come for 30 s."""
    with Worker(on_valkey) as worker:
        on_valkey.post(*TOLD)
        redis = on_valkey.inbox().redis
        assert redis.exists("firsthand:{p0}:wake")
        assert redis.llen("{firsthand}:rq:queue:drain") == 0
        until_drained(on_valkey, SWEPT)
        assert worker.lives
    in_order(on_valkey, TOLD)


def test_a_message_from_the_future_is_swept(on_valkey: Ledger) -> None:
    """The queue's clock was set back: its ids stay ahead of it for as long."""
    inbox = on_valkey.inbox()
    seconds, _ = inbox.redis.time()
    sealed = inbox.transit.encrypt(0, TOLD[0].message(), "event")
    with Worker(on_valkey, "--no-rq") as worker:
        ahead = f"{(seconds + 86_400) * 1000}-0"
        wait_until(lambda: "batch" in worker.said(), "the drain at the start")
        inbox.redis.xadd("firsthand:{p0}:inbox", {"e": sealed}, id=ahead)
        until_drained(on_valkey, SWEPT)
    in_order(on_valkey, TOLD[:1])


@pytest.mark.parametrize(
    ("database", "options"),
    [*(("sqlite", each) for each in EVERY_WAY), ("postgresql", ())],
    indirect=["database"],
    ids=["sqlite-both", "sqlite-rq", "sqlite-sweeper", "postgresql-both"],
)
def test_a_stop_ends_with_the_batch(on_valkey: Ledger, options: tuple[str, ...]) -> None:
    told = many(8_000)
    worker = Worker(on_valkey, *options)
    with worker:
        inbox = ringing(on_valkey)
        for start in range(0, len(told), 500):
            inbox.publish(0, told[start : start + 500])
        wait_until(lambda: inbox.length(0) < len(told), "the first batch")
        assert worker.terminate() == 0
        left = inbox.length(0)
        assert 0 < left < len(told)
        assert len(on_valkey.rows()) == len(told) - left, worker.said()
        worker.start()
        until_drained(on_valkey, 30)
        assert worker.terminate() == 0
    in_order(on_valkey, told)


@pytest.mark.parametrize("options", EVERY_WAY, ids=["both", "rq", "sweeper"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_stop_is_heard_at_any_moment(on_valkey: Ledger, options: tuple[str, ...]) -> None:
    """Also between the drain at the start and RQ's first wait for a bell."""
    with contextlib.closing(Worker(on_valkey, *options)) as worker:
        for number in range(4):
            worker.start_and_wait_for("batch")
            time.sleep(number * 0.005)
            assert worker.terminate() == 0


@pytest.mark.timeout(30)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_rq_waits_for_no_bell_once_asked_to_stop(
    on_valkey: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same moment, held still: asked to stop before RQ's own signal handlers are there."""
    drainer = worker_module.Drainer(on_valkey.projector(), lambda _: None)
    drainer.stopping.set()
    monkeypatch.setattr(worker_module, "_drainer", drainer)
    redis = on_valkey.inbox().redis
    rq = worker_module.Worker(
        [doorbell.bell(redis)], connection=redis, serializer=doorbell.JSONSerializer
    )
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert rq.work(logging_level="WARNING") is False
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_stop_is_heard_while_the_queue_is_away(on_valkey: Ledger, valkey: ValkeyServer) -> None:
    with Worker(on_valkey) as worker:
        valkey.kill()
        time.sleep(1.5)
        assert worker.lives
        assert worker.terminate() == 0
    valkey.start()


def test_the_queue_comes_back(on_valkey: Ledger, valkey: ValkeyServer) -> None:
    with Worker(on_valkey) as worker:
        ringing(on_valkey).publish(0, TOLD[:5])
        until_drained(on_valkey, SWEPT)
        valkey.kill()
        time.sleep(0.5)
        valkey.start()
        ringing(on_valkey).publish(0, TOLD[5:])
        until_drained(on_valkey, SWEPT)
        assert worker.lives
    in_order(on_valkey, TOLD)


@pytest.mark.parametrize("options", [("--no-sweeper",), ("--no-rq",)], ids=["rq", "sweeper"])
def test_a_worker_outlives_what_somebody_spoiled(
    on_valkey: Ledger, options: tuple[str, ...]
) -> None:
    with Worker(on_valkey, *options) as worker:
        inbox, redis = ringing(on_valkey), on_valkey.inbox().redis
        for each in TOLD[:2]:
            inbox.publish(0, [each])
            until_drained(on_valkey, SWEPT)
        published = redis.get("firsthand:{p0}:published") or b""
        redis.set("firsthand:{p0}:published", "garbage")
        inbox.publish(0, TOLD[2:])
        wait_until(lambda: bool(redis.exists("firsthand:{p0}:waiting")), "the reason", SWEPT)
        assert inbox.length(0) == len(TOLD[2:])
        redis.set("firsthand:{p0}:published", published)
        redis.delete("firsthand:{p0}:wake")
        if options == ("--no-sweeper",):
            inbox.publish(0, [ada.states()])
        until_drained(on_valkey, SWEPT)
        assert worker.lives
        assert not redis.exists("firsthand:{p0}:waiting")
    assert on_valkey.ids(ADA)[: len(IDS)] == IDS


@pytest.mark.parametrize("waiting", [True, False], ids=["events wait", "nothing waits"])
def test_a_rolled_back_database_is_not_written(on_valkey: Ledger, waiting: bool) -> None:
    ahead = signers(on_valkey.settings)[0].checkpoint(5, bytes(32))
    on_valkey.inbox().acknowledge(0, [], [], ahead.encode())
    if waiting:
        on_valkey.post(*TOLD)
    stopped = ended(on_valkey)
    assert stopped.returncode == 3
    assert "log 0 ends at 0, but 5 entries were published" in stopped.stderr
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], len(TOLD) if waiting else 0)


def test_a_worker_of_older_rules_stops(on_valkey: Ledger) -> None:
    on_valkey.post(*TOLD)
    with on_valkey.as_owner() as connection:
        connection.execute(text(f"UPDATE heads SET rules = {RULES + 1}"))
    stopped = ended(on_valkey)
    assert stopped.returncode == 3
    assert f"log 0 was written by rules {RULES + 1}, this worker has {RULES}" in stopped.stderr
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], len(TOLD))


def test_a_running_worker_stops_for_newer_rules(on_valkey: Ledger) -> None:
    """Also the sweeper's thread can stop it, while RQ's waits for a bell."""
    with Worker(on_valkey) as worker:
        with on_valkey.as_owner() as connection:
            connection.execute(text(f"UPDATE heads SET rules = {RULES + 1}"))
        on_valkey.post(*TOLD)
        wait_until(lambda: not worker.lives, "the worker to stop", SWEPT)
        assert f"this worker has {RULES}" in worker.said()
    assert (on_valkey.rows(), on_valkey.waiting()) == ([], len(TOLD))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_has_one_worker(on_valkey: Ledger) -> None:
    with Worker(on_valkey) as first:
        stopped = ended(on_valkey)
        assert stopped.returncode == 3
        assert "another worker writes to" in stopped.stderr
        assert first.lives


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_workers_of_one_partition_keep_the_order(on_valkey: Ledger) -> None:
    told = many(3_000)
    with Worker(on_valkey) as first, Worker(on_valkey, "--no-rq") as second:
        wait_until(lambda: "batch" in second.said(), "the second to be there")
        inbox = ringing(on_valkey)

        def publish() -> None:
            for start in range(0, len(told), 25):
                inbox.publish(0, told[start : start + 25])

        with Together(publish):
            pass
        until_drained(on_valkey, 30)
        assert first.terminate() == second.terminate() == 0
    in_order(on_valkey, told)


def test_no_worker_without_rq_and_sweeper(on_valkey: Ledger) -> None:
    assert ended(on_valkey, "--no-rq", "--no-sweeper").returncode == 2
