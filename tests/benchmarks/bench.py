"""What is measured for every target, one run after another, into `Figures`."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import orjson

from services.intake.http_binding import ContentMode
from tests import postgres
from tests.benchmarks import audits, latency, load, ours, sample, stages, stores, theirs, travel
from tests.benchmarks.figures import Figures
from tests.benchmarks.processes import LOAD_CORE, Service, beside_the_load, on_core, peer_python
from tests.process import scratch_folder
from tests.servers import ValkeyServer

CONNECTIONS = 32
TURNS = 5  # of every side in one run of T1 and T2
PEOPLE = 1000  # in T3 and T5
AUTHORS = 100  # people who post at the same time in T1 and T2
SELDOM, EVERY = ("T5", "T7", "stages"), 3  # measured in one run of so many: the first, the fourth
ONCE = ("T6",)  # measured in the first run alone
BATCH = 100  # events of one POST in T2


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The amount of work for each target."""

    runs: int = 5
    warm: int = 2_000
    posts: int = 8_000
    batches: int = 250
    drained: int = 40_000
    jobs: int = 400
    singles: int = 500
    seconds: int = 8
    grown: tuple[int, ...] = (10_000, 100_000, 400_000, 1_000_000)
    life: int = 10_000
    versions: int = 15
    staged: int = 4_000


SHORT = Sizes(
    runs=1,
    warm=200,
    posts=1_000,
    batches=20,
    drained=6_000,
    jobs=100,
    singles=50,
    seconds=2,
    grown=(4_000, 8_000),
    life=1_500,
    versions=5,
    staged=1_000,
)


class Bench:
    """One series of runs."""

    def __init__(self, sizes: Sizes) -> None:
        """Start without figures."""
        self.sizes = sizes
        self.figures = Figures()
        self.valkey = ValkeyServer()
        self.python = peer_python()
        self.missing: dict[str, None] = {}  # why something was not measured
        self.targets: dict[str, Callable[[], None]] = {
            "T1": self.t1,
            "T2": self.t2,
            "T3": self.t3,
            "T4": self.t4,
            "T5": self.t5,
            "T6": self.t6,
            "T7": self.t7,
            "stages": self.stages,
        }

    def run(self, targets: Sequence[str]) -> None:
        """Measure every target once per run, so that a slow phase of the machine affects all."""
        with beside_the_load(self.valkey):
            for number in range(1, self.sizes.runs + 1):
                for target in targets:
                    if target in SELDOM and number % EVERY != 1:
                        continue
                    if target in ONCE and number > 1:
                        continue
                    print(f"run {number} of {self.sizes.runs}: {target} …", end=" ", flush=True)
                    began = time.monotonic()
                    self.targets[target]()
                    print(f"{time.monotonic() - began:.1f} s")

    def t1(self) -> None:
        """Intake, one event per POST: ours, the bare echo, the route with a job for every event."""
        events = sample.statements(AUTHORS, self.sizes.posts, seed=1)
        with self._fresh() as folder:
            ledger = ours.Ours(folder, self.valkey.url)
            tokens = ledger.tokens([author for author, _ in events])
            requests = [load.request("/events", body, tokens[who]) for who, body in events]
            with (
                ledger.intake() as intake,
                theirs.echo(ours.THREADS) as echo,
                theirs.job_route(self.python, self.valkey.url) as route,
            ):
                self._posts(
                    {"T1 ours": intake, "T1 bare echo": echo, "T1 job route": route}, requests
                )
        self.figures.ratio("T1 ours vs echo", "T1 ours", "T1 bare echo")
        self.figures.ratio("T1 ours vs job route", "T1 ours", "T1 job route")

    def t2(self) -> None:
        """Intake, batches: ours, and the bare echo of as many bytes."""
        posts = sample.statements(AUTHORS, self.sizes.batches * BATCH, seed=2)
        by = [sample.person(number) for number in range(AUTHORS)]
        with self._fresh() as folder:
            ledger = ours.Ours(folder, self.valkey.url)
            tokens = ledger.tokens(by)
            requests = []
            for number, start in enumerate(range(0, len(posts), BATCH)):
                batch = [orjson.loads(body) for _, body in posts[start : start + BATCH]]
                token = tokens[by[number % AUTHORS]]
                body = orjson.dumps(batch)
                requests.append(load.request("/events", body, token, ContentMode.BATCH))
            with ledger.intake() as intake, theirs.echo(ours.THREADS) as echo:
                self._posts({"T2 ours": intake, "T2 bare echo": echo}, requests, BATCH)
        self.figures.ratio("T2 ours vs echo", "T2 ours", "T2 bare echo")

    def _posts(
        self, services: dict[str, Service], requests: Sequence[bytes], events: int = 1
    ) -> None:
        """Send the same requests to each in turns, so that a slow second affects all."""
        seconds = dict.fromkeys(services, 0.0)
        size = len(requests) // TURNS
        with on_core(LOAD_CORE):
            for service in services.values():
                load.run(service.address, requests[: self.sizes.warm // events]).only(202)
            for turn in range(TURNS):
                part = requests[turn * size : (turn + 1) * size]
                for name, service in services.items():
                    result = load.run(service.address, part, connections=CONNECTIONS)
                    seconds[name] += result.only(202).seconds
        for name, taken in seconds.items():
            self.figures.add(name, size * TURNS * events / taken)

    def t3(self) -> None:
        """From a full inbox to committed entries; also what the peers take to store events."""
        events = sample.story(PEOPLE, self.sizes.drained, seed=3)
        bodies = [body for _, body in events]
        stored, singles = bodies[: self.sizes.drained // 2], self.sizes.singles
        with self._fresh() as folder:
            self._drains("SQLite", folder, None, events, str(folder / "peer.db"))
            rates = stores.eventsourced_on_sqlite(self.python, folder, stored, singles)
            self._add_rates("SQLite", "eventsourcing", rates)
            self._add_rates("SQLite", "UmaDB", stores.umadb(self.python, folder, stored, singles))
        if postgres.find_postgres() is None:
            self._lacks(f"PostgreSQL was not measured: {postgres.where_postgres_is_sought()}")
            return
        with (
            beside_the_load(postgres.PostgresServer()) as server,
            server.database() as database,
            server.database() as peer,
            self._fresh() as folder,
        ):
            rows = peer.owner_url.replace("+psycopg", "", 1)
            self._drains("PostgreSQL", folder, database, events, rows)
            rates = stores.eventsourced_on_postgresql(self.python, peer, stored, singles)
            self._add_rates("PostgreSQL", "eventsourcing", rates)
            try:
                rates = stores.message_db(self.python, peer, stored, singles)
                self._add_rates("PostgreSQL", "Message DB", rates)
            except stores.NotHere as why:
                self._lacks(str(why))

    def _drains(
        self,
        store: str,
        folder: Path,
        database: postgres.Database | None,
        events: Sequence[tuple[str, bytes]],
        rows: str,
    ) -> None:
        ledger = ours.Ours(folder, self.valkey.url, database)
        self.figures.add(f"T3 {store} ours", ledger.drain_rate(events))
        self.valkey.reset()
        jobs = [body for _, body in events[-self.sizes.jobs :]]
        rate = theirs.job_per_event_rate(self.python, self.valkey.url, rows, jobs)
        self.figures.add(f"T3 {store} job per event", rate)
        self.figures.ratio(f"T3 {store} ratio", f"T3 {store} ours", f"T3 {store} job per event")

    def _add_rates(self, store: str, peer: str, rates: stores.Rates) -> None:
        """Add a peer's rates, and our ratio to its batch rate on that store."""
        for how, rate in rates.items():
            self.figures.add(f"T3 {store} {peer} {how}", rate)
        batch = f"T3 {store} {peer} batch"
        self.figures.ratio(f"T3 {store} vs {peer}", f"T3 {store} ours", batch)
        if "pipelined" in rates:
            name, pipelined = f"T3 {store} vs {peer} pipelined", f"T3 {store} {peer} pipelined"
            self.figures.ratio(name, f"T3 {store} ours", pipelined)

    def t4(self) -> None:
        """From POST to readable in the plan, while events arrive at a fixed rate."""
        with self._fresh() as folder:
            ledger = ours.Ours(folder, self.valkey.url)
            with ledger.everything() as (service, ledger_port), on_core(LOAD_CORE):
                taken = latency.measure(ledger, service.address, ledger_port, self.sizes.seconds)
        for percent in (50, 99):
            self.figures.add(f"T4 p{percent} ms", load.percentile(taken, percent) * 1000)
        self.figures.curve(
            "T4", [(share, load.percentile(taken, share) * 1000) for share in range(1, 100)]
        )

    def t5(self) -> None:
        """Auditing a whole ledger."""
        command = audits.command()
        posts = sample.story(PEOPLE, self.sizes.drained, seed=3)
        with self._fresh() as folder:
            ledger = ours.Ours(folder, self.valkey.url)
            part, whole = audits.grown(ledger, posts, command)
        name, replayed = f"T5 {command}", "T3 SQLite eventsourcing replay"
        self.figures.add(f"{name} of 1/{audits.SMALLER}", part.rate)
        self.figures.add(name, whole.rate)
        self.figures.add(f"{name} MB", whole.memory)
        if replayed in self.figures.series:
            self.figures.ratio(f"{name} vs eventsourcing replay", name, replayed)

    def t6(self) -> None:
        """A growing ledger: projector and audit at each size, and another library's mere replay."""
        with self._fresh() as folder:
            sizes = audits.growth(ours.Ours(folder, self.valkey.url), self.sizes.grown)
        for size in sizes:
            self.figures.add(f"T6 audit of {size.entries:,}", size.audited)
            self.figures.add(f"T6 audit of {size.entries:,} MB", size.memory)
            self.figures.add(f"T6 projector at {size.entries:,}", size.projected)
        for name in ("projected", "audited", "memory"):
            self.figures.curve(
                f"T6 {name}", [(size.entries, getattr(size, name)) for size in sizes]
            )
        count = sizes[-1].entries
        bodies = [body for _, body in sample.story(count // audits.EVENTS_EACH, count, seed=3)]
        with self._fresh() as folder:
            rates = stores.eventsourced_on_sqlite(self.python, folder, bodies, singles=1)
        self.figures.add("T6 eventsourcing replay", rates["replay"])

    def t7(self) -> None:
        """A long plan, as of versions from its first to its newest."""
        with self._fresh() as folder:
            ledger = ours.Ours(folder, self.valkey.url)
            curve, again = travel.measure(ledger, self.sizes.life, self.sizes.versions)
        taken = [milliseconds for _, milliseconds in curve]
        self.figures.add("T7 again max ms", max(milliseconds for _, milliseconds in again))
        self.figures.add("T7 p50 ms", median(taken))
        self.figures.add("T7 max ms", max(taken))
        self.figures.curve("T7", curve)

    def stages(self) -> None:
        """Measure the cost of an event by stage."""
        for service in ("intake", "projector"):
            with self._fresh() as folder:
                ledger = ours.Ours(folder, self.valkey.url)
                for stage, cost in stages.measure(service, ledger, self.sizes.staged).items():
                    self.figures.add(f"{service} {stage} µs", cost)

    def _lacks(self, why: str) -> None:
        """Print why something was not measured, once, and note it for the report."""
        if why not in self.missing:
            print(f"({why})", end=" ", flush=True)
        self.missing[why] = None

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[Path]:
        """Make an empty folder, and an empty queue on the load's core."""
        with on_core(LOAD_CORE):
            self.valkey.reset()
        folder = scratch_folder()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
