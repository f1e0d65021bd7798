"""What one caller may use of the read service: places, and seconds of work."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from services.ledger.api.caller_limits import (
    BURST,
    COSTLY_PER_CALLER,
    FREE,
    HALF,
    PACE,
    PER_CALLER,
    CallerLimits,
    ConcurrencyLimit,
    WorkBudget,
)
from shared.errors import TooManyRequests, Unavailable

ADA, EVE = "person:ada", "person:eve"
Block = Callable[[str], AbstractContextManager[object]]


class Clock:
    """Time and work, as the test says."""

    def __init__(self) -> None:
        self.now = self.work = 0.0


def held(stack: ExitStack, *blocks: AbstractContextManager[object]) -> None:
    for each in blocks:
        stack.enter_context(each)


def test_a_caller_has_so_many_places_and_another_has_theirs() -> None:
    places = ConcurrencyLimit(2, 3)
    with ExitStack() as stack:
        held(stack, places.take(ADA), places.take(ADA))
        with pytest.raises(TooManyRequests, match="2 such requests"), places.take(ADA):
            pass
        held(stack, places.take(EVE))
        with pytest.raises(Unavailable), places.take("person:joe"):
            pass
    with ExitStack() as stack:  # all of them were given back, also by those who were refused
        held(stack, places.take(ADA), places.take(ADA), places.take(EVE))


def test_a_place_is_given_back_whatever_happens() -> None:
    places = ConcurrencyLimit(1, 1)
    for _ in range(3):
        with pytest.raises(KeyError), places.take(ADA):
            raise KeyError
    with places.take(ADA):
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work(clock: Clock) -> WorkBudget:
    return WorkBudget(0.5, 2.0, clock=lambda: clock.now, worked=lambda: clock.work)


def fail_after(clock: Clock, seconds: float) -> None:
    clock.work += seconds
    raise RuntimeError


def spend(work: WorkBudget, clock: Clock, seconds: float, caller: str = ADA) -> None:
    with work.count(caller):
        clock.work += seconds


def test_work_is_taken_from_a_bucket_that_fills_again(work: WorkBudget, clock: Clock) -> None:
    spend(work, clock, 1.0)
    spend(work, clock, 3.0)  # begun with work left: it overdraws by 2 s
    with pytest.raises(TooManyRequests) as caught:
        spend(work, clock, 0.0)
    assert caught.value.headers["Retry-After"] == "4"
    spend(work, clock, 1.0, EVE)
    clock.now += 3.9
    with pytest.raises(TooManyRequests):
        spend(work, clock, 0.0)
    clock.now += 0.1
    spend(work, clock, 0.1)
    clock.now += 1000  # no more than the burst is saved up
    spend(work, clock, 2.5)
    with pytest.raises(TooManyRequests):
        spend(work, clock, 0.0)


def test_work_that_fails_is_counted_too(work: WorkBudget, clock: Clock) -> None:
    with pytest.raises(RuntimeError), work.count(ADA):
        fail_after(clock, 3.0)
    with pytest.raises(TooManyRequests):
        spend(work, clock, 0.0)


def test_a_small_plan_is_never_counted_and_a_large_one_is(clock: Clock) -> None:
    work = WorkBudget(0.5, 2.0, free=FREE, clock=lambda: clock.now, worked=lambda: clock.work)
    for _ in range(10_000):
        spend(work, clock, FREE)
    for _ in range(3):
        spend(work, clock, 1.0)
    with pytest.raises(TooManyRequests):
        spend(work, clock, 0.0)


def test_a_pace_of_nothing_is_no_limit(clock: Clock) -> None:
    work = WorkBudget(0.0, 0.0, clock=lambda: clock.now, worked=lambda: clock.work)
    for _ in range(100):
        spend(work, clock, 100.0)


def test_callers_whose_work_is_paid_off_are_not_remembered(work: WorkBudget, clock: Clock) -> None:
    for number in range(30_000):
        spend(work, clock, 0.5, f"person:{number}")
        clock.now += 1.0
    assert len(work) < 20_000


@pytest.mark.parametrize(
    ("kind", "most"), [("cheap", PER_CALLER), ("plan", PER_CALLER), ("costly", COSTLY_PER_CALLER)]
)
def test_a_caller_has_a_share_of_each_kind(kind: str, most: int) -> None:
    take: Block = getattr(CallerLimits(), kind)
    with ExitStack() as stack:
        held(stack, *(take(ADA) for _ in range(most)))
        with pytest.raises(TooManyRequests), take(ADA):
            pass
        held(stack, take(EVE))


def test_what_is_costly_never_holds_all_threads() -> None:
    shares = CallerLimits(PACE, BURST)
    with ExitStack() as stack:
        held(stack, *(shares.costly(f"person:{number}") for number in range(HALF)))
        with pytest.raises(Unavailable), shares.costly("person:last"):
            pass
        held(stack, *(shares.log() for _ in range(HALF)))
        with pytest.raises(Unavailable), shares.log():
            pass
        held(stack, shares.plan("person:last"), shares.cheap("person:last"))
