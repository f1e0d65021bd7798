"""Request bodies: read on the event loop, with limits on time, bytes, and bodies per caller.

A body is read before its request gets a thread. So a slow client occupies a connection and the
memory for its data, but no thread.

| limit | applies to | beyond it |
| --- | --- | --- |
| `longest` bytes | a body | 413, after up to 1 MiB more was read and dropped |
| 10 s in total | a body | 503, and the connection is closed |
| 32 | incomplete bodies of one caller | 503 at once |
| 1,024, and 64 MiB | all incomplete bodies | 503 for a body of the caller with the most |

The last limit is fair: a caller that sends little is never evicted for one that sends much.
Everything here runs on the event loop's thread, so it needs no locks.
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass

from shared.errors import MalformedBody, TooLarge, Unavailable

SECONDS = 10.0  # in total for a body
MAX_PER_CALLER = 32  # incomplete bodies
MAX_BODIES = 1_024  # incomplete bodies of all callers
MAX_BYTES = 64 * 1024 * 1024  # of all incomplete bodies
MAX_DRAINED_BYTES = 1024 * 1024  # of a body that is too long, so that the client gets its 413


@dataclass(slots=True, eq=False)
class _IncompleteBody:
    """A body that is being read."""

    caller: str
    deadline: asyncio.Timeout
    size: int = 0


class Bodies:
    """Reads bodies, and enforces the limits on incomplete ones."""

    def __init__(
        self,
        seconds: float = SECONDS,
        max_per_caller: int = MAX_PER_CALLER,
        max_bodies: int = MAX_BODIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._seconds = seconds
        self._max_per_caller = max_per_caller
        self._max_bodies = max_bodies
        self._max_bytes = max_bytes
        self._incomplete: dict[str, list[_IncompleteBody]] = {}
        self._count = 0
        self._bytes = 0

    async def read(
        self, body: AsyncIterable[bytes], caller: str, longest: int, length: int | None
    ) -> bytes:
        """Read the whole body. `length` is its Content-Length, None if it is sent in chunks.

        Raises TooLarge, Unavailable, or MalformedBody if it ends before its length.
        """
        if length is not None and length > longest + MAX_DRAINED_BYTES:
            raise too_large(longest)
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                incomplete = self._enter(caller, deadline)
                try:
                    return await self._collect(incomplete, body, longest, length)
                finally:
                    self._leave(incomplete)
        except TimeoutError:
            raise Unavailable(
                f"The body was not received within {self._seconds:g} s, "
                "or there are too many other incomplete bodies."
            ) from None

    async def _collect(
        self,
        incomplete: _IncompleteBody,
        body: AsyncIterable[bytes],
        longest: int,
        length: int | None,
    ) -> bytes:
        parts: list[bytes] = []
        read = 0
        async for chunk in body:
            read += len(chunk)
            if read <= longest:
                parts.append(chunk)
                self._add_bytes(incomplete, len(chunk))
            if read == length or read > longest + MAX_DRAINED_BYTES:
                break
        if read > longest:
            raise too_large(longest)
        if read < (length or 0):
            raise MalformedBody("The body ended before its Content-Length.")
        return b"".join(parts)

    def _add_bytes(self, incomplete: _IncompleteBody, size: int) -> None:
        """Count received bytes; evict a body if there are too many in total."""
        incomplete.size += size
        self._bytes += size
        if self._bytes > self._max_bytes:
            self._evict(lambda bodies: sum(body.size for body in bodies))

    def _enter(self, caller: str, deadline: asyncio.Timeout) -> _IncompleteBody:
        """Register a body of a caller; Unavailable if the caller has too many."""
        bodies = self._incomplete.setdefault(caller, [])
        if len(bodies) >= self._max_per_caller:
            raise Unavailable("This caller has too many incomplete bodies.")
        incomplete = _IncompleteBody(caller, deadline)
        bodies.append(incomplete)
        self._count += 1
        if self._count > self._max_bodies:
            self._evict(len)
        return incomplete

    def _leave(self, incomplete: _IncompleteBody) -> None:
        """Unregister a body. Idempotent."""
        bodies = self._incomplete.get(incomplete.caller, [])
        if incomplete in bodies:
            bodies.remove(incomplete)
            self._count -= 1
        if not bodies:
            self._incomplete.pop(incomplete.caller, None)
        self._bytes -= incomplete.size
        incomplete.size = 0

    def _evict(self, size: Callable[[list[_IncompleteBody]], int]) -> None:
        """Time out the largest body of the caller that has the most by `size`."""
        caller = max(self._incomplete, key=lambda name: size(self._incomplete[name]))
        evicted = max(self._incomplete[caller], key=lambda body: body.size)
        self._leave(evicted)
        if not evicted.deadline.expired():
            evicted.deadline.reschedule(asyncio.get_running_loop().time())


def too_large(longest: int) -> TooLarge:
    """Return the error for a body that is too long."""
    return TooLarge(f"The body exceeds {longest} bytes, the maximum for this content mode.")
