"""What intake says of the queue: ready exactly when a POST is answered 202, and how far behind."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.intake.app import create_app
from shared.auth.tokens import Callers
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox
from shared.inbox.publish_script import Limits
from shared.inbox.queue_status import SKEW, QueueStatus
from shared.inbox.redis_keys import LAYOUT_KEY, held_key, inbox_key
from shared.inbox.servers import connect
from tests.integration.together import ADA, EVE, STARTED, Door, event, problem
from tests.ports import free_port
from tests.process import wait_until
from tests.servers import RedisLikeServer, RedisServer, ValkeyServer

REAL = [kind for kind in (ValkeyServer, RedisServer) if kind.find() is not None]
Make = Callable[..., Door]


def post(door: Door, subject: str = ADA) -> Any:
    return door.post(event("plan.started", STARTED, subject), subject)


@pytest.fixture
def make(keys: Path, valkey: RedisLikeServer) -> Iterator[Make]:
    """Makes doors over one queue."""
    with connect(valkey.url) as queue:

        def made(clock: Callable[[], datetime] | None = None, **options: Any) -> Door:
            inbox = Inbox(queue, Transit.from_folder(keys), **options)
            callers = Callers.from_folder(keys, "firsthand")
            clock = clock or (lambda: datetime.now(UTC))
            status = QueueStatus(inbox, 1, clock)
            app = create_app(callers, inbox, clock=clock, status=status)
            return Door(keys, app.test_client(), inbox)

        yield made


def agrees(door: Door, why: str) -> None:
    """/readyz says no, and why; and a POST is answered 503 for the same reason."""
    answer = door.client.get("/readyz")
    assert answer.status_code == 503
    assert why in answer.get_json()["why"]
    problem(post(door), 503, "unavailable")


def test_memory_that_is_full(make: Make) -> None:
    door = make()
    door.inbox.redis.config_set("maxmemory", 1)
    agrees(door, "memory is full")
    door.inbox.redis.config_set("maxmemory", 0)
    assert door.client.get("/readyz").status_code == 200
    assert post(door).status_code == 202


def test_a_partition_that_is_full(make: Make) -> None:
    door = make(limits=Limits(messages=2))
    assert post(door).status_code == 202
    assert door.client.get("/readyz").status_code == 200
    assert post(door).status_code == 202
    agrees(door, "too many events wait to be recorded in partition 0")


def test_partitions_that_differ_from_the_ledgers(make: Make) -> None:
    door = make(partitions=1)
    door.inbox.redis.set(LAYOUT_KEY, "8 partitions, server 1 of 1")
    agrees(door, "8 partitions")


@pytest.mark.parametrize(("by", "how"), [(SKEW + 10, "ahead of"), (-SKEW - 10, "behind")])
def test_a_clock_that_differs_from_the_queues(make: Make, by: float, how: str) -> None:
    door = make(lambda: datetime.now(UTC) + timedelta(seconds=by))
    agrees(door, how)
    assert door.length() == 0, "nothing is recorded with a time that is wrong"


def test_a_clock_that_differs_by_seconds(make: Make) -> None:
    door = make(lambda: datetime.now(UTC) + timedelta(seconds=SKEW / 2))
    assert door.client.get("/readyz").status_code == 200
    assert post(door).status_code == 202


@contextmanager
def replicated(kind: type[RedisLikeServer]) -> Iterator[tuple[RedisLikeServer, RedisLikeServer]]:
    """A server and its replica."""
    with kind() as first, kind() as second:
        with first.client() as client, second.client() as replica:
            port = free_port()
            client.config_set("port", port)
            replica.replicaof("127.0.0.1", port)
            wait_until(lambda: client.info("replication")["connected_slaves"] == 1, "a replica")
        yield first, second


@pytest.mark.parametrize("kind", REAL, ids=lambda kind: kind.name)
def test_a_replica_that_does_not_answer(kind: type[RedisLikeServer], keys: Path) -> None:
    """It stays connected for a minute: only what it has acknowledged says that it is there."""
    with replicated(kind) as (first, second), connect(first.url) as queue:
        inbox = Inbox(queue, Transit.from_folder(keys), replicas=1)
        app = create_app(Callers.from_folder(keys, "firsthand"), inbox)
        door = Door(keys, app.test_client(), inbox)
        wait_until(lambda: door.client.get("/readyz").status_code == 200, "the replica to be there")
        assert post(door).status_code == 202
        assert second.pid is not None
        os.kill(second.pid, signal.SIGSTOP)
        agrees(door, "0 of 1 replicas")
        assert queue.info("replication")["connected_slaves"] == 1
        second.kill()  # it is behind, and would not end by itself


def test_it_says_how_far_the_recording_is_behind_and_why(make: Make) -> None:
    door = make()
    seconds, _ = door.inbox.redis.time()
    door.inbox.redis.xadd(inbox_key(0), {"e": b"x"}, id=f"{(seconds - 90) * 1000}-0")
    door.inbox.set_blocked_reason(0, "the database is away" + "!" * 1000)
    answer = door.client.get("/readyz")
    assert answer.status_code == 200, "what is posted is safe, however long it waits"
    recording = answer.get_json()["recording"]
    assert recording["messages"] == 1
    assert 89 <= recording["oldest_seconds"] < 150
    assert recording["waits"]["0"].startswith("the database is away!")
    assert len(recording["waits"]["0"]) == 200


def hold(door: Door, subject: str) -> None:
    """What the worker does for a person of whom as many events are held back as may be."""
    door.inbox.redis.sadd(held_key(0), door.inbox.transit.alias(subject))
    door.client.get("/readyz")


def test_events_about_a_person_whose_events_are_held_back_are_not_taken(make: Make) -> None:
    door = make()
    hold(door, ADA)
    answer = post(door)
    told = problem(answer, 503, "unavailable")
    assert "held back" in told["detail"]
    assert answer.headers["Retry-After"] == "60"
    assert post(door, EVE).status_code == 202
    assert door.client.get("/readyz").status_code == 200
    assert door.length() == 1


def test_a_batch_with_one_of_them_is_not_taken(make: Make) -> None:
    door = make()
    hold(door, ADA)
    batch = [event("plan.started", STARTED, each) for each in (EVE, ADA)]
    answer = door.post(batch, EVE, Content_Type="application/cloudevents-batch+json")
    problem(answer, 503, "unavailable")
    assert door.length() == 0


def test_the_status_is_looked_at_in_the_background(make: Make, valkey: RedisLikeServer) -> None:
    door = make()
    status = QueueStatus(door.inbox, 1)
    status.start()
    assert status.current().why == ""
    with valkey.client() as client:
        client.config_set("appendfsync", "everysec")
    wait_until(lambda: "fsync" in status.current().why, "the next look")


def test_it_leaves_in_a_queue_that_was_emptied_how_much_it_had_held(make: Make) -> None:
    """A worker that did not run meanwhile could not say how much is missing."""
    door = make()
    for who in (ADA, EVE):
        assert post(door, who).status_code == 202
    door.client.get("/readyz")  # a look
    assert door.post(event("plan.started", STARTED, "person:bob"), "person:bob").status_code == 202
    assert door.inbox.peek(0, 1).before == 0
    door.inbox.redis.flushall()
    door.client.get("/readyz")
    assert door.inbox.peek(0, 1).before == 3
