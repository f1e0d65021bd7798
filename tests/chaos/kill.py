"""Kill real processes at every crash point, and count what is lost: build/kill.json.

    python -m tests.chaos.kill               each fault and crash point, 5 seeds, ~200,000 events
    python -m tests.chaos.kill F10 F53       only these; also `broken` and `eight`
    KILL_SHORT=1 python -m …                 1 seed, 200 events each: build/kill-short.json

Odd seeds run on SQLite, even ones on PostgreSQL, if the fault applies to both. The command prints a
table as it runs. It ends with status 1 if a count that must be zero is not. A whole long run also
fails if a fault could not be run, or fewer than 200,000 events were acknowledged.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from tests import postgres
from tests.benchmarks.figures import machine
from tests.benchmarks.processes import BUILD
from tests.chaos.broken import BUILDS, TAKES_FIRST, Broken
from tests.chaos.faults import EVERY, Fault
from tests.chaos.partitions import eight_partitions
from tests.chaos.runs import Outcome, Run
from tests.chaos.system import System
from tests.house.files import ROOT
from tests.process import sweep_abandoned_folders
from tests.servers import RedisLikeServer, RedisServer, ValkeyServer

SHORT = bool(os.environ.get("KILL_SHORT"))
SEEDS, EVENTS = (1, 200) if SHORT else (5, 1_150)
LEAST = 200_000  # events that a whole long run must have had acknowledged
BROKEN_BY = {"I1": "batch-written", "I2": "F11", "I3": "F11", "I4": "F11", "I5": "F11"}
PARTS = ("eight",) if SHORT else ("eight", "broken")  # besides the faults
SUMS = ("posted", "acknowledged", "recorded", "lost", "doubled", "out_of_order", "rewritten")
ZEROS = ("lost", "doubled", "untrue", "out_of_order", "rewritten", "stuck")


class Killing:
    """The servers and one system for each store."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.stores = ["sqlite"]
        if postgres.find_postgres():
            self.postgres = stack.enter_context(postgres.PostgresServer())
            self.stores.append("postgresql")
        self._systems: dict[str, System] = {}

    @contextlib.contextmanager
    def system(self, store: str, **options: Any) -> Iterator[System]:
        """Start a system: SQLite with Valkey, PostgreSQL with Redis if it is installed."""
        kind: type[RedisLikeServer] = ValkeyServer
        if store == "postgresql" and RedisServer.find():
            kind = RedisServer
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with contextlib.ExitStack() as stack:
            queue = stack.enter_context(kind())
            sqlite = store == "sqlite"
            opened = postgres.sqlite_database(folder) if sqlite else self.postgres.database()
            system = System(folder, stack.enter_context(opened), queue, **options)
            yield stack.enter_context(system.running())

    def shared_system(self, store: str) -> System:
        """Return the system on which all faults of a store run, one after another."""
        if store not in self._systems:
            self._systems[store] = self._stack.enter_context(self.system(store))
        return self._systems[store]

    def outcomes(self, fault: Fault, seeds: int, events: int) -> Iterator[Outcome]:
        """Run a fault once for each seed."""
        stores = [store for store in self.stores if store in fault.stores]
        for seed in range(1, seeds + 1) if stores else ():
            system = self.shared_system(stores[(seed + 1) % len(stores)])
            for process in (system.intake, system.worker, system.ledger):
                process.start()
            yield Run(system, fault.name, seed, events).outcome(fault.does)

    def replays(self) -> dict[str, str]:
        """Check I6 to I8 over everything: return the findings of a replay of each ledger."""
        return {store: system.replay() for store, system in self._systems.items()}

    def broken(self, build: Broken, events: int) -> Outcome:
        """Run a build that is broken on purpose, under the fault that shows it."""
        two = build is TAKES_FIRST
        name = "F53" if two else BROKEN_BY[build.invariant]
        (fault,) = (known for known in EVERY if known.name == name)
        program = build.command("services.cli")
        with self.system("postgresql" if two else "sqlite", program=program) as system:
            for process in (system.intake, system.worker):
                process.start()
            # An event sent again while a drain stalls would be recorded first, and hide the fault.
            run = Run(system, name, 1, events, repeats=0.0 if two else 0.05)
            return run.outcome(fault.does)


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """Return a line of the table."""
    sums = [sum(getattr(outcome, what) for outcome in outcomes) for what in SUMS]
    worst = max(outcome.seconds_to_recover for outcome in outcomes)
    columns = "".join(f"{number:>13,}" for number in sums)
    broken = " ".join(dict.fromkeys(word for outcome in outcomes for word in outcome.broken))
    return f"{name:<16}{columns}{worst:>9.2f}  {broken}".rstrip()


class Report:
    """build/kill.json, written after each part.

    A run that is interrupted keeps its results so far. A run of some parts replaces only those.
    """

    def __init__(self, *, whole: bool) -> None:
        self.path = BUILD / ("kill-short.json" if SHORT else "kill.json")
        self.results: dict[str, Any] = {}
        if self.path.exists() and not whole:
            self.results = orjson.loads(self.path.read_bytes())
        faults = {fault.name: fault.says for fault in EVERY}
        self.results |= {"machine": machine(), "faults": faults}

    def keep(self, part: str, rows: Sequence[dict[str, Any]], key: str) -> bool:
        """Replace a part's rows by these; return whether all of them are good."""
        names = {row[key] for row in rows}
        before = [row for row in self.results.get(part, []) if row[key] not in names]
        self.results[part] = [*before, *rows]
        runs = self.results.get("runs", [])
        self.results["totals"] = {name: sum(run[name] for run in runs) for name in (*SUMS, *ZEROS)}
        BUILD.mkdir(exist_ok=True)
        self.path.write_bytes(orjson.dumps(self.results, option=orjson.OPT_INDENT_2))
        return not any(row["bad"] for row in rows)


def killed(killing: Killing, report: Report, wanted: Sequence[str]) -> bool:
    """Run every fault; return whether all results are good."""
    outcomes, well, whole = list[Outcome](), True, not (wanted or SHORT)
    click.echo(f"{'':<16}{''.join(f'{heading:>13}' for heading in SUMS)}  seconds")
    for fault in EVERY:
        if (wanted and fault.name not in wanted) or (SHORT and fault.slow and not wanted):
            continue
        of_fault = list(killing.outcomes(fault, SEEDS, EVENTS))
        if not of_fault:
            click.echo(f"{fault.name:<16} cannot be run here")
            well &= not whole
            continue
        outcomes += of_fault
        click.echo(row(fault.name, of_fault))
        bad = [any(getattr(outcome, what) for what in ZEROS) for outcome in of_fault]
        rows = [
            outcome.members() | {"bad": one} for outcome, one in zip(of_fault, bad, strict=True)
        ]
        well &= report.keep("runs", rows, "fault")
    if outcomes:
        click.echo(row("all", outcomes))
    if whole and (count := sum(outcome.acknowledged for outcome in outcomes)) < LEAST:
        click.echo(f"{count:,} events were acknowledged, {LEAST:,} are needed")
        well = False
    replays = killing.replays()
    for store, findings in replays.items():
        click.echo(f"replay on {store}: {findings or 'no findings'}")
    return well and not any(replays.values())


def mutants(killing: Killing) -> Iterator[dict[str, Any]]:
    """Run the broken builds; yield the invariants that each was found to break."""
    for build in [*BUILDS, *([TAKES_FIRST] if "postgresql" in killing.stores else [])]:
        outcome = killing.broken(build, 400)
        named = [word for word in outcome.broken if word[:2] in {"I1", "I2", "I3", "I4", "I5"}]
        click.echo(f"broken on purpose: {build.says}: found {' '.join(outcome.broken) or 'none'}")
        bad = named != [build.invariant]
        yield {"breaks": build.invariant, "says": build.says, "found": named, "bad": bad}


def main(wanted: Sequence[str]) -> int:
    """Run everything; return the exit status."""
    began = time.monotonic()
    sweep_abandoned_folders()
    report = Report(whole=not wanted)
    with contextlib.ExitStack() as stack:
        killing, well = Killing(stack), True
        if "broken" in (wanted or PARTS):
            well &= report.keep("broken on purpose", list(mutants(killing)), "says")
        if "eight" in (wanted or PARTS):
            spread = eight_partitions(killing, 1_000 if SHORT else 20_000)
            well &= report.keep("eight partitions", list(spread), "store")
        well &= killed(killing, report, wanted)
    click.echo(f"{report.path.relative_to(ROOT)} written, {time.monotonic() - began:.0f} s")
    return not well


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
