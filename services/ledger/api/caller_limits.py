"""Limits per caller of the read API: concurrent requests, and processor time.

One process serves all callers, so that one busy caller could block the others. A caller over the
limit gets 429 with Retry-After at once, before the store is read. The limits are per process: two
read services allow twice as much.

**Concurrency.** A caller has at most 4 requests in progress, 2 of them costly. Costly requests use
at most half of the 16 threads, all callers together; so do anonymous readers of the logs. Beyond
that the response is 503.

**Work.** A token bucket per caller (GCRA, as in shared/inbox/publish_script.py) counts processor
time: `pace` seconds of work per second, `burst` seconds at once. Work is counted after the request,
so one request may overdraw the bucket; its caller then waits longer. Time spent waiting for a lock,
the database or other requests is not counted. Cheap requests are neither counted nor rejected for
costly ones. A pace of 0 disables the limit.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import ceil
from threading import Lock

from shared.errors import TooManyRequests, Unavailable

PER_CALLER, COSTLY_PER_CALLER = 4, 2  # concurrent requests of one caller
HALF = 8  # of the server's 16 threads
PACE, BURST = 0.1, 5.0  # seconds of work per second, and at once
FREE = 0.02  # seconds not counted for the current plan: most plans are small
MOST_CALLERS = 10_000  # tracked before those with a full budget are dropped
ANONYMOUS = ""  # a reader of the logs


class ConcurrencyLimit:
    """Requests in progress: at most `per_caller` of one caller, and `total` of all."""

    def __init__(self, per_caller: int, total: int) -> None:
        self._per_caller, self._total = per_caller, total
        self._taken = Counter[str]()
        self._lock = Lock()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Hold a slot within the block. Raises TooManyRequests or Unavailable if none is free."""
        self._enter(caller)
        try:
            yield
        finally:
            self._leave(caller)

    def _enter(self, caller: str) -> None:
        with self._lock:
            if caller != ANONYMOUS and self._taken[caller] >= self._per_caller:
                raise TooManyRequests(
                    f"This caller already has {self._per_caller} such requests in progress."
                )
            if self._taken.total() >= self._total:
                raise Unavailable("Too many such requests are in progress.")
            self._taken[caller] += 1

    def _leave(self, caller: str) -> None:
        with self._lock:
            self._taken[caller] -= 1
            if not self._taken[caller]:
                del self._taken[caller]


class WorkBudget:
    """Seconds of work by caller. The first `free` seconds of each request are not counted."""

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
        self._due: dict[str, float] = {}  # by caller: when the budget is full again
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of callers that are tracked."""
        return len(self._due)

    @contextmanager
    def count(self, caller: str) -> Iterator[None]:
        """Count the work of the block. Raises TooManyRequests if the caller's budget is used up."""
        if not self._pace:
            yield
            return
        wait = self._due.get(caller, 0.0) - self._clock() - self._burst / self._pace
        if wait > 0:
            raise TooManyRequests("This caller makes too many costly requests.", ceil(wait))
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
                self._due = {name: due for name, due in self._due.items() if due > now}
            self._due[caller] = max(self._due.get(caller, 0.0), now) + seconds / self._pace


class CallerLimits:
    """The limits that a read service applies to each caller."""

    def __init__(self, pace: float = PACE, burst: float = BURST) -> None:
        self._all, self._costly = (
            ConcurrencyLimit(PER_CALLER, PER_CALLER * HALF),
            ConcurrencyLimit(COSTLY_PER_CALLER, HALF),
        )
        self._logs = ConcurrencyLimit(HALF, HALF)
        self._work, self._plans = WorkBudget(pace, burst), WorkBudget(pace, burst, free=FREE)

    def cheap(self, caller: str) -> AbstractContextManager[None]:
        """Limit a read of one event: concurrency only."""
        return self._all.take(caller)

    def plan(self, caller: str) -> AbstractContextManager[object]:
        """Limit a read of the current plan: counted separately, and only if the plan is large."""
        return _all(self._all.take(caller), self._plans.count(caller))

    def costly(self, caller: str) -> AbstractContextManager[object]:
        """Limit a read that folds or formats many entries."""
        return _all(self._all.take(caller), self._costly.take(caller), self._work.count(caller))

    def log(self, caller: str = ANONYMOUS) -> AbstractContextManager[None]:
        """Limit a read of a log, which is public."""
        return self._logs.take(caller)


@contextmanager
def _all(*blocks: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield
