"""Cost of one reader for the others, and timing of 404s: `python -m tests.benchmarks.readers`.

Prints the time of another caller's plan while one caller requests /origins 16 times at once,
without and with the limit of work. Prints the time of a 404 about a person with a plan and about
one without, in turns. The figures are only printed: no test depends on a time.
"""

import http.client
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import orjson

from tests.benchmarks import sample
from tests.benchmarks.ours import FIRSTHAND, Ours
from tests.benchmarks.processes import Service
from tests.benchmarks.travel import life
from tests.ports import free_port
from tests.servers import ValkeyServer

EVENTS, CALLERS, SECONDS, PAIRS = 4_000, 16, 10.0, 3_000
ABSENT = "/events/00000000-0000-4000-8000-000000000000"


def main() -> None:
    """Measure both, on SQLite."""
    with ValkeyServer() as queue, tempfile.TemporaryDirectory() as folder:
        ledger = Ours(Path(folder), queue.url)
        maker, other = sample.Maker(seed=3), sample.person(1)
        start = maker.event("plan.started", other, {"name_to_use": "Bo", "language": "en"})
        ledger.record([*life(EVENTS), (other, orjson.dumps(start))])
        for name, limit in (("without the limit of work", "0"), ("with it", "100")):
            with service(ledger, limit) as port:
                quiet = plans(ledger, port, 2.0)
                stop = threading.Event()
                statuses = Counter[int]()
                crowd = [
                    threading.Thread(target=press, args=(ledger, port, stop, statuses))
                    for _ in range(CALLERS)
                ]
                for thread in crowd:
                    thread.start()
                under_load = plans(ledger, port, SECONDS)
                stop.set()
                for thread in crowd:
                    thread.join()
            print(f"{name}: another's plan alone {summary(quiet)}")
            print(f"  beside 16 x /origins {summary(under_load)}, which got {dict(statuses)}")
        with service(ledger, "0") as port:
            known, unknown = pairs(ledger, port)
            print(f"404, median of {PAIRS} pairs: has a plan {known:.1f} us, none {unknown:.1f} us")


@contextmanager
def service(ledger: Ours, limit: str) -> Iterator[int]:
    """Start a read service with that limit; yield its port."""
    port = free_port()
    variables = {**ledger.variables, "FIRSTHAND_READ_LIMIT": limit}
    words = [*FIRSTHAND, "ledger", "--port", str(port)]
    with Service("ledger", words, port=port, variables=variables):
        yield port


def ask(connection: http.client.HTTPConnection, path: str, token: str) -> int:
    """Return the status of an answer."""
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def plans(ledger: Ours, port: int, seconds: float) -> list[float]:
    """Return the milliseconds of each read of another person's plan."""
    who, took = sample.person(1), list[float]()
    token, until = ledger.token(who), time.monotonic() + seconds
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while time.monotonic() < until:
            began = time.perf_counter()
            if ask(connection, f"/people/{who}/plan", token) != 200:
                raise RuntimeError("the plan was refused")
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)
    return took


def press(ledger: Ours, port: int, stop: threading.Event, statuses: Counter[int]) -> None:
    """Request one person's origins again and again, whatever the answer."""
    who = sample.person(0)
    token = ledger.token(who)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while not stop.is_set():
            statuses[ask(connection, f"/people/{who}/origins", token)] += 1
            time.sleep(0.01)


def pairs(ledger: Ours, port: int) -> tuple[float, float]:
    """Return median microseconds of a stranger's 404: about a person with a plan, and without."""
    token = ledger.token(sample.person(9))
    took: dict[str, list[float]] = {sample.person(1): [], sample.person(8): []}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for number in range(PAIRS):
            turn = list(took.items())
            for who, times in turn if number % 2 else reversed(turn):
                began = time.perf_counter()
                if ask(connection, f"/people/{who}{ABSENT}", token) != 404:
                    raise RuntimeError("the event exists")
                times.append((time.perf_counter() - began) * 1e6)
    known, unknown = map(median, took.values())
    return known, unknown


def summary(took: list[float]) -> str:
    """Median, 99th percentile and largest."""
    ordered = sorted(took)
    last = ordered[int(len(ordered) * 0.99)]
    return f"{median(ordered):.1f} / {last:.1f} / {ordered[-1]:.1f} ms (p50 / p99 / most)"


if __name__ == "__main__":
    main()
