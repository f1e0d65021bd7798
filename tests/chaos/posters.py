"""Posters that never give up: each posts some people's events, one person's strictly in order.

An event is sent again, the same bytes, until it gets its 202. What was acknowledged, and in which
order, is what the ledger is held against.
"""

import http.client
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import orjson

from tests.benchmarks import sample

Posted = tuple[str, bytes]  # author and body
PATIENCE = 120.0  # seconds until one event must have been taken
TIMEOUT = 5.0  # seconds for one answer


def told(people: int, count: int, seed: int) -> dict[str, list[Posted]]:
    """What happens to each person, in order: stories, with events sent again and ids used twice."""
    dice, found = Random(seed), dict[str, list[Posted]]()
    for author, body in sample.story(people, count, seed):
        events = found.setdefault(orjson.loads(body)["subject"], [])
        events.append((author, body))
        chance = dice.random()
        if chance < 0.05:
            events.append(dice.choice(events))
        elif chance < 0.08:
            events.append(_with_its_id(*dice.choice(events), dice))
    return found


def _with_its_id(author: str, body: bytes, dice: Random) -> Posted:
    """Another event by the same author under the same id."""
    event = orjson.loads(body)
    event["type"] = "about-me.written"
    event["data"] = {"section": "Food", "words": f"Fish {dice.random()}"}
    return author, orjson.dumps(event)


@dataclass
class Posters:
    """Threads that post everything to one address; `taken` counts what was acknowledged."""

    port: int
    tokens: Mapping[str, str]
    taken: int = 0
    again: int = 0
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, events: Mapping[str, Sequence[Posted]], posters: int) -> None:
        """Begin; each person belongs to one thread."""
        people = list(events.values())
        for number in range(posters):
            mine = people[number::posters]
            self._threads.append(threading.Thread(target=self._post, args=(mine,)))
        for each in self._threads:
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

    def _post(self, people: Iterable[Sequence[Posted]]) -> None:
        """In turns, so that every person is somewhere in their story when a kill comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        waiting = [list(reversed(events)) for events in people]
        try:
            while waiting and not self.failed:
                for events in waiting:
                    self._until_taken(connection, *events.pop())
                waiting = [events for events in waiting if events]
        except AssertionError as fault:
            self.failed.append(str(fault))
        finally:
            connection.close()

    def _until_taken(
        self, connection: http.client.HTTPConnection, author: str, body: bytes
    ) -> None:
        headers = {
            "Authorization": f"Bearer {self.tokens[author]}",
            "Content-Type": "application/cloudevents+json",
        }
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                connection.request("POST", "/events", body, headers)
                with connection.getresponse() as answer:
                    status, said = answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                status, said = 503, b""
            if status == 202:
                with self._lock:
                    self.taken += 1
                return
            assert status == 503, f"{status}: {said!r}"
            with self._lock:
                self.again += 1
            time.sleep(0.05)
        raise AssertionError(f"not taken within {PATIENCE:g} s")
