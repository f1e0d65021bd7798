"""/readyz of the read API: asked once a second, and honest about recording (S1, S16)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event as on
from sqlalchemy import text

from services.ledger.api.readiness import FRESH, STALE, Readiness
from services.ledger.checkpoints.published_view import PublishedView
from services.ledger.store.database import connect, transaction
from shared.events.event import Json
from shared.inbox.published_checkpoint import PublishedCheckpoints
from shared.inbox.redis_keys import inbox_key, waiting_key
from tests.contract.ledgers import Together as AtOnce
from tests.integration.together import ADA, SAM, SEA, STARTED, Together, event
from tests.process import wait_until
from tests.servers import RedisLikeServer

NONE: Json = {"messages": 0, "stalled_seconds": 0.0, "waits": {}}


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Now."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def readiness(small_house: Together, clock: Clock) -> Readiness:
    last = PublishedCheckpoints(small_house.door.inbox.redis)
    watermark = PublishedView(small_house.reader, last, [[]])
    return Readiness(small_house.reader, watermark, clock)


@pytest.fixture
def statements(small_house: Together) -> Iterator[list[str]]:
    """What the store was asked."""
    asked: list[str] = []

    def note(*found: object) -> None:
        asked.append(str(found[2]))

    on.listen(small_house.reader, "before_cursor_execute", note)
    yield asked
    on.remove(small_house.reader, "before_cursor_execute", note)


@contextmanager
def one_hangs(small_house: Together, readiness: Readiness) -> Iterator[None]:
    """Another thread asks, and gets no answer from the store before the block is over."""
    asked, go = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        asked.set()
        assert go.wait(30)

    on.listen(small_house.reader, "before_cursor_execute", hang)
    try:
        with AtOnce(readiness.why):
            try:
                assert asked.wait(30)
                yield
            finally:
                go.set()
    finally:
        on.remove(small_house.reader, "before_cursor_execute", hang)


def test_the_store_is_asked_once_a_second_however_many_ask(
    readiness: Readiness, clock: Clock, statements: list[str]
) -> None:
    with AtOnce(*[readiness.why] * 24):
        pass
    once = len(statements)
    assert (readiness.why(), len(statements)) == (None, once)
    clock.now += FRESH
    with AtOnce(*[readiness.why] * 24):
        pass
    assert len(statements) == 2 * once > 0


def test_a_store_that_does_not_answer_is_not_ready_for_long(
    small_house: Together, readiness: Readiness, clock: Clock
) -> None:
    """One thread hangs in the store; the others say so, and wait for nothing."""
    assert readiness.why() is None
    clock.now += FRESH
    with one_hangs(small_house, readiness):
        assert readiness.why() is None
        clock.now += STALE
        assert "has not answered" in str(readiness.why())
    assert readiness.why() is None


def test_after_a_pause_all_who_ask_at_once_hear_that_it_is_ready(
    small_house: Together, readiness: Readiness, clock: Clock
) -> None:
    """Nobody asked for a while, so what is known is old; it is no sign of a store that hangs."""
    assert readiness.why() is None
    clock.now += 10 * STALE
    with one_hangs(small_house, readiness):
        assert readiness.why() is None


def test_it_tells_how_far_recording_is_behind_and_stays_ready(
    small_house: Together, readiness: Readiness, clock: Clock
) -> None:
    assert readiness.recording() == {"recording": NONE}
    small_house.door.post(event("plan.started", STARTED), ADA)
    small_house.door.post(event("aspiration.stated", SEA), ADA)
    redis = small_house.door.inbox.redis
    redis.set(waiting_key(0), "person:ada.x: no key\x1b[31m of partner:sam")
    clock.now += FRESH
    found = readiness.recording()["recording"]
    assert found["messages"] == 2
    assert found["waits"] == {"0": "somebody: no key [31m of somebody"}
    assert readiness.why() is None
    small_house.drain()
    clock.now += FRESH
    assert readiness.recording() == {"recording": NONE}


def test_it_tells_for_how_long_nothing_was_recorded_though_messages_wait(
    small_house: Together, readiness: Readiness, clock: Clock
) -> None:
    def stalled() -> float:
        clock.now += 10
        return float(readiness.recording()["recording"]["stalled_seconds"])

    small_house.post(ADA, "plan.started", STARTED)
    assert [stalled(), stalled()] == [0, 0]
    small_house.door.post(event("aspiration.stated", SEA), ADA)
    assert [stalled(), stalled()] == [10, 20]
    small_house.drain()
    small_house.door.post(event("aspiration.stated", SEA), ADA)
    assert [stalled(), stalled()] == [0, 10]
    small_house.drain()
    assert stalled() == 0


def test_what_is_not_ours_in_the_queue_makes_no_noise(
    small_house: Together, readiness: Readiness
) -> None:
    small_house.door.inbox.redis.set(inbox_key(0), "a wrong type")
    assert readiness.recording() == {"recording": None}
    assert readiness.why() is None


def test_without_a_queue_nothing_is_said_of_recording(
    small_house: Together, readiness: Readiness, valkey: RedisLikeServer
) -> None:
    valkey.kill()
    assert readiness.recording() == {"recording": None}
    assert small_house.ledger.get("/readyz").get_json() == {"ready": True, "recording": None}


def test_a_store_that_is_not_as_it_must_be_is_not_ready(
    small_house: Together, readiness: Readiness, clock: Clock
) -> None:
    owner = connect(small_house.settings.database_owner_url, write=True, owner=True)
    with transaction(owner) as connection:
        connection.execute(text("DROP TRIGGER entries_no_update"))
    owner.dispose()
    clock.now += FRESH
    wait_until(lambda: "append-only" in str(readiness.why()), "the trigger to be missed")
    answer = small_house.ledger.get("/readyz")
    assert (answer.status_code, answer.get_json()["recording"]) == (503, NONE)
    assert SAM not in answer.text
