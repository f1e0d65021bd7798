"""Reading posted bodies, which come as slowly as their senders like.

The server has no time-out for a body, and a thread that reads one cannot be called back. So bodies
are read where they are answered, by some of the threads only. While all of these wait for slow
senders, further bodies are read on threads of their own: a few at a time, fewer of one caller, for
10 seconds each. Whose bodies then still lie unread is heard again when they are over. A sender can
keep threads that answer nobody; the others go on.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from shared.problems import Unavailable

SOON = 0.05  # seconds in which one of many bodies that are there is read
BUSY = 1.0  # seconds that a request waits for its turn among slow ones
PATIENCE = 10.0  # seconds that a body has, where others are slow already
MOST_UNREAD = 128  # bodies, of all callers


class Bodies:
    """Reads bodies for an intake of so many threads; half of them, at most, wait for one."""

    def __init__(self, threads: int, patience: float = PATIENCE) -> None:
        self.aside = max(1, threads // 8)
        self.own = max(1, self.aside // 2)  # of one caller
        self.here = max(1, threads // 2 - self.aside)
        self._patience = patience
        self._here = threading.Semaphore(self.here)
        self._turn = threading.Condition()
        self._reading = Counter[str]()  # aside, by caller
        self._unread = Counter[str]()  # given up, by caller; the sender may still end them

    def read(self, caller: str, body: Callable[[], bytes]) -> bytes:
        """What `body` reads. Unavailable if it does not come, or too many others do not."""
        if not self._here.acquire(timeout=SOON):
            return self._read_aside(caller, body)
        try:
            return body()
        finally:
            self._here.release()

    def _read_aside(self, caller: str, body: Callable[[], bytes]) -> bytes:
        coming: Future[bytes] = Future()
        self._begin(caller)
        try:
            threading.Thread(target=_read, args=(coming, body), daemon=True).start()
            return coming.result(self._patience)
        except TimeoutError:
            with self._turn:
                self._unread[caller] += 1
            coming.add_done_callback(lambda _: self._less(self._unread, caller))
            raise Unavailable(f"The body did not come within {self._patience:g} s.") from None
        finally:
            self._less(self._reading, caller)

    def _begin(self, caller: str) -> None:
        """Wait for a place; not at all if earlier bodies lie unread."""
        with self._turn:
            if self._unread[caller] >= self.own or self._unread.total() >= MOST_UNREAD:
                raise Unavailable("Bodies that were posted before have not come to their end.")
            if not self._turn.wait_for(lambda: self._has_room(caller), BUSY):
                raise Unavailable("Too many slow bodies at once.")
            self._reading[caller] += 1

    def _has_room(self, caller: str) -> bool:
        own = self._reading[caller] + self._unread[caller]
        return own < self.own and self._reading.total() < self.aside

    def _less(self, counter: Counter[str], caller: str) -> None:
        with self._turn:
            counter[caller] -= 1
            if not counter[caller]:
                del counter[caller]
            self._turn.notify_all()


def _read(coming: Future[bytes], body: Callable[[], bytes]) -> None:
    try:
        coming.set_result(body())
    except BaseException as fault:  # noqa: BLE001 - raised where it is waited for
        coming.set_exception(fault)
