"""T7: a long plan as of any version, over HTTP.

A service caches plans that were requested, so the first request counts. Each version is measured
as the middle one of three adjacent versions that were not requested before.
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
    """Return (author, body) of one person's plan: ten events a day, of ten types."""
    maker, who = sample.Maker(seed=7), sample.person(0)
    start = maker.event("plan.started", who, {"name_to_use": "Ada", "language": "en"})
    posts = [(who, start)]
    while len(posts) < events:
        posts += maker.day(0)
    return [(author, orjson.dumps(event)) for author, event in posts[:events]]


def measure(ledger: Ours, events: int, versions: int) -> tuple[Curve, Curve]:
    """Return (version, milliseconds) of versions evenly spread over the plan's history.

    The first curve is of each version's first request, the second of a repeated one.
    """
    ledger.record(life(events))
    token = ledger.token(sample.person(0))
    with ledger.ledger() as service, closing(Reader(service.address[1], token)) as reader:
        newest = reader.newest()
        reader.seconds(newest)  # warm up the service
        first: Curve = []
        again: Curve = []
        for version in spread(newest, versions):
            near = neighbours(version, newest)
            first.append((version, median(map(reader.seconds, near)) * 1000))
            again.append((version, median(map(reader.seconds, near)) * 1000))
        return first, again


def spread(newest: int, versions: int) -> Iterator[int]:
    """Return that many versions from the first to the newest."""
    return (1 + round(number * (newest - 1) / (versions - 1)) for number in range(versions))


def neighbours(version: int, newest: int) -> range:
    """Return a version, and those before it or, at the beginning, after it."""
    last = min(max(version, SIDE_BY_SIDE), newest)
    return range(max(last - SIDE_BY_SIDE, 0) + 1, last + 1)


class Reader:
    """One kept-alive connection to the ledger."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def newest(self) -> int:
        """Return the plan's current version."""
        return int(json.loads(self._read(""))["version"])

    def seconds(self, version: int) -> float:
        """Return how long reading a version took."""
        began = time.perf_counter()
        body = self._read(f"?version={version}")
        took = time.perf_counter() - began
        if (shown := json.loads(body)["version"]) != version:
            raise RuntimeError(f"requested version {version}, got {shown}")
        return took

    def _read(self, query: str) -> bytes:
        path = f"/people/{sample.person(0)}/plan{query}"
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {body.decode()}")
        return body
