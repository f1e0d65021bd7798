"""T7: a long plan as of any version, over HTTP."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

import orjson

from tests.benchmarks import sample
from tests.benchmarks.ours import Ours

ASKED = 3  # times that each version is read; the middle one counts
Curve = list[tuple[float, float]]


def life(events: int) -> list[tuple[str, bytes]]:
    """(author, body): one person's plan, told day by day, ten events a day of as many types."""
    maker, who = sample.Maker(seed=7), sample.person(0)
    start = maker.event("plan.started", who, {"name_to_use": "Ada", "language": "en"})
    told = [(who, start)]
    while len(told) < events:
        told += maker.day(0)
    return [(author, orjson.dumps(event)) for author, event in told[:events]]


def measure(mine: Ours, events: int, versions: int) -> Curve:
    """(version, milliseconds) of that many versions, evenly spread over the plan's past."""
    mine.record(life(events))
    token = mine.token(sample.person(0))
    with mine.ledger() as service, closing(Reader(service.address[1], token)) as reader:
        newest = reader.newest()
        reader.milliseconds(newest)  # once, so that the service is warm
        return [(each, reader.milliseconds(each)) for each in spread(newest, versions)]


def spread(newest: int, versions: int) -> Iterator[int]:
    """That many versions from the first to the newest."""
    return (1 + round(number * (newest - 1) / (versions - 1)) for number in range(versions))


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

    def milliseconds(self, version: int) -> float:
        """How long reading a version took."""
        return median(self._once(version) for _ in range(ASKED)) * 1000

    def _once(self, version: int) -> float:
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
