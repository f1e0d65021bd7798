"""HTTP clients: one that posts and reads, one that floods, and one that measures as a bystander."""

import contextlib
import http.client
import itertools
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson

from tests.chaos.system import System

TIMEOUT = 10.0  # seconds for one answer
EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
LARGEST_BATCH = 3_900_000  # bytes; intake takes 4 MiB
Json = dict[str, Any]


def event(kind: str, subject: str, data: Json) -> Json:
    """Return a CloudEvent with a new id."""
    sent = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "urn:firsthand:attack"}
    return {**sent, "type": kind, "subject": subject, "data": data}


def started(subject: str) -> Json:
    """Return the first event of a plan."""
    return event("plan.started", subject, {"name_to_use": "Ada", "language": "en"})


def writes(subject: str, words: str) -> Json:
    """Return an event that replaces the same section of a plan each time."""
    return event("about-me.written", subject, {"section": "Food", "words": words})


@dataclass
class Client:
    """One caller on one kept-alive connection to each service; for one thread."""

    system: System
    author: str
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def ask(
        self, port: int | None, method: str, path: str, body: bytes = b"", **headers: Any
    ) -> tuple[int, bytes, float]:
        """Return status, body and `Retry-After`; status 0 if there was no answer."""
        assert port is not None
        if port not in self._connections:
            fresh = http.client.HTTPConnection("127.0.0.1", port, timeout=self.timeout)
            self._connections[port] = fresh
        connection = self._connections[port]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {self.system.token(self.author)}"
        try:
            connection.request(method, path, body or None, sent)
            with connection.getresponse() as answer:
                wait = float(answer.headers.get("Retry-After", 0))
                return answer.status, answer.read(), wait
        except (OSError, http.client.HTTPException):
            connection.close()
            del self._connections[port]
            return 0, b"", 0.0

    def get(self, path: str, **headers: Any) -> tuple[int, bytes]:
        """GET from the read API."""
        status, body, _ = self.ask(self.system.ledger.port, "GET", path, **headers)
        return status, body

    def post(self, sent: Json, wait: int = 0) -> tuple[int, bytes]:
        """Post one event to intake."""
        prefer: dict[str, Any] = {"Prefer": f"wait={wait}"} if wait else {}
        status, body, _ = self.ask(
            self.system.intake.port,
            "POST",
            "/events",
            orjson.dumps(sent),
            Content_Type=EVENT,
            **prefer,
        )
        return status, body

    def post_all(self, events: Sequence[Json], patience: float = 120.0) -> int:
        """Post all in batches, at intake's pace; return how many were acknowledged."""
        end, taken = time.monotonic() + patience, 0
        for batch in batches(events):
            body = orjson.dumps(batch)
            while time.monotonic() < end:
                port = self.system.intake.port
                status, _, wait = self.ask(port, "POST", "/events", body, Content_Type=BATCH)
                if status == 202:
                    taken += len(batch)
                    break
                if status not in (0, 429, 503):
                    break  # refused by shape or size: nothing was recorded
                time.sleep(min(max(wait, 0.1), 2.0))
        return taken

    def fate(self, sent: Json) -> Json | None:
        """Return the recorded event's state; None while it is not recorded."""
        status, body = self.get(f"/people/{sent['subject']}/events/{sent['id']}")
        recorded: Json | None = orjson.loads(body) if status == 200 else None
        return recorded

    def seconds_until_recorded(self, sent: Json, patience: float) -> float:
        """Post until acknowledged, then poll until recorded; at most `patience`."""
        began = time.monotonic()
        taken = False
        while (spent := time.monotonic() - began) < patience:
            taken = taken or self.post(sent)[0] == 202
            if taken and self.fate(sent) is not None:
                return spent
            time.sleep(0.05)
        return patience


def batches(events: Sequence[Json]) -> Iterator[list[Json]]:
    """Yield batches within intake's limits: at most 1,000 events and 4 MiB."""
    batch, size = list[Json](), 0
    for post in events:
        length = len(orjson.dumps(post)) + 1
        if batch and (len(batch) == 1_000 or size + length > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(post)
        size += length
    if batch:
        yield batch


@dataclass
class Bystander:
    """Repeats one action on its own thread, for as long as the block lasts.

    `seconds` holds the duration of every attempt, including failures; `gap` is the longest time
    without a success.
    """

    does: Callable[[], bool]
    every: float = 0.05
    seconds: list[float] = field(default_factory=list)
    served: int = 0
    failures: int = 0
    gap: float = 0.0
    lasted: float = 0.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._began = self._last = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(4 * TIMEOUT)
        self.lasted = time.monotonic() - self._began
        self.gap = max(self.gap, time.monotonic() - self._last)

    @property
    def rate(self) -> float:
        """Return successes a second."""
        return self.served / self.lasted if self.lasted else 0.0

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            success, now = self.does(), time.monotonic()
            self.seconds.append(now - began)
            if success:
                self.served += 1
                self.gap, self._last = max(self.gap, now - self._last), now
            else:
                self.failures += 1
            self._stop.wait(self.every)


def poster(client: Client) -> Callable[[], bool]:
    """Return a bystander's action: post an event about themselves."""
    words = itertools.count()
    return lambda: client.post(writes(client.author, f"Fish {next(words)}"))[0] == 202


def reader(client: Client) -> Callable[[], bool]:
    """Return a bystander's action: read their own plan."""
    return lambda: client.get(f"/people/{client.author}/plan")[0] == 200


@contextlib.contextmanager
def opened(port: int | None, count: int, *, window: int = 0) -> Iterator[list[socket.socket]]:
    """Open so many connections to a service; close them at the end.

    `window` is their receive buffer.
    """
    assert port is not None
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            if window:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            connection.settimeout(5)
            with contextlib.suppress(OSError):  # a full backlog: count the connection all the same
                connection.connect(("127.0.0.1", port))
            connections.append(connection)
        yield connections


def in_threads(does: Callable[[int], None], count: int) -> list[threading.Thread]:
    """Start `does(0)`, `does(1)` … at once."""
    threads = [
        threading.Thread(target=does, args=(number,), daemon=True) for number in range(count)
    ]
    for thread in threads:
        thread.start()
    return threads
