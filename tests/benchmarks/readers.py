"""What one reader costs the others, and what the time of a 404 tells:
`python -m tests.benchmarks.readers`.

Prints another caller's plan while one caller asks for /origins 16 at once, again and again, without
the limit of work and with it; and the time of a 404 about somebody who has a plan and somebody who
has none, asked in turn. It is printed, not held: no test depends on a time.
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
        mine = Ours(Path(folder), queue.url)
        maker, other = sample.Maker(seed=3), sample.person(1)
        start = maker.event("plan.started", other, {"name_to_use": "Bo", "language": "en"})
        mine.record([*life(EVENTS), (other, orjson.dumps(start))])
        for name, limit in (("without the limit of work", "0"), ("with it", "100")):
            with service(mine, limit) as port:
                quiet = plans(mine, port, 2.0)
                stop = threading.Event()
                heard = Counter[int]()
                crowd = [
                    threading.Thread(target=press, args=(mine, port, stop, heard))
                    for _ in range(CALLERS)
                ]
                for each in crowd:
                    each.start()
                beside = plans(mine, port, SECONDS)
                stop.set()
                for each in crowd:
                    each.join()
            print(f"{name}: another's plan alone {summary(quiet)}")
            print(f"  beside 16 x /origins {summary(beside)}, which got {dict(heard)}")
        with service(mine, "0") as port:
            there, away = pairs(mine, port)
            print(
                f"404, median of {PAIRS} pairs: has a plan {there:.1f} us, has none {away:.1f} us"
            )


@contextmanager
def service(mine: Ours, limit: str) -> Iterator[int]:
    """A read service with that limit; its port."""
    port = free_port()
    variables = {**mine.variables, "FIRSTHAND_READ_LIMIT": limit}
    words = [*FIRSTHAND, "ledger", "--port", str(port)]
    with Service("ledger", words, port=port, variables=variables):
        yield port


def ask(connection: http.client.HTTPConnection, path: str, token: str) -> int:
    """The status of an answer."""
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def plans(mine: Ours, port: int, seconds: float) -> list[float]:
    """Milliseconds of each of another person's plans."""
    who, took = sample.person(1), list[float]()
    token, until = mine.token(who), time.monotonic() + seconds
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while time.monotonic() < until:
            began = time.perf_counter()
            if ask(connection, f"/people/{who}/plan", token) != 200:
                raise RuntimeError("the plan was refused")
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)
    return took


def press(mine: Ours, port: int, stop: threading.Event, heard: Counter[int]) -> None:
    """Ask for one's origins, whatever is answered."""
    who = sample.person(0)
    token = mine.token(who)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        while not stop.is_set():
            heard[ask(connection, f"/people/{who}/origins", token)] += 1
            time.sleep(0.01)


def pairs(mine: Ours, port: int) -> tuple[float, float]:
    """Median microseconds of a 404 about who has a plan and who has none, asked by a stranger."""
    token = mine.token(sample.person(9))
    took: dict[str, list[float]] = {sample.person(1): [], sample.person(8): []}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for number in range(PAIRS):
            turn = list(took.items())
            for who, each in turn if number % 2 else reversed(turn):
                began = time.perf_counter()
                if ask(connection, f"/people/{who}{ABSENT}", token) != 404:
                    raise RuntimeError("something is there")
                each.append((time.perf_counter() - began) * 1e6)
    there, away = map(median, took.values())
    return there, away


def summary(took: list[float]) -> str:
    """Median, 99th percentile and largest."""
    ordered = sorted(took)
    last = ordered[int(len(ordered) * 0.99)]
    return f"{median(ordered):.1f} / {last:.1f} / {ordered[-1]:.1f} ms (p50 / p99 / most)"


if __name__ == "__main__":
    main()
