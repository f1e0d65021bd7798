"""Measure ours and its peers side by side, print a table, write build/bench.json.

    python -m tests.benchmarks.run            everything, five runs
    python -m tests.benchmarks.run T1 T4      only these targets
    BENCH_SHORT=1 python -m …                 one short run: does it work, not how fast is it

Every ratio is taken within one run: ours and its peer follow each other on the same core, with the
same events and the same durability (fsync before an answer), load and queue on the other core.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests import postgres
from tests.benchmarks import latency, load, ours, sample, theirs
from tests.benchmarks.figures import Figures, machine, write
from tests.benchmarks.processes import (
    BUILD,
    LOAD_CORE,
    ROOT,
    Service,
    beside_the_load,
    on_core,
    peer_python,
)
from tests.process import ServerError, scratch_folder, sweep_abandoned_folders
from tests.servers import ValkeyServer

TARGETS = ("T1", "T3", "T4")
CONNECTIONS = 32
TURNS = 5  # that each side has in one run of T1
PEOPLE = 1000  # in T3
AUTHORS = 100  # people who speak at the same time in T1


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    runs: int = 5
    warm: int = 2_000
    posts: int = 20_000
    drained: int = 100_000
    jobs: int = 1_500
    seconds: int = 10


SHORT = Sizes(runs=1, warm=200, posts=2_000, drained=10_000, jobs=300, seconds=3)


class Bench:
    """One series of runs."""

    def __init__(self, sizes: Sizes) -> None:
        """Nothing was measured yet."""
        self.sizes = sizes
        self.figures = Figures()
        self.valkey = ValkeyServer()
        self.python = peer_python()

    def t1(self) -> None:
        """Intake, one event for each POST: ours, the bare echo, the route with a job each."""
        events = sample.statements(AUTHORS, self.sizes.posts, seed=1)
        with self._fresh() as folder:
            mine = ours.Ours(folder, self.valkey.url)
            tokens = mine.tokens([author for author, _ in events])
            requests = [load.request("/events", body, tokens[who]) for who, body in events]
            with (
                mine.intake() as intake,
                theirs.echo(ours.THREADS) as echo,
                theirs.job_route(self.python, self.valkey.url) as route,
            ):
                self._posts(
                    {"T1 ours": intake, "T1 bare echo": echo, "T1 job route": route}, requests
                )
        self.figures.ratio("T1 ours vs echo", "T1 ours", "T1 bare echo")
        self.figures.ratio("T1 ours vs job route", "T1 ours", "T1 job route")

    def _posts(self, services: dict[str, Service], requests: list[bytes]) -> None:
        """The same requests to each, in turns: a slow second of the machine is nobody's own."""
        seconds = dict.fromkeys(services, 0.0)
        size = len(requests) // TURNS
        with on_core(LOAD_CORE):
            for service in services.values():
                load.run(service.address, requests[: self.sizes.warm]).only(202)
            for turn in range(TURNS):
                part = requests[turn * size : (turn + 1) * size]
                for name, service in services.items():
                    result = load.run(service.address, part, connections=CONNECTIONS)
                    seconds[name] += result.only(202).seconds
        for name, taken in seconds.items():
            self.figures.add(name, size * TURNS / taken)

    def t3(self) -> None:
        """From a full inbox to committed entries, and one job with one row for each event."""
        with self._fresh() as folder:
            self._drains("SQLite", folder, None, str(folder / "peer.db"))
        if postgres.find_postgres() is None:
            print(f"PostgreSQL was not measured: {postgres.where_postgres_is_sought()}")
            return
        with (
            beside_the_load(postgres.PostgresServer()) as server,
            server.database() as mine,
            server.database() as peer,
            self._fresh() as folder,
        ):
            rows = peer.owner_url.replace("+psycopg", "", 1)
            self._drains("PostgreSQL", folder, mine, rows)

    def _drains(
        self, store: str, folder: Path, database: postgres.Database | None, rows: str
    ) -> None:
        events = sample.story(PEOPLE, self.sizes.drained, seed=3)
        mine = ours.Ours(folder, self.valkey.url, database)
        self.figures.add(f"T3 {store} ours", mine.drain_rate(events))
        self.valkey.reset()
        jobs = [body for _, body in events[-self.sizes.jobs :]]
        rate = theirs.job_per_event_rate(self.python, self.valkey.url, rows, jobs)
        self.figures.add(f"T3 {store} job per event", rate)
        self.figures.ratio(f"T3 {store} ratio", f"T3 {store} ours", f"T3 {store} job per event")

    def t4(self) -> None:
        """From POST to readable in the plan, while events come at a fixed rate."""
        with self._fresh() as folder:
            mine = ours.Ours(folder, self.valkey.url)
            with mine.everything() as (service, ledger_port), on_core(LOAD_CORE):
                taken = latency.measure(mine, service.address, ledger_port, self.sizes.seconds)
        for percent in (50, 99):
            self.figures.add(f"T4 p{percent} ms", load.percentile(taken, percent) * 1000)

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[Path]:
        """An empty folder, and an empty queue on the load's core."""
        with on_core(LOAD_CORE):
            self.valkey.reset()
        folder = scratch_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def run(self, targets: Sequence[str]) -> None:
        """Every target once a run, so that a slow spell of the machine is felt by all."""
        measures = {"T1": self.t1, "T3": self.t3, "T4": self.t4}
        with beside_the_load(self.valkey):
            for number in range(1, self.sizes.runs + 1):
                for target in targets:
                    print(f"run {number} of {self.sizes.runs}: {target} …", flush=True)
                    measures[target]()


def summary(figures: Figures) -> dict[str, Any]:
    """What build/bench.json holds: medians; `range` has the lowest and the highest run."""
    ratios = [figures.median(f"T3 {store} ratio", 1) for store in ("SQLite", "PostgreSQL")]
    return {
        "T1": {
            "events_per_s": figures.median("T1 ours"),
            "vs_echo": figures.median("T1 ours vs echo", 3),
            "vs_job_route": figures.median("T1 ours vs job route", 2),
            "range": figures.ranges("T1 "),
        },
        "T3": {
            "sqlite_events_per_s": figures.median("T3 SQLite ours"),
            "postgresql_events_per_s": figures.median("T3 PostgreSQL ours"),
            "vs_job_per_event": min((ratio for ratio in ratios if ratio is not None), default=None),
            "vs_job_per_event_by_store": dict(zip(("sqlite", "postgresql"), ratios, strict=True)),
            "range": figures.ranges("T3 "),
        },
        "T4": {
            "p50_ms": figures.median("T4 p50 ms", 2),
            "p99_ms": figures.median("T4 p99 ms", 2),
            "events_per_s": latency.RATE,
            "range": figures.ranges("T4 "),
        },
    }


def main(targets: Sequence[str]) -> int:
    """0: everything asked for was measured; 1: something failed; 2: no such target; 3: not here."""
    unknown = set(targets) - set(TARGETS)
    if unknown:
        print(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
        return 2
    if sys.platform != "linux" or ValkeyServer.find() is None:
        print("The benchmark needs Linux (epoll, a core for each side) and a Valkey.")
        return 3
    if len(os.sched_getaffinity(0)) < 2:
        print("Only one core: server and load share it, so the ratios say little.")
    short = os.environ.get("BENCH_SHORT") == "1"
    sweep_abandoned_folders()
    bench = Bench(SHORT if short else Sizes())
    try:
        bench.run(targets or TARGETS)
    except (ServerError, load.LoadError, subprocess.CalledProcessError) as error:
        print(f"not measured: {error}")
        return 1
    print("\n".join(["", *bench.figures.table()]))
    facts = {**machine(), "short": short, "runs": bench.sizes.runs, "versions": versions()}
    write(BUILD / "bench.json", {**summary(bench.figures), "machine": facts})
    print(f"\nwritten: {(BUILD / 'bench.json').relative_to(ROOT)}")
    return 0


def versions() -> dict[str, str]:
    """Of what decides the figures."""
    names = ("granian", "flask", "rq", "redis", "sqlalchemy", "psycopg", "cryptography", "orjson")
    return {name: version(name) for name in names}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
