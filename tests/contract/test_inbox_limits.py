"""Limits, on fakeredis, Valkey and Redis: judged where events are appended, each share alone."""

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from shared.crypto.transit import Transit
from shared.errors import TooManyRequests, Unavailable
from shared.events.event import Event
from shared.inbox.inbox import Inbox
from shared.inbox.publish_script import FULL, FULL_SECONDS, PUBLISH, Limits
from shared.inbox.redis_keys import inbox_key, pace_key, wake_key
from tests.contract.ledgers import Together
from tests.given import NOTEBOOK, SHOES, ada, sam, through

SLOW = Limits(per_second=1, burst=10)  # so slow that no test is in time for another event
Publish = Callable[..., list[int]]


@pytest.fixture
def box(queue: "Redis", transit: Transit) -> Callable[[Limits], Inbox]:
    """An inbox with limits."""
    return lambda limits: Inbox(queue, transit, limits=limits)


@pytest.fixture
def publish(queue: "Redis") -> Publish:
    """What the script answers to shares of (caller, number of events), published together."""

    def script(limits: Limits, *shares: tuple[str, int]) -> list[int]:
        sealed = [(pace_key(0, who), [b"%s %d" % (who.encode(), n) for n in range(count)])
                  for who, count in shares]  # fmt: skip
        paces, told = limits.arguments(sealed)
        keys = inbox_key(0), wake_key(0), *paces
        answer = queue.eval(PUBLISH, len(keys), *keys, 30, *told)
        assert isinstance(answer, list)
        return answer

    return script


def waiting(queue: "Redis") -> list[str]:
    """Whose events rest in the stream, and which, in order."""
    found: Any = queue.xrange(inbox_key(0))
    return [fields[b"e"].decode() for _, fields in found]


def paces(queue: "Redis") -> list[bytes]:
    """The keys that hold callers back."""
    found: Any = queue.keys("firsthand:*:pace:*")
    return sorted(found)


def seconds_pass(queue: "Redis", seconds: int) -> None:
    """What time does to every caller's pace."""
    for key in paces(queue):
        queue.decrby(key, seconds * 1_000_000)


# Each caller.


def test_each_share_of_a_common_publish_is_judged_alone(queue: "Redis", publish: Publish) -> None:
    told = publish(SLOW, ("a", 4), ("b", 2), ("a", 7), ("a", 1), ("b", 1), ("c", 1))
    assert told[0] == 1
    assert [wait > 0 for wait in told[1:]] == [False, False, False, True, False, False]
    assert waiting(queue) == [f"a {n}" for n in range(4)] + ["b 0", "b 1"] + [
        f"a {n}" for n in range(7)
    ] + ["b 0", "c 0"]


def test_whoever_is_refused_first_still_rings_for_the_others(
    queue: "Redis", publish: Publish
) -> None:
    publish(SLOW, ("a", 10))
    queue.delete(wake_key(0))
    woken, first, second = publish(SLOW, ("a", 1), ("b", 1))
    assert (woken, first > 0, second) == (1, True, 0)


@pytest.mark.parametrize(
    ("limits", "brought", "waits"),
    [
        (Limits(per_second=1, burst=10), 10, 1_000),
        (Limits(per_second=3, burst=10), 10, 334),
        (Limits(per_second=1, burst=10), 15, 6_000),
        (Limits(per_second=1_000, burst=1), 60_000, 60_000),
        (Limits(per_second=1_000_000, burst=1), 100_000, 100),
    ],
)
def test_a_caller_waits_until_the_burst_has_room_for_one_more(
    publish: Publish, limits: Limits, brought: int, waits: int
) -> None:
    """In milliseconds: one more than the burst is through at the caller's pace."""
    told = publish(limits, ("a", brought), ("a", 1))
    assert told[1:] == [0, waits], "one script has one moment"


def test_a_refusal_costs_nothing_and_time_makes_room(queue: "Redis", publish: Publish) -> None:
    publish(SLOW, ("a", 12))
    waits = [publish(SLOW, ("a", 1))[1] for _ in range(50)]
    assert all(0 < wait <= 3_000 for wait in waits)
    seconds_pass(queue, 3)
    first, second = publish(SLOW, ("a", 1), ("a", 1))[1:]
    assert (first, 0 < second <= 1_000) == (0, True)


def test_a_batch_larger_than_the_burst_is_taken_and_its_caller_pauses_the_longer(
    queue: "Redis", publish: Publish
) -> None:
    assert publish(SLOW, ("a", 1_000))[1] == 0
    (again,) = publish(SLOW, ("a", 1))[1:]
    assert 900_000 < again <= 991_000
    assert len(waiting(queue)) == 1_000


def test_what_holds_a_caller_back_expires_when_it_is_past(queue: "Redis", publish: Publish) -> None:
    publish(SLOW, ("a", 5))
    (key,) = paces(queue)
    assert 0 < queue.pttl(key) <= 5_000
    before = int(queue.get(key) or 0)
    publish(SLOW, ("a", 1))
    assert int(queue.get(key) or 0) == before + 1_000_000, "microseconds, and none of them lost"


def test_a_callers_pace_is_its_own(box: Callable[[Limits], Inbox], queue: "Redis") -> None:
    inbox = box(SLOW)
    inbox.publish(0, [ada.states(f"w{n}") for n in range(10)])
    with pytest.raises(TooManyRequests) as caught:
        inbox.publish(0, [ada.states()])
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 2
    assert inbox.length(0) == 10
    inbox.publish(0, [sam.states()])
    inbox.publish(0, [through(SHOES, ada.states())])
    inbox.publish(1, [ada.states()])
    assert (inbox.length(0), inbox.length(1)) == (12, 1)
    assert len(paces(queue)) == 4


def test_a_key_tells_nobody_who_posts(box: Callable[[Limits], Inbox], queue: "Redis") -> None:
    box(SLOW).publish(0, [ada.states()])
    (key,) = paces(queue)
    for name in (ada.states().author, "ada", NOTEBOOK):
        assert name.encode() not in key
    box(SLOW).publish(0, [ada.states()])
    assert paces(queue) == [key]


def test_without_limits_nothing_is_counted(box: Callable[[Limits], Inbox], queue: "Redis") -> None:
    inbox = box(Limits())
    inbox.publish(0, [ada.states(f"w{n}") for n in range(50)])
    assert inbox.length(0) == 50
    assert paces(queue) == []


def test_threads_that_publish_together_are_limited_one_by_one(
    box: Callable[[Limits], Inbox],
) -> None:
    inbox = box(Limits(per_second=1, burst=20))
    refused: list[str] = []

    def post(events: list[Event]) -> None:
        for each in events:
            try:
                inbox.publish(0, [each])
            except TooManyRequests:
                refused.append(each.author)

    greedy = [ada.states(f"a{n}") for n in range(60)]
    modest = [[through(f"service:s{number}", sam.states(f"s{n}")) for n in range(15)]
              for number in range(4)]  # fmt: skip
    with Together(*(lambda events=events: post(events) for events in [greedy, *modest])):
        pass
    assert set(refused) == {ada.states().author}
    assert len(refused) <= 40, "the burst, and what time let through"
    assert inbox.length(0) == 60 - len(refused) + 60


# The partition.


def test_a_full_stream_takes_nothing_until_it_is_drained(box: Callable[[Limits], Inbox]) -> None:
    inbox = box(Limits(messages=3))
    inbox.publish(0, [ada.states(), ada.states()])
    inbox.publish(0, [ada.states(), ada.states()])  # whole, since there was room for one
    with pytest.raises(Unavailable, match="wait to be recorded") as caught:
        inbox.publish(0, [sam.states()])
    assert caught.value.headers == {"Retry-After": str(FULL_SECONDS)}
    assert inbox.length(0) == 4
    inbox.publish(1, [ada.states()])
    inbox.acknowledge(0, [place for place, _ in inbox.peek(0, 2)[0]], [], None)
    inbox.publish(0, [sam.states()])
    assert inbox.length(0) == 3


def test_the_room_that_one_share_takes_the_next_does_not_have(publish: Publish) -> None:
    limits = Limits(per_second=1, burst=10, messages=5)
    assert publish(limits, ("a", 3), ("b", 2), ("c", 1), ("a", 1))[1:] == [0, 0, FULL, FULL]


def test_a_full_stream_uses_up_nobodys_pace(queue: "Redis", publish: Publish) -> None:
    limits = Limits(per_second=1, burst=10, messages=1)
    publish(limits, ("a", 1))
    before = queue.get(pace_key(0, "a"))
    assert publish(limits, ("a", 9), ("b", 9))[1:] == [FULL, FULL]
    assert queue.get(pace_key(0, "a")) == before
    assert not queue.exists(pace_key(0, "b"))
