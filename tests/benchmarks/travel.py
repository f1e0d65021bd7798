"""T7: a long plan as of any version, over HTTP.

A service keeps plans that were asked for, so that the first time is what counts: each version is
measured as the middle one of three that lie side by side, none of them asked for before.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

import orjson

from tests.benchmarks import sample
from tests.benchmarks.ours import Ours

SIDE_BY_SIDE = 3
Curve = list[tuple[float, float]]


def life(events: int) -> list[tuple[str, bytes]]:
    """(author, body): one person's plan, told day by day, ten events a day of as many types."""
    maker, who = sample.Maker(seed=7), sample.person(0)
    start = maker.event("plan.started", who, {"name_to_use": "Ada", "language": "en"})
    told = [(who, start)]
    while len(told) < events:
        told += maker.day(0)
    return [(author, orjson.dumps(event)) for author, event in told[:events]]


def measure(mine: Ours, events: int, versions: int) -> tuple[Curve, Curve]:
    """(version, milliseconds) of that many versions, evenly spread over the plan's past: when each
    is asked for the first time, and again.
    """
    mine.record(life(events))
    token = mine.token(sample.person(0))
    with mine.ledger() as service, closing(Reader(service.address[1], token)) as reader:
        newest = reader.newest()
        reader.seconds(newest)  # once, so that the service is warm
        first: Curve = []
        again: Curve = []
        for each in spread(newest, versions):
            near = beside(each, newest)
            first.append((each, median(map(reader.seconds, near)) * 1000))
            again.append((each, median(map(reader.seconds, near)) * 1000))
        return first, again


def spread(newest: int, versions: int) -> Iterator[int]:
    """That many versions from the first to the newest."""
    return (1 + round(number * (newest - 1) / (versions - 1)) for number in range(versions))


def beside(version: int, newest: int) -> range:
    """A version, and those before it or, at the beginning, after it."""
    last = min(max(version, SIDE_BY_SIDE), newest)
    return range(max(last - SIDE_BY_SIDE, 0) + 1, last + 1)


class Reader:
    """One kept-alive connection to the ledger."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def newest(self) -> int:
        """The plan's version now."""
        return int(json.loads(self._read(""))["version"])

    def seconds(self, version: int) -> float:
        """How long reading a version took."""
        began = time.perf_counter()
        body = self._read(f"?version={version}")
        took = time.perf_counter() - began
        if (shown := json.loads(body)["version"]) != version:
            raise RuntimeError(f"asked for version {version}, shown {shown}")
        return took

    def _read(self, query: str) -> bytes:
        path = f"/people/{sample.person(0)}/plan{query}"
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {body.decode()}")
        return body
