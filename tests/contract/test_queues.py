"""One queue server for each partition: Valkey and Redis side by side, under one ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from shared.events.event import Event, partition_of
from shared.http.metrics import QueueCollector
from shared.inbox import doorbell
from shared.inbox.inbox import Inbox
from shared.inbox.lag import lags
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.queue_status import QueueStatus
from shared.inbox.redis_keys import inbox_key, published_key
from tests.contract.ledgers import Ledger
from tests.contract.workers import Worker
from tests.given import Voice, about, event
from tests.postgres import Database
from tests.process import wait_until
from tests.servers import RedisLikeServer

PEOPLE = [f"person:p{number}" for number in range(12)]
SOON = 10.0  # seconds


@pytest.fixture
def ledger(
    tmp_path: Path, database: Database, valkey: RedisLikeServer, redis_server: RedisLikeServer
) -> Iterator[Ledger]:
    """Four partitions over two servers."""
    made = Ledger(tmp_path, database, f"{valkey.url} {redis_server.url}", partitions=4)
    yield made
    made.close()


def told_by(person: str) -> list[Event]:
    said = [
        event(person, {"type": "about-me.written", "data": {"section": "Food", "words": words}})
        for words in ("Fish.", "No fish.", "Bread.")
    ]
    return [about(person, Voice(person).starts()), *(about(person, each) for each in said)]


def publish(inbox: Inbox, told: list[list[Event]]) -> None:
    for round_of in zip(*told, strict=True):
        for each in round_of:
            inbox.publish(partition_of(each.subject, 4), [each])


def test_each_partition_stands_on_its_own_server(
    ledger: Ledger, valkey: RedisLikeServer, redis_server: RedisLikeServer
) -> None:
    inbox = ledger.inbox()
    publish(inbox, [told_by(person) for person in PEOPLE])
    with valkey.client() as even, redis_server.client() as odd:
        for partition in range(4):
            here, there = (even, odd) if partition % 2 == 0 else (odd, even)
            assert here.xlen(inbox_key(partition)) == inbox.length(partition) > 0
            assert not there.exists(inbox_key(partition))
    assert [each.messages for each in lags(inbox.queues, 4)] == [inbox.length(n) for n in range(4)]


def test_a_worker_drains_all_of_them_and_each_person_keeps_their_order(ledger: Ledger) -> None:
    told = [told_by(person) for person in PEOPLE]
    with Worker(ledger, "--no-sweeper"):
        plain = ledger.inbox()
        bell = doorbell.bell(plain.redis)
        rings = Inbox(plain.queues, plain.transit, ring=lambda log: doorbell.ring(bell, log))
        publish(rings, told)
        wait_until(lambda: ledger.waiting() == 0, "both servers to be drained", SOON)
    for person, said in zip(PEOPLE, told, strict=True):
        assert ledger.ids(person) == [each.id for each in said]
    assert not ledger.replay().findings
    published = PublishedCheckpoints(plain.queues)
    assert all(published.read(log).startswith(f"{_origin(ledger)}/{log}\n") for log in range(4))
    assert plain.queues.of(1).exists(published_key(1))
    assert not plain.queues.of(0).exists(published_key(1))


def _origin(ledger: Ledger) -> str:
    return str(ledger.table("ledger")[0]["origin"])


def test_one_server_that_is_away_hides_no_lag_of_the_others(
    ledger: Ledger, redis_server: RedisLikeServer
) -> None:
    inbox, registry = ledger.inbox(), CollectorRegistry()
    publish(inbox, [told_by(person) for person in PEOPLE])
    waiting = {n: inbox.length(n) for n in range(4)}
    registry.register(QueueCollector(QueueStatus(inbox, 4)))

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"firsthand_{name}", labels)

    assert told("queue_up") == 1
    redis_server.kill()
    found = [told("inbox_messages", partition=str(n)) for n in range(4)]
    up = told("queue_up")
    with pytest.raises(RedisError):
        lags(inbox.queues, 4)
    redis_server.start()
    assert found == [waiting[0], None, waiting[2], None]
    assert up == 0
    assert told("queue_up") == 1


def test_one_server_that_is_not_durable_is_enough_to_be_not_ready(
    ledger: Ledger, redis_server: RedisLikeServer
) -> None:
    assert ledger.inbox().durability().level == "fsync"
    with redis_server.client() as client:
        client.config_set("appendfsync", "everysec")
    assert ledger.inbox().durability().level is None
