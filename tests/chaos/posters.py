"""Posters that retry until acknowledged: each posts some people's events, one person's in order.

An event is sent again, with the same bytes, until it is acknowledged: with a 202, or with its
verdict if the request waited for it. checks.py compares the ledger with the acknowledged events,
their order and their times.
"""

import http.client
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import orjson

from shared.events.event import Json, timestamp
from tests.benchmarks import sample

Posted = tuple[str, bytes]  # author and body
PATIENCE = 120.0  # seconds until one event must be accepted
TIMEOUT = 5.0  # seconds for one answer
MOST = 20  # events of a batch
VERDICTS = frozenset({200, 201, 403, 409})


def made_up_posts(
    people: int, count: int, seed: int, name: str = "", repeats: float = 0.05
) -> dict[str, list[Posted]]:
    """Return each person's posts in order: stories, with repeated events and reused ids.

    `name` distinguishes these people from those of another story; `repeats` is the share that
    is sent again.
    """
    dice, posts = Random(seed), dict[str, list[Posted]]()
    for author, body in sample.story(people, count, seed):
        post = _renamed(author.encode(), name).decode(), _renamed(body, name)
        of_subject = posts.setdefault(orjson.loads(post[1])["subject"], [])
        of_subject.append(post)
        chance = dice.random()
        if chance < repeats:
            of_subject.append(dice.choice(of_subject))
        elif repeats <= chance < repeats + 0.03:
            of_subject.append(_with_its_id(*dice.choice(of_subject), dice))
    return posts


def _renamed(text: bytes, name: str) -> bytes:
    for role in (b"person:", b"partner:"):
        text = text.replace(role, role + name.encode())
    return text


def _with_its_id(author: str, body: bytes, dice: Random) -> Posted:
    """Return another event by the same author under the same id."""
    event = orjson.loads(body)
    event["type"] = "about-me.written"
    event["data"] = {"section": "Food", "words": f"Fish {dice.random()}"}
    return author, orjson.dumps(event)


def _next(events: list[Posted], most: int) -> list[Posted]:
    """Remove the next post from the end of the list: by one author, without duplicates."""
    together = [events.pop()]
    while len(together) < most and events and events[-1][0] == together[0][0]:
        if events[-1] in together:
            break
        together.append(events.pop())
    return together


@dataclass
class Posters:
    """Threads that post everything to one port.

    `taken` counts acknowledged events, `again` those that had to be sent again. A share of the
    requests, `waits`, waits for the verdict. Another share, `batches`, contains the author's next
    events about that person in one batch.
    """

    port: int
    tokens: Mapping[str, str]
    waits: float = 0.0
    batches: float = 0.0
    taken: int = 0
    again: int = 0
    failed: list[str] = field(default_factory=list)
    first: dict[str, dict[Posted, str]] = field(default_factory=lambda: defaultdict(dict))
    receipts: list[tuple[Posted, Json]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, events: Mapping[str, Sequence[Posted]], posters: int) -> None:
        """Start the threads; each person belongs to one thread."""
        people = list(events.items())
        for number in range(posters):
            mine = people[number::posters]
            self._threads.append(threading.Thread(target=self._post, args=(mine, Random(number))))
        for thread in self._threads[-posters:]:
            thread.start()

    @property
    def over(self) -> bool:
        """Return whether all events were acknowledged, or a poster gave up."""
        return bool(self.failed) or not any(thread.is_alive() for thread in self._threads)

    def took(self, count: int) -> bool:
        """Return whether so many were acknowledged, or no more will be."""
        return self.taken >= count or self.over

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join(PATIENCE)

    def _post(self, people: Iterable[tuple[str, Sequence[Posted]]], dice: Random) -> None:
        """Post in turns, so that a kill meets every person somewhere in their story."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        waiting = [(who, list(reversed(events))) for who, events in people]
        try:
            while waiting and not self.failed:
                for who, events in waiting:
                    chance = dice.random()
                    together = _next(events, MOST if chance > 1 - self.batches else 1)
                    self._until_taken(connection, together, wait=chance < self.waits)
                    for posted in together:
                        self.first[who].setdefault(posted, timestamp(datetime.now(UTC)))
                waiting = [(who, events) for who, events in waiting if events]
        except AssertionError as fault:
            self.failed.append(str(fault))
        finally:
            connection.close()

    def _until_taken(
        self, connection: http.client.HTTPConnection, together: Sequence[Posted], *, wait: bool
    ) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status, answer = self._send(connection, together, wait=wait)
            verdict = self._receipt(answer) if status in VERDICTS else None
            with self._lock:
                if verdict is not None:
                    self.receipts.append((together[0], verdict))
                if status == 202 or verdict is not None:
                    self.taken += len(together)
                    return
                self.again += len(together)
            assert status == 503, f"{status}: {answer!r}"
            time.sleep(0.05)
        raise AssertionError(f"not accepted within {PATIENCE:g} s")

    def resend(self, connection: http.client.HTTPConnection, posted: Posted) -> None:
        """Send an acknowledged event again, and wait for the receipt."""
        self._until_taken(connection, [posted], wait=True)

    def _send(
        self, connection: http.client.HTTPConnection, together: Sequence[Posted], *, wait: bool
    ) -> tuple[int, bytes]:
        """Send once; return status and body, and 503 if there was no answer."""
        bodies = [body for _, body in together]
        headers = {
            "Authorization": f"Bearer {self.tokens[together[0][0]]}",
            "Content-Type": "application/cloudevents+json",
        }
        if len(bodies) > 1:
            headers["Content-Type"] = "application/cloudevents-batch+json"
        elif wait:
            headers["Prefer"] = "wait=1"
        body = b"[%b]" % b",".join(bodies) if len(bodies) > 1 else bodies[0]
        try:
            connection.request("POST", "/events", body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 503, b""

    @staticmethod
    def _receipt(answer: bytes) -> Json | None:
        """Return the receipt in an answer, also in that of a refusal."""
        body: Json = orjson.loads(answer)
        body = body.get("receipt", body)
        return body if "entry" in body else None
