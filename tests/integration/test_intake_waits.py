"""`Prefer: wait=N` (RFC 7240): the fate of an event in the answer, if it comes in time."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.events.event import Event, Json
from shared.inbox.inbox import DONE_SECONDS, Reply
from shared.inbox.redis_keys import done_key
from tests.integration.together import (
    ADA,
    EVE,
    SAM,
    SEA,
    STARTED,
    Door,
    Together,
    event,
    problem,
)


@pytest.fixture
def worked(small_house: Together) -> Iterator[Together]:
    """A house with a worker, in which Ada has a plan."""
    with small_house.draining():
        answer = small_house.door.post(event("plan.started", STARTED), Prefer="wait=10")
        assert answer.status_code == 201
        yield small_house


def waiters(door: Door) -> list[Event]:
    """The waiting events in the queue."""
    opened = (
        door.inbox.transit.decrypt(0, each, "event") for _, each in door.inbox.peek(0, 100)[0]
    )
    return [told for each in opened if (told := Event.from_message(each)).waiter is not None]


def receipt(status: int, said: Event) -> bytes:
    """As much of an answer of the ledger's as intake looks at."""
    members = {"id": said.id, "author": said.author, "subject": said.subject}
    return f"{status}\n{json.dumps(members)}".encode()


def settle(door: Door, status: int) -> None:
    """What the projector does for those who wait."""
    told = [
        Reply(each.waiter, receipt(status, each))
        for each in waiters(door)
        if each.waiter is not None
    ]
    places = [place for place, _ in door.inbox.peek(0, 100)[0]]
    door.inbox.acknowledge(0, places, told, None)


def until(count: int, door: Door) -> list[Event]:
    """The waiting events, when there are so many."""
    end = time.monotonic() + 10
    while len(found := waiters(door)) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} wait"
        time.sleep(0.01)
    return found


def test_accepted_is_201_with_the_receipt(worked: Together) -> None:
    said = event("aspiration.stated", SEA)
    answer = worked.door.post(said, Prefer="wait=10")
    told = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait"
    assert answer.headers["Location"] == f"/people/{ADA}/events/{said['id']}"
    assert (told["id"], told["verdict"], told["sequence"]) == (said["id"], "accepted", 2)
    assert worked.get(ADA, f"events/{said['id']}/receipt").get_json() == told


def test_a_repeat_of_an_accepted_one_is_200_with_the_first_receipt(worked: Together) -> None:
    said = event("aspiration.stated", SEA)
    first = worked.door.post(said, Prefer="wait=10").get_json()
    again = worked.door.post(said, Prefer="wait=10")
    assert again.status_code == 200
    assert again.get_json()["entry"] == first["entry"]
    assert again.headers["Preference-Applied"] == "wait"


@pytest.mark.parametrize(
    ("author", "kind", "data", "status", "code"),
    [
        (SAM, "aspiration.reworded", {"aspiration": "a", "words": "b"}, 403, "not-yours-to-say"),
        (EVE, "disagreement.stated", {"entry": "a", "words": "b"}, 403, "no-grant"),
        (ADA, "plan.started", STARTED, 409, "plan-exists"),
        (ADA, "action.done", {"action": "a"}, 409, "unknown-target"),
    ],
)
def test_refused_is_a_problem_that_is_recorded(
    worked: Together, author: str, kind: str, data: Json, status: int, code: str
) -> None:
    said = event(kind, data)
    for _ in range(2):  # a repeat of a refused one is refused in the same words
        answer = worked.door.post(said, author, Prefer="wait=10")
        told = problem(answer, status, "refused")
        assert (told["recorded"], told["code"]) == (True, code)
        assert answer.headers["Preference-Applied"] == "wait"
        assert told["receipt"]["id"] == said["id"]
        assert told["receipt"]["refusal"] == code
        assert told["receipt"]["because"] in told["detail"]
    assert len([each for each in worked.history() if each["id"] == said["id"]]) == 1


def test_without_the_preference_nobody_waits(worked: Together) -> None:
    answer = worked.door.post(event("aspiration.stated", SEA))
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    "prefer",
    [
        "wait=1",
        "WAIT=1",
        'wait="1"',
        "wait = 1",
        "respond-async, wait=1",
        "respond-async;a=b, wait=1; c=d",
        "wait=1, wait=30",
    ],
)
def test_every_form_of_the_preference_waits(real_door: Door, prefer: str) -> None:
    began = time.monotonic()
    answer = real_door.post(event("plan.started", STARTED), Prefer=prefer)
    assert 0.9 < time.monotonic() - began < 29, "one second, and not as long as one may wait"
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait"


@pytest.mark.parametrize(
    "prefer",
    ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "wait=0", "waiting=9", "x-wait=9"],
)
def test_what_is_no_wait_is_no_wait(real_door: Door, prefer: str) -> None:
    answer = real_door.post(event("plan.started", STARTED), Prefer=prefer)
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (202, None)
    assert waiters(real_door) == []


def test_a_wait_of_a_week_is_a_wait_of_30_seconds_at_most(real_door: Door) -> None:
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(real_door.post, event("plan.started", STARTED), Prefer="wait=604800")
        until(1, real_door)
        settle(real_door, 201)
        assert pending.result(10).status_code == 201


def test_at_most_half_of_the_threads_wait(real_door: Door) -> None:
    """Of four threads two may wait; whoever comes then is answered at once."""
    with ThreadPoolExecutor(4) as pool:
        first, second = (
            pool.submit(real_door.post, event("plan.started", STARTED), Prefer="wait=20")
            for _ in range(2)
        )
        until(2, real_door)
        third = real_door.post(event("plan.started", STARTED), Prefer="wait=20")
        assert (third.status_code, len(waiters(real_door))) == (202, 2), "they still wait"
        settle(real_door, 201)
        assert [each.result(10).status_code for each in (first, second)] == [201, 201]
        fourth = pool.submit(real_door.post, event("plan.started", STARTED), Prefer="wait=20")
        until(1, real_door)  # a place is free again
        settle(real_door, 200)
        assert fourth.result(10).status_code == 200


def test_a_place_is_given_back_when_the_queue_fails(real_door: Door) -> None:
    queue = real_door.inbox.redis
    queue.config_set("appendfsync", "no")
    for _ in range(5):
        answer = real_door.post(event("plan.started", STARTED), Prefer="wait=20")
        problem(answer, 503, "unavailable")
    queue.config_set("appendfsync", "always")
    settle(real_door, 201)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(real_door.post, event("plan.started", STARTED), Prefer="wait=20")
        until(1, real_door)
        settle(real_door, 201)
        assert pending.result(10).status_code == 201


@pytest.mark.parametrize("member", ["id", "author", "subject"])
def test_a_receipt_of_another_event_is_no_receipt(real_door: Door, member: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(real_door.post, event("plan.started", STARTED), Prefer="wait=20")
        [waiting] = until(1, real_door)
        assert waiting.waiter is not None
        changed: dict[str, Any] = {member: "person:eve"}
        other = receipt(201, waiting._replace(**changed))
        real_door.inbox.acknowledge(0, [], [Reply(waiting.waiter, other)], None)
        answer = pending.result(10)
        assert (answer.status_code, answer.get_json()["id"]) == (202, waiting.id)


def test_a_receipt_for_another_who_waits_is_no_receipt(real_door: Door) -> None:
    """Who writes to the queue copies Ada's receipt to Eve, and removes what Eve said."""
    with ThreadPoolExecutor(2) as pool:
        pending = {
            who: pool.submit(
                real_door.post, event("plan.started", STARTED, who), who, Prefer="wait=20"
            )
            for who in (ADA, EVE)
        }
        ada, eve = sorted(until(2, real_door), key=lambda each: each.author)
        assert ada.waiter is not None
        assert eve.waiter is not None
        real_door.inbox.acknowledge(0, [], [Reply(ada.waiter, receipt(201, ada))], None)
        real_door.inbox.redis.copy(done_key(0, ada.waiter), done_key(0, eve.waiter))
        assert [pending[who].result(10).status_code for who in (ADA, EVE)] == [201, 202]


def test_a_receipt_that_was_tampered_with_is_no_receipt(real_door: Door) -> None:
    with ThreadPoolExecutor(1) as pool:
        said = event("plan.started", STARTED)
        pending = pool.submit(real_door.post, said, Prefer="wait=20")
        [waiting] = until(1, real_door)
        assert waiting.waiter is not None
        real_door.inbox.redis.lpush(done_key(0, waiting.waiter), b"not.sealed.at.all.x")
        assert pending.result(10).status_code == 202


def test_a_receipt_is_kept_for_a_minute_and_only_where_somebody_waits(
    small_house: Together,
) -> None:
    queue = small_house.door.inbox.redis
    said = event("plan.started", STARTED)
    answered: list[int] = []

    def wait() -> None:
        answered.append(small_house.door.post(said, Prefer="wait=20").status_code)

    thread = threading.Thread(target=wait)
    thread.start()
    [waiting] = until(1, small_house.door)
    assert waiting.waiter is not None
    assert small_house.drain() == 1
    small_house.post(ADA, "aspiration.stated", SEA)
    thread.join(10)
    assert answered == [201]
    lists = list(queue.scan_iter("firsthand:*:done:*"))
    assert lists == [done_key(0, waiting.waiter).encode()]
    assert 0 < int(str(queue.ttl(lists[0]))) <= DONE_SECONDS
