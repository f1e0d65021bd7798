"""Slow bodies: one caller's hold up nobody else, and no caller's hold up everybody for long."""

import threading
from collections.abc import Callable, Iterator

import pytest

from services.intake.bodies import MOST_UNREAD, OWN, Bodies
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
    """Over an intake of 16 threads with little patience."""
    made = Stalled(Bodies(16, patience=SOON))
    yield made
    made.end()


def body(said: bytes = b"here") -> Callable[[], bytes]:
    return lambda: said


def is_read(bodies: Bodies, caller: str) -> bool:
    try:
        return bodies.read(caller, body()) == b"here"
    except Unavailable:
        return False


def test_a_body_that_is_there_is_read(stalled: Stalled) -> None:
    assert stalled.bodies.read("person:ada", body()) == b"here"


def test_eight_stalled_bodies_of_one_caller_stop_no_other(stalled: Stalled) -> None:
    stalled.post("person:mallory", 8)
    stalled.until(said=6, begun=OWN)
    for _ in range(20):
        assert stalled.bodies.read("person:ada", body()) == b"here"


def test_a_caller_keeps_two_of_the_quick_places_only(stalled: Stalled) -> None:
    stalled.bodies = Bodies(16, patience=30)
    stalled.post("person:mallory", 6)  # two where they are answered, four aside
    stalled.until(begun=6)
    assert stalled.bodies.read("person:ada", body()) == b"here"


def test_who_lets_two_bodies_lie_is_read_no_more_until_they_are_over(stalled: Stalled) -> None:
    stalled.post("person:mallory", OWN)
    stalled.until(begun=OWN)
    stalled.post("person:mallory", OWN)
    stalled.until(said=OWN)
    with pytest.raises(Unavailable, match="posted before"):
        stalled.bodies.read("person:mallory", body())
    stalled.end()
    wait_until(lambda: is_read(stalled.bodies, "person:mallory"), "all to be over")
    assert sorted(stalled.said)[-OWN:] == ["late"] * OWN


def test_many_callers_that_stall_are_given_up_and_others_are_heard(stalled: Stalled) -> None:
    for number in range(8):
        stalled.post(f"person:m{number}")
    stalled.until(said=4)
    assert set(stalled.said) == {"The body did not come within 0.05 s."}
    assert stalled.bodies.read("person:ada", body()) == b"here"


def test_what_lies_unread_is_bounded(stalled: Stalled) -> None:
    for number in range(MOST_UNREAD + 4):
        stalled.post(f"person:m{number}")
        stalled.until(begun=number + 1)
    stalled.until(said=MOST_UNREAD)
    with pytest.raises(Unavailable, match="posted before"):
        stalled.bodies.read("person:ada", body())


@pytest.mark.parametrize("busy", [0, 4])
def test_a_fault_of_a_body_is_told_wherever_it_is_read(stalled: Stalled, busy: int) -> None:
    def long() -> bytes:
        raise TooLarge("too long")

    for number in range(busy):
        stalled.post(f"person:m{number}")
    stalled.until(begun=busy)
    with pytest.raises(TooLarge):
        stalled.bodies.read("person:ada", long)
