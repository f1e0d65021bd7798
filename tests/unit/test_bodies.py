"""Slow bodies: one caller's hold up nobody else, and no caller's hold up everybody for long."""

import threading
from collections.abc import Callable, Iterator

import pytest

from services.intake.bodies import MOST_UNREAD, Bodies
from shared.problems import TooLarge, Unavailable
from tests.process import wait_until

SOON = 0.05  # seconds


class Stalled:
    """Senders that stop, until they are told to go on."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.go = threading.Event()
        self.said: list[str] = []
        self.threads: list[threading.Thread] = []
        self.begun = 0

    def post(self, caller: str, times: int = 1) -> None:
        for _ in range(times):
            self.threads.append(threading.Thread(target=self._post, args=(caller,)))
            self.threads[-1].start()

    def _post(self, caller: str) -> None:
        def body() -> bytes:
            self.begun += 1
            assert self.go.wait(30)
            return b"late"

        try:
            self.said.append(self.bodies.read(caller, body).decode())
        except Unavailable as fault:
            self.said.append(fault.detail)

    def until(self, said: int = 0, begun: int = 0) -> None:
        wait_until(lambda: len(self.said) >= said and self.begun >= begun, "the senders to stall")

    def end(self) -> None:
        self.go.set()
        for each in self.threads:
            each.join(30)


@pytest.fixture
def stalled() -> Iterator[Stalled]:
    """Over an intake of 32 threads with little patience."""
    made = Stalled(Bodies(32, patience=SOON))
    yield made
    made.end()


def body(said: bytes = b"here") -> Callable[[], bytes]:
    return lambda: said


def is_read(bodies: Bodies, caller: str) -> bool:
    try:
        return bodies.read(caller, body()) == b"here"
    except Unavailable:
        return False


def test_slow_bodies_keep_half_the_threads_at_most() -> None:
    for threads in range(4, 65):
        bodies = Bodies(threads)
        assert bodies.here + bodies.aside <= max(2, threads // 2)
        assert 1 <= bodies.own <= bodies.aside


def test_stalled_bodies_of_one_caller_stop_no_other(stalled: Stalled) -> None:
    """Also while they are still waited for: one caller does not take all places aside."""
    bodies = stalled.bodies = Bodies(32, patience=30)
    stalled.post("person:mallory", bodies.here + bodies.aside)
    stalled.until(begun=bodies.here + bodies.own)
    for _ in range(5):
        assert bodies.read("person:ada", body()) == b"here"
    stalled.until(said=bodies.aside - bodies.own)
    assert set(stalled.said) == {"Too many slow bodies at once."}
    stalled.end()
    assert stalled.said.count("late") == bodies.here + bodies.own


def test_who_lets_bodies_lie_unread_is_heard_again_when_they_are_over(stalled: Stalled) -> None:
    bodies = stalled.bodies
    stalled.post("person:mallory", bodies.here)
    stalled.until(begun=bodies.here)
    stalled.post("person:mallory", bodies.own)
    stalled.until(said=bodies.own)
    assert set(stalled.said) == {"The body did not come within 0.05 s."}
    with pytest.raises(Unavailable, match="posted before"):
        bodies.read("person:mallory", body())
    assert bodies.read("person:ada", body()) == b"here"
    stalled.end()
    wait_until(lambda: is_read(bodies, "person:mallory"), "all to be over")


def test_many_callers_that_stall_are_given_up_and_others_are_heard(stalled: Stalled) -> None:
    bodies = stalled.bodies
    for number in range(bodies.here + bodies.aside):
        stalled.post(f"person:m{number}")
    stalled.until(said=bodies.aside)
    assert set(stalled.said) == {"The body did not come within 0.05 s."}
    assert bodies.read("person:ada", body()) == b"here"


def test_what_lies_unread_is_bounded(stalled: Stalled) -> None:
    bodies = stalled.bodies = Bodies(32, patience=0)
    for number in range(bodies.here + MOST_UNREAD):
        stalled.post(f"person:m{number}")
        stalled.until(begun=number + 1)
    stalled.until(said=MOST_UNREAD)
    with pytest.raises(Unavailable, match="posted before"):
        bodies.read("person:ada", body())


@pytest.mark.parametrize("busy", [False, True])
def test_a_fault_of_a_body_is_told_wherever_it_is_read(stalled: Stalled, busy: bool) -> None:
    def long() -> bytes:
        raise TooLarge("too long")

    for number in range(stalled.bodies.here if busy else 0):
        stalled.post(f"person:m{number}")
    stalled.until(begun=stalled.bodies.here if busy else 0)
    with pytest.raises(TooLarge):
        stalled.bodies.read("person:ada", long)
