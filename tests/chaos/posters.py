"""Posters that never give up: each posts some people's events, one person's strictly in order.

An event is sent again, the same bytes, until it is acknowledged: with a 202, or with its verdict
if the request waited for it. What was acknowledged, in which order and when, is what the ledger is
held against (checks.py).
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
PATIENCE = 120.0  # seconds until one event must have been taken
TIMEOUT = 5.0  # seconds for one answer
MOST = 20  # events of a batch
VERDICTS = frozenset({200, 201, 403, 409})


def told(
    people: int, count: int, seed: int, name: str = "", repeats: float = 0.05
) -> dict[str, list[Posted]]:
    """What happens to each person, in order: stories, with events sent again and ids used twice.

    `name` sets these people apart from those of another story; `repeats` is the share that is
    sent again.
    """
    dice, found = Random(seed), dict[str, list[Posted]]()
    for author, body in sample.story(people, count, seed):
        mine = _renamed(author.encode(), name).decode(), _renamed(body, name)
        events = found.setdefault(orjson.loads(mine[1])["subject"], [])
        events.append(mine)
        chance = dice.random()
        if chance < repeats:
            events.append(dice.choice(events))
        elif repeats <= chance < repeats + 0.03:
            events.append(_with_its_id(*dice.choice(events), dice))
    return found


def _renamed(text: bytes, name: str) -> bytes:
    for role in (b"person:", b"partner:"):
        text = text.replace(role, role + name.encode())
    return text


def _with_its_id(author: str, body: bytes, dice: Random) -> Posted:
    """Another event by the same author under the same id."""
    event = orjson.loads(body)
    event["type"] = "about-me.written"
    event["data"] = {"section": "Food", "words": f"Fish {dice.random()}"}
    return author, orjson.dumps(event)


def _next(events: list[Posted], most: int) -> list[Posted]:
    """What is posted next, off the end of the list: by one author, and no event twice."""
    together = [events.pop()]
    while len(together) < most and events and events[-1][0] == together[0][0]:
        if events[-1] in together:
            break
        together.append(events.pop())
    return together


@dataclass
class Posters:
    """Threads that post everything to one address; `taken` counts what was acknowledged, `again`
    what was not and had to be sent again. A share of the requests, `waits`, waits for the verdict;
    another, `batches`, brings all that one author says next about that person.
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
        """Begin; each person belongs to one thread."""
        people = list(events.items())
        for number in range(posters):
            mine = people[number::posters]
            self._threads.append(threading.Thread(target=self._post, args=(mine, Random(number))))
        for each in self._threads[-posters:]:
            each.start()

    @property
    def over(self) -> bool:
        """Whether everything was acknowledged, or somebody gave up."""
        return bool(self.failed) or not any(each.is_alive() for each in self._threads)

    def took(self, count: int) -> bool:
        """Whether so many were acknowledged; also when no more will be."""
        return self.taken >= count or self.over

    def join(self) -> None:
        """Until all threads have ended."""
        for each in self._threads:
            each.join(PATIENCE)

    def _post(self, people: Iterable[tuple[str, Sequence[Posted]]], dice: Random) -> None:
        """In turns, so that every person is somewhere in their story when a kill comes."""
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
                waiting = [each for each in waiting if each[1]]
        except AssertionError as fault:
            self.failed.append(str(fault))
        finally:
            connection.close()

    def _until_taken(
        self, connection: http.client.HTTPConnection, together: Sequence[Posted], *, wait: bool
    ) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status, said = self._send(connection, together, wait=wait)
            verdict = self._receipt(said) if status in VERDICTS else None
            with self._lock:
                if verdict is not None:
                    self.receipts.append((together[0], verdict))
                if status == 202 or verdict is not None:
                    self.taken += len(together)
                    return
                self.again += len(together)
            assert status == 503, f"{status}: {said!r}"
            time.sleep(0.05)
        raise AssertionError(f"not taken within {PATIENCE:g} s")

    def resend(self, connection: http.client.HTTPConnection, posted: Posted) -> None:
        """Send what was acknowledged once more, and wait for the receipt."""
        self._until_taken(connection, [posted], wait=True)

    def _send(
        self, connection: http.client.HTTPConnection, together: Sequence[Posted], *, wait: bool
    ) -> tuple[int, bytes]:
        """Once: status and body; 503 too if there was no answer."""
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
    def _receipt(said: bytes) -> Json | None:
        """The receipt in an answer, also in that of a refusal."""
        told: Json = orjson.loads(said)
        told = told.get("receipt", told)
        return told if "entry" in told else None
