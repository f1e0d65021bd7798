"""How much of the read service one caller may use: requests at once, and seconds of work.

One process answers everybody, so a caller who keeps it busy keeps it from others. A caller who asks
for more than their share is refused at once, with 429 and a Retry-After, before the store is
asked. The limits are per process: two read services are twice as much.

**At once.** A caller has at most 4 requests under way, 2 of them for what takes long. What takes
long holds at most half of the 16 threads, for all callers together; so do readers of the logs, who
name nobody. Beyond that it is 503.

**Work.** Seconds of the processor are counted by a token bucket per caller (GCRA, as in
shared/inbox/publish_script.py): `pace` seconds of work a second, `burst` seconds at once. They are
counted after the request, so one may overdraw the bucket; its caller then waits the longer. Time
that a request waits for a lock, the database or other requests is not counted. What is cheap is not
counted, and never refused for what is costly. A pace of 0 is no limit.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import ceil
from threading import Lock

from shared.errors import TooManyRequests, Unavailable

EACH, EACH_COSTLY = 4, 2  # requests of one caller under way
HALF = 8  # of the server's 16 threads
PACE, BURST = 0.1, 5.0  # seconds of work a second, and at once
FREE = 0.02  # seconds of a plan as it is now that count as nothing: plans are small
MOST_CALLERS = 10_000  # that are remembered before those whose work is paid off are dropped
NOBODY = ""  # a reader of the logs


class ConcurrencyLimit:
    """Requests under way: at most `each` of one caller, and `total` of all."""

    def __init__(self, each: int, total: int) -> None:
        self._each, self._total = each, total
        self._taken = Counter[str]()
        self._lock = Lock()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Hold a place for the length of a block. TooFast or Unavailable if no place is free."""
        self._enter(caller)
        try:
            yield
        finally:
            self._leave(caller)

    def _enter(self, caller: str) -> None:
        with self._lock:
            if caller != NOBODY and self._taken[caller] >= self._each:
                raise TooManyRequests(
                    f"This caller has {self._each} such requests under way already."
                )
            if self._taken.total() >= self._total:
                raise Unavailable("Too many such requests are under way.")
            self._taken[caller] += 1

    def _leave(self, caller: str) -> None:
        with self._lock:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]


class WorkBudget:
    """Seconds of work by caller. Of each request the first `free` seconds are not counted."""

    def __init__(
        self,
        pace: float,
        burst: float,
        *,
        free: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self._pace, self._burst, self._free = pace, burst, free
        self._clock, self._worked = clock, worked
        self._due: dict[str, float] = {}  # when the work of a caller is paid off, at that pace
        self._lock = Lock()

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._due)

    @contextmanager
    def count(self, caller: str) -> Iterator[None]:
        """Count the work of a block. TooFast if the caller has used up more than there is."""
        if not self._pace:
            yield
            return
        wait = self._due.get(caller, 0.0) - self._clock() - self._burst / self._pace
        if wait > 0:
            raise TooManyRequests("This caller reads what takes long too often.", ceil(wait))
        began = self._worked()
        try:
            yield
        finally:
            self._add(caller, self._worked() - began - self._free)

    def _add(self, caller: str, seconds: float) -> None:
        if seconds <= 0:
            return
        now = self._clock()
        with self._lock:
            if len(self._due) >= MOST_CALLERS:
                self._due = {each: due for each, due in self._due.items() if due > now}
            self._due[caller] = max(self._due.get(caller, 0.0), now) + seconds / self._pace


class CallerLimits:
    """What one read service gives to each caller."""

    def __init__(self, pace: float = PACE, burst: float = BURST) -> None:
        self._each, self._costly = (
            ConcurrencyLimit(EACH, EACH * HALF),
            ConcurrencyLimit(EACH_COSTLY, HALF),
        )
        self._logs = ConcurrencyLimit(HALF, HALF)
        self._work, self._plans = WorkBudget(pace, burst), WorkBudget(pace, burst, free=FREE)

    def cheap(self, caller: str) -> AbstractContextManager[None]:
        """A look at one event: a place, and no more."""
        return self._each.take(caller)

    def plan(self, caller: str) -> AbstractContextManager[object]:
        """The plan as it is now: counted by itself, and only where it is a large one."""
        return _all(self._each.take(caller), self._plans.count(caller))

    def costly(self, caller: str) -> AbstractContextManager[object]:
        """What folds or tells many entries."""
        return _all(self._each.take(caller), self._costly.take(caller), self._work.count(caller))

    def log(self, caller: str = NOBODY) -> AbstractContextManager[None]:
        """A look at a log, which everybody may have."""
        return self._logs.take(caller)


@contextmanager
def _all(*blocks: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in blocks:
            stack.enter_context(each)
        yield
