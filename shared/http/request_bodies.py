"""Read request bodies on the event loop: bounded in time, in bytes, and for each caller.

A body is read before a thread is given to its request, and nothing waits for it once that request
was answered. So a slow sender holds a connection and what it has sent so far, and no thread.

| bound | of | beyond it |
| --- | --- | --- |
| `longest` bytes | a body | 413, after up to 1 MiB more was read and dropped |
| 10 s in all | a body | 503, and the connection is closed |
| 32 | bodies of one caller, still coming | 503 at once |
| 1,024, and 64 MiB | all bodies, still coming | 503 for a body of the caller with the most |

The last line keeps a share for everybody: a caller who sends little never gives way to others who
send much. Everything here runs on the event loop's thread, so nothing is locked.
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass

from shared.errors import MalformedBody, TooLarge, Unavailable

SECONDS = 10.0  # that a body has in all
MOST_OF_ONE = 32  # bodies of one caller
MOST = 1_024  # bodies of all callers
MOST_BYTES = 64 * 1024 * 1024  # of all bodies that are still coming
MAX_DRAINED_BYTES = 1024 * 1024  # of a body that is too long, so that its sender hears why


@dataclass(slots=True, eq=False)
class _Coming:
    """A body that is being read."""

    caller: str
    deadline: asyncio.Timeout
    size: int = 0


class Bodies:
    """The bodies that are still coming, by caller."""

    def __init__(
        self,
        seconds: float = SECONDS,
        most_of_one: int = MOST_OF_ONE,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._seconds = seconds
        self._most_of_one = most_of_one
        self._most = most
        self._most_bytes = most_bytes
        self._coming: dict[str, list[_Coming]] = {}
        self._count = 0
        self._bytes = 0

    async def read(
        self, body: AsyncIterable[bytes], caller: str, longest: int, length: int | None
    ) -> bytes:
        """The whole body; `length` is its Content-Length, None if it comes in chunks.

        TooLarge, Unavailable, or Malformed if it ends before its length.
        """
        if length is not None and length > longest + MAX_DRAINED_BYTES:
            raise too_large(longest)
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                own = self._enter(caller, deadline)
                try:
                    return await self._collect(own, body, longest, length)
                finally:
                    self._leave(own)
        except TimeoutError:
            raise Unavailable(
                f"The body did not come within {self._seconds:g} s, or too many others are coming."
            ) from None

    async def _collect(
        self, own: _Coming, body: AsyncIterable[bytes], longest: int, length: int | None
    ) -> bytes:
        parts: list[bytes] = []
        read = 0
        async for chunk in body:
            read += len(chunk)
            if read <= longest:
                parts.append(chunk)
                self._hold(own, len(chunk))
            if read == length or read > longest + MAX_DRAINED_BYTES:
                break
        if read > longest:
            raise too_large(longest)
        if read < (length or 0):
            raise MalformedBody("The body ended before its Content-Length.")
        return b"".join(parts)

    def _hold(self, own: _Coming, size: int) -> None:
        """Count bytes that were read; somebody gives way if they are too many."""
        own.size += size
        self._bytes += size
        if self._bytes > self._most_bytes:
            self._give_way(lambda held: sum(each.size for each in held))

    def _enter(self, caller: str, deadline: asyncio.Timeout) -> _Coming:
        """Take a place among the caller's bodies; Unavailable if all are taken."""
        held = self._coming.setdefault(caller, [])
        if len(held) >= self._most_of_one:
            raise Unavailable("Too many bodies of this caller are still coming.")
        own = _Coming(caller, deadline)
        held.append(own)
        self._count += 1
        if self._count > self._most:
            self._give_way(len)
        return own

    def _leave(self, own: _Coming) -> None:
        """Give the place back, once."""
        held = self._coming.get(own.caller, [])
        if own in held:
            held.remove(own)
            self._count -= 1
        if not held:
            self._coming.pop(own.caller, None)
        self._bytes -= own.size
        own.size = 0

    def _give_way(self, size: Callable[[list[_Coming]], int]) -> None:
        """End the largest body of the caller that holds the most by `size`."""
        caller = max(self._coming, key=lambda each: size(self._coming[each]))
        ended = max(self._coming[caller], key=lambda each: each.size)
        self._leave(ended)
        if not ended.deadline.expired():
            ended.deadline.reschedule(asyncio.get_running_loop().time())


def too_large(longest: int) -> TooLarge:
    """That a body is too long."""
    return TooLarge(f"A body of this form has at most {longest} bytes.")
