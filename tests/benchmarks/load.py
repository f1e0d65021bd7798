"""A load generator: HTTP/1.1 on kept-alive connections, one thread, requests built beforehand.

Closed loop (`rate=None`): every connection sends its next request as soon as it has an answer; this
measures throughput. Open loop (`rate=500`): request n is due at n/500 s, whether or not the server
keeps up. Its latency counts from that time, so that a stall also delays the requests behind it.

    run(("127.0.0.1", 8081), [request("/events", body, token) for body in bodies]).rate

Linux only (epoll). It sends to one address and stops when every request is answered.
"""

import collections
import dataclasses
import select
import socket
import time
from collections.abc import Mapping, Sequence

Address = tuple[str, int]
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
SILENCE = 30.0  # seconds without any answer until we give up


class LoadError(RuntimeError):
    """The server closed the connection, fell silent, or sent an answer that cannot be parsed."""


@dataclasses.dataclass(frozen=True)
class Result:
    """The answers: the count of each status, the duration, and each request's latency."""

    statuses: Mapping[int, int]
    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Return answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Return the milliseconds within which that share of requests was answered."""
        return percentile(self.latencies, percent) * 1000

    def only(self, status: int) -> "Result":
        """Return self if every answer had this status; raise LoadError otherwise."""
        if set(self.statuses) != {status}:
            raise LoadError(f"expected nothing but {status}, got {dict(self.statuses)}")
        return self


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def request(
    path: str, body: bytes, token: str, kind: str = "application/cloudevents+json"
) -> bytes:
    """Return one POST, ready to be sent."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One kept-alive connection with at most one request in flight."""

    __slots__ = ("received", "since", "socket")

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=SILENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.since = 0.0

    def send(self, message: bytes, since: float) -> None:
        """Send all of it; a request is far smaller than the socket's buffer."""
        self.since = since
        self.socket.sendall(message)

    def answer(self) -> int | None:
        """Read what has arrived; return the status if the answer is complete, else None."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise LoadError("the server closed a connection that was in use")
        self.received = received = self.received + chunk if self.received else chunk
        head_end = received.find(HEAD_END)
        if head_end < 0:
            return None
        if len(received) < head_end + len(HEAD_END) + content_length(received[:head_end]):
            return None
        self.received = b""
        return int(received[9:12])


def content_length(head: bytes) -> int:
    """Return the body's length from the head; chunked answers are not supported."""
    lower = head.lower()
    at = lower.find(LENGTH)
    if at < 0:
        raise LoadError(f"an answer without Content-Length:\n{head.decode(errors='replace')}")
    end = lower.find(b"\r\n", at)
    return int(lower[at + len(LENGTH) : end if end >= 0 else None])


def run(
    address: Address,
    requests: Sequence[bytes],
    *,
    connections: int = 16,
    rate: float | None = None,
) -> Result:
    """Send every request once and wait for all answers."""
    opened = [Connection(address) for _ in range(connections)]
    try:
        return _Run(opened, requests, rate).result()
    finally:
        for connection in opened:
            connection.socket.close()


class _Run:
    """The state of one run: idle connections, sent requests, answers."""

    def __init__(
        self, opened: Sequence[Connection], requests: Sequence[bytes], rate: float | None
    ) -> None:
        self.requests = requests
        self.interval = 1 / rate if rate else 0.0
        self.idle = list(opened)
        self.busy = {connection.socket.fileno(): connection for connection in opened}
        self.sent = 0
        self.statuses: collections.Counter[int] = collections.Counter()
        self.latencies: list[float] = []

    def result(self) -> Result:
        """Run to the end."""
        with select.epoll() as poll:
            for fd in self.busy:
                poll.register(fd, select.EPOLLIN)
            self.start = time.perf_counter()
            while len(self.latencies) < len(self.requests):
                self._send_what_is_due()
                if not select.select([poll], [], [], self._pause())[0]:
                    self._check_silence()
                for fd, _ in poll.poll(0):
                    self._receive(self.busy[fd])
        return Result(self.statuses, time.perf_counter() - self.start, self.latencies)

    def _due(self) -> float:
        return self.start + self.sent * self.interval

    def _send_what_is_due(self) -> None:
        now = time.perf_counter()
        while self.idle and self.sent < len(self.requests) and (due := self._due()) <= now:
            self.idle.pop().send(self.requests[self.sent], due if self.interval else now)
            self.sent += 1

    def _pause(self) -> float:
        """Return how long to wait; select is precise to the microsecond, epoll is not."""
        if self.idle and self.sent < len(self.requests):
            return max(0.0, self._due() - time.perf_counter())
        return SILENCE

    def _receive(self, connection: Connection) -> None:
        status = connection.answer()
        if status is not None:
            self.latencies.append(time.perf_counter() - connection.since)
            self.statuses[status] += 1
            self.idle.append(connection)

    def _check_silence(self) -> None:
        if not self.idle or self.sent == len(self.requests):
            raise LoadError(f"no answer for {SILENCE:g} s; so far {dict(self.statuses)}")
