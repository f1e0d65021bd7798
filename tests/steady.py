"""Post without pause, to several ports in turn, while services are stopped and started.

    with Steady([8081, 8083], {"person:ada": token}) as steady:
        …
    steady.taken["person:ada"]  # ids in the order of their 202s

A person's events are posted one after another. An event without a 202 is sent again, with the same
bytes, to the next port: so none is lost, and the ledger records it once.
"""

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self
from uuid import uuid4

import orjson

from tests.process import PATIENCE

TIMEOUT = 40.0  # seconds for one answer
GIVE_UP = 4 * PATIENCE  # seconds until one event must be accepted


class Steady:
    """One thread per person; `again` counts the retries."""

    def __init__(
        self, ports: Sequence[int], tokens: Mapping[str, str], pause: float = 0.01
    ) -> None:
        self.taken: dict[str, list[str]] = {who: [] for who in tokens}
        self.again = 0
        self.failed: list[str] = []
        self._ports, self._tokens, self._pause = list(ports), tokens, pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(who,)) for who in tokens]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop: every thread completes its current event."""
        self._stop.set()
        for thread in self._threads:
            thread.join(GIVE_UP)
        if kind is None:
            assert not self.failed, self.failed

    def count(self) -> int:
        """Return how many events were accepted so far."""
        assert not self.failed, self.failed
        return sum(map(len, self.taken.values()))

    def more(self, count: int) -> None:
        """Wait until so many more were accepted."""
        wanted, end = self.count() + count, time.monotonic() + GIVE_UP
        while self.count() < wanted:
            assert time.monotonic() < end, f"{count} more were not accepted within {GIVE_UP:g} s"
            time.sleep(0.01)

    def _post(self, who: str) -> None:
        kind, data = "plan.started", {"name_to_use": "Ada", "language": "en"}
        try:
            while not self._stop.is_set():
                name = str(uuid4())
                attributes = {"specversion": "1.0", "id": name, "source": "/steady"}
                self._until_taken(
                    who, orjson.dumps({**attributes, "type": kind, "subject": who, "data": data})
                )
                self.taken[who].append(name)
                kind = "about-me.written"
                data = {"section": "Food", "words": f"Fish {len(self.taken[who])}"}
                time.sleep(self._pause)
        except AssertionError as fault:
            self.failed.append(str(fault))

    def _until_taken(self, who: str, body: bytes) -> None:
        end, turn = time.monotonic() + GIVE_UP, len(self.taken[who])
        while time.monotonic() < end:
            status, answer = self._send(self._ports[turn % len(self._ports)], who, body)
            if status == 202:
                return
            assert status == 503, f"{status}: {answer!r}"
            self.again += 1
            turn += 1
            time.sleep(0.05)
        raise AssertionError(f"not accepted within {GIVE_UP:g} s")

    def _send(self, port: int, who: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        headers = {
            "Authorization": f"Bearer {self._tokens[who]}",
            "Content-Type": "application/cloudevents+json",
        }
        try:
            connection.request("POST", "/events", body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 503, b""
        finally:
            connection.close()
