"""An intake with another number of partitions than the ledger: nothing is lost or out of place."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ledger.writer.worker import Drainer
from shared.errors import MisroutedEvent
from shared.events.event import Event, partition_of
from shared.inbox.inbox import Inbox
from shared.inbox.partition_layout import publish_layout
from shared.inbox.redis_keys import LAYOUT_KEY, inbox_key
from tests.contract.examined import SQLITE, examined, named
from tests.contract.ledgers import Ledger
from tests.contract.workers import Worker
from tests.given import Voice, about, ada
from tests.postgres import Database
from tests.process import wait_until

PEOPLE = [f"person:p{number}" for number in range(6)]


@pytest.fixture
def two(tmp_path: Path, database: Database, valkey_url: str) -> Iterator[Ledger]:
    """A ledger of two partitions, over Valkey."""
    made = Ledger(tmp_path, database, valkey_url, partitions=2)
    yield made
    made.close()


def said() -> list[Event]:
    """Three events of each person, one person after the other in turns."""
    voices = {who: Voice(who) for who in PEOPLE}
    told = [about(who, each.starts()) for who, each in voices.items()]
    for words in ("Fish", "Tea"):
        told += (about(who, each.writes("Food", words)) for who, each in voices.items())
    return told


def posted(ledger: Ledger, events: list[Event], partitions: int) -> None:
    """Publish as an intake does that is configured so, and knows nothing of the ledger."""
    inbox = ledger.inbox()
    for each in events:
        assert inbox.publish(partition_of(each.subject, partitions), [each]).level == "fsync"


def drained(ledger: Ledger, *partitions: int) -> Drainer:
    """Drain these until no bell is rung again."""
    again = list(partitions)
    drainer = Drainer(ledger.projector(), again.append)
    while again:
        drainer.drain(again.pop(0))
    return drainer


def all_in_place(ledger: Ledger, told: list[Event]) -> None:
    """Everything was recorded once, in the log of its person, in each person's order."""
    count = ledger.settings.partitions
    for row in ledger.rows():
        assert row["log"] == partition_of(row["subject"], count)
    for who in {each.subject for each in told}:
        assert ledger.ids(who) == [each.id for each in told if each.subject == who]
    assert set(ledger.verdicts()) == {"accepted"}
    assert ledger.table("unreadable") == []
    assert not ledger.replay().findings


def test_the_projector_records_nothing_in_another_log_than_its_persons(two: Ledger) -> None:
    told = said()
    posted(two, told, 1)
    with pytest.raises(MisroutedEvent, match="log 1"):
        two.projector().batch(0)
    assert (two.rows(), two.waiting()) == ([], len(told))


def test_with_too_few_partitions_everything_still_comes_to_its_log(two: Ledger) -> None:
    told = said()
    posted(two, told, 1)
    drainer = drained(two, 0)
    assert not drainer.stopping.is_set()
    assert two.waiting() == 0
    all_in_place(two, told)


def test_with_too_many_partitions_everything_still_comes_to_its_log(on_valkey: Ledger) -> None:
    told = said()
    posted(on_valkey, told, 8)
    drainer = drained(on_valkey, *range(8))
    assert not drainer.stopping.is_set()
    assert not any(on_valkey.inbox().length(each) for each in range(8))
    all_in_place(on_valkey, told)


def test_what_was_moved_before_a_crash_is_recorded_once(two: Ledger) -> None:
    """It stands in both streams; a repeat is known in its own log."""
    told = said()
    posted(two, told, 1)
    posted(two, told, 2)
    drained(two, 0, 1)
    all_in_place(two, told)


def test_what_somebody_plants_beyond_the_last_partition_stops_nobody(on_valkey: Ledger) -> None:
    redis = on_valkey.inbox().redis
    redis.xadd(inbox_key(6), {"e": "x"})
    redis.xadd(inbox_key(6), {"note": "x"})
    posted(on_valkey, [ada.starts()], 1)
    assert not drained(on_valkey, 6, 0).stopping.is_set()
    assert on_valkey.verdicts() == ["accepted"]
    assert redis.xlen(inbox_key(6)) == 2


def test_an_entry_in_another_log_is_found(two: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker recorded it that does not look: for it, every log is right."""
    told = [each for each in said() if partition_of(each.subject, 2) == 1]
    posted(two, told, 1)
    monkeypatch.setattr("services.ledger.writer.batch.partition_of", lambda *_: 0)
    two.projector().batch(0)
    found = [each for each in two.replay().findings if each.code == "order"]
    assert {each.person for each in found} == {each.subject for each in told}
    assert {each.detail for each in found} == {"belongs in log 1"}


# What intake hears of it.


def asking(ledger: Ledger, partitions: int) -> Inbox:
    """The inbox of an intake that is configured so."""
    plain = ledger.inbox()
    return Inbox(plain.queues, plain.transit, partitions=partitions)


def test_intake_is_not_ready_while_it_differs_from_the_ledger(on_valkey: Ledger) -> None:
    wrong, right = asking(on_valkey, 8), asking(on_valkey, 1)
    assert wrong.durability().level == right.durability().level == "fsync"  # nobody has said
    publish_layout(on_valkey.inbox().queues, 1)
    assert right.durability().level == right.publish(0, [ada.starts()]).level == "fsync"
    for found in (wrong.durability(), wrong.publish(0, [ada.states()])):
        assert found.level is None
        assert "set to 8 partitions, server 1 of 1" in found.why
        assert "the ledger has 1 partitions, server 1 of 1" in found.why


def test_another_number_of_servers_is_another_layout(on_valkey: Ledger) -> None:
    publish_layout(on_valkey.inbox().queues, 2)
    alone = on_valkey.inbox().redis
    both = Inbox(
        type(on_valkey.inbox().queues)(alone, alone), on_valkey.inbox().transit, partitions=2
    )
    assert "server 2 of 2" in both.durability().why or "server 1 of 2" in both.durability().why


def intake(ledger: Ledger, partitions: int) -> subprocess.CompletedProcess[str]:
    """`firsthand intake` that is to end by itself."""
    environment = {**os.environ, **ledger.environment, "FIRSTHAND_PARTITIONS": str(partitions)}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "intake", "--port", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@SQLITE
def test_a_worker_says_the_number_and_intake_refuses_to_start_with_another(
    on_valkey: Ledger,
) -> None:
    redis = on_valkey.inbox().redis
    with Worker(on_valkey) as worker:
        wait_until(lambda: bool(redis.exists(LAYOUT_KEY)), "the worker to say how many")
        redis.delete(LAYOUT_KEY)
        wait_until(lambda: bool(redis.exists(LAYOUT_KEY)), "the worker to say it again")
        assert worker.lives
    done = intake(on_valkey, 8)
    assert done.returncode == 3
    assert "8 partitions" in done.stderr
    assert "set FIRSTHAND_PARTITIONS and FIRSTHAND_REDIS_URL to the worker's values" in done.stderr
    assert "Traceback" not in done.stderr


@SQLITE
def test_a_worker_moves_what_waits_beyond_its_partitions(on_valkey: Ledger) -> None:
    told = said()
    posted(on_valkey, told, 8)
    with Worker(on_valkey, "--no-sweeper") as worker:
        wait_until(lambda: len(on_valkey.rows()) == len(told), "all to be recorded")
        assert worker.terminate() == 0
    all_in_place(on_valkey, told)


# What the doctor says of it.


@SQLITE
def test_the_doctor_names_another_number(on_valkey: Ledger) -> None:
    assert examined(on_valkey)["partitions"].state == "ok"
    publish_layout(on_valkey.inbox().queues, 2)
    named(on_valkey, "partitions", "error", "2 partitions", "FIRSTHAND_PARTITIONS")
    publish_layout(on_valkey.inbox().queues, 1)
    assert examined(on_valkey)["partitions"].state == "ok"


@SQLITE
def test_the_doctor_names_what_waits_beyond_the_partitions(on_valkey: Ledger) -> None:
    on_valkey.inbox().redis.xadd(inbox_key(6), {"e": "x"})
    named(on_valkey, "partitions", "error", "1 messages in partition 6", "restart the worker")
