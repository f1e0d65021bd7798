"""Reading posted bodies, which come as slowly as their senders like.

The server has no time-out for a body, and a thread that reads one cannot be called back. So a few
are read where the request is answered, two of one caller at most. While those come slowly, others
are read on threads of their own, and have 10 seconds; who lets two of these lie is read no more
until they are over. A sender can keep its own threads, and not everybody's.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from shared.problems import Unavailable

PATIENCE = 10.0  # seconds that a body has, where others are slow already
BUSY = 1.0  # seconds that a request waits for its turn
OWN = 2  # bodies of one caller that are read at once where they are answered, or lie unread
MOST_UNREAD = 128  # of all callers


class Bodies:
    """Reads bodies for all threads of an intake that has so many."""

    def __init__(self, threads: int, patience: float = PATIENCE) -> None:
        self._room = max(1, threads // 4)
        self._patience = patience
        self._here: Counter[str] = Counter()  # by caller: read where they are answered
        self._unread: Counter[str] = Counter()  # by caller: given up, and still read
        self._lock = threading.Lock()
        self._aside = threading.Semaphore(self._room)

    def read(self, caller: str, body: Callable[[], bytes]) -> bytes:
        """What `body` reads. Unavailable if it does not come, or too many others do not."""
        with self._lock:
            here = self._here.total() < self._room and self._here[caller] < OWN
            if here:
                self._here[caller] += 1
        if not here:
            return self._read_aside(caller, body)
        try:
            return body()
        finally:
            self._less(self._here, caller)

    def _read_aside(self, caller: str, body: Callable[[], bytes]) -> bytes:
        if self._unread[caller] >= OWN or self._unread.total() >= MOST_UNREAD:
            raise Unavailable("Bodies that were posted before have not come to their end.")
        if not self._aside.acquire(timeout=BUSY):
            raise Unavailable("Too many slow bodies at once.")
        coming: Future[bytes] = Future()
        try:
            threading.Thread(target=_read, args=(coming, body), daemon=True).start()
            return coming.result(self._patience)
        except TimeoutError:
            with self._lock:
                self._unread[caller] += 1
            coming.add_done_callback(lambda _: self._less(self._unread, caller))
            raise Unavailable(f"The body did not come within {self._patience:g} s.") from None
        finally:
            self._aside.release()

    def _less(self, counter: Counter[str], caller: str) -> None:
        with self._lock:
            counter[caller] -= 1
            if not counter[caller]:
                del counter[caller]


def _read(coming: Future[bytes], body: Callable[[], bytes]) -> None:
    try:
        coming.set_result(body())
    except BaseException as fault:  # noqa: BLE001 - raised where it is waited for
        coming.set_exception(fault)
