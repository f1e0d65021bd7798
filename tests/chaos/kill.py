"""Kill real processes at every place there is, and count what is lost: build/kill.json.

    python -m tests.chaos.kill               each fault and crash point, 5 seeds, ~200,000 events
    python -m tests.chaos.kill F10 F53       only these; also `broken` and `eight`
    KILL_SHORT=1 python -m …                 1 seed, 200 events each: build/kill-short.json

Odd seeds run on SQLite, even ones on PostgreSQL, where the fault can be done on both. Prints a
table as it goes, and ends with status 1 if anything is not zero that must be; a whole long run also
if a fault could not be done, or fewer than 200,000 events were acknowledged.
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
from tests.chaos.rig import Rig
from tests.chaos.runs import Outcome, Run
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
    """The servers and one rig for each store."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.stores = ["sqlite"]
        if postgres.find_postgres():
            self.postgres = stack.enter_context(postgres.PostgresServer())
            self.stores.append("postgresql")
        self._rigs: dict[str, Rig] = {}

    @contextlib.contextmanager
    def rig(self, store: str, **options: Any) -> Iterator[Rig]:
        """A rig of its own: SQLite beside Valkey, PostgreSQL beside Redis if it is here."""
        kind: type[RedisLikeServer] = ValkeyServer
        if store == "postgresql" and RedisServer.find():
            kind = RedisServer
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with contextlib.ExitStack() as stack:
            queue = stack.enter_context(kind())
            sqlite = store == "sqlite"
            opened = postgres.sqlite_database(folder) if sqlite else self.postgres.database()
            rig = Rig(folder, stack.enter_context(opened), queue, **options)
            yield stack.enter_context(rig.running())

    def standing(self, store: str) -> Rig:
        """The rig on which all faults of a store follow each other."""
        if store not in self._rigs:
            self._rigs[store] = self._stack.enter_context(self.rig(store))
        return self._rigs[store]

    def outcomes(self, fault: Fault, seeds: int, events: int) -> Iterator[Outcome]:
        """A fault, as often."""
        stores = [each for each in self.stores if each in fault.stores]
        for seed in range(1, seeds + 1) if stores else ():
            rig = self.standing(stores[(seed + 1) % len(stores)])
            for each in (rig.intake, rig.worker, rig.ledger):
                each.start()
            yield Run(rig, fault.name, seed, events).outcome(fault.does)

    def replays(self) -> dict[str, str]:
        """I6 to I8, over everything: what a replay of each ledger finds."""
        return {store: rig.replay() for store, rig in self._rigs.items()}

    def broken(self, build: Broken, events: int) -> Outcome:
        """A build that is broken on purpose, under the fault that shows it."""
        two = build is TAKES_FIRST
        name = "F53" if two else BROKEN_BY[build.invariant]
        (fault,) = (each for each in EVERY if each.name == name)
        program = build.command("services.cli")
        with self.rig("postgresql" if two else "sqlite", program=program) as rig:
            for each in (rig.intake, rig.worker):
                each.start()
            # What is sent again while a drain stalls would be recorded first, and hide the rest.
            run = Run(rig, name, 1, events, repeats=0.0 if two else 0.05)
            return run.outcome(fault.does)


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """A line of the table."""
    sums = [sum(getattr(each, what) for each in outcomes) for what in SUMS]
    worst = max(each.seconds_to_recover for each in outcomes)
    said = "".join(f"{each:>13,}" for each in sums)
    broken = " ".join(dict.fromkeys(word for each in outcomes for word in each.broken))
    return f"{name:<16}{said}{worst:>9.2f}  {broken}".rstrip()


class Report:
    """build/kill.json, written after each part: a run that is cut short keeps what it has, and one
    of some parts alone replaces those.
    """

    def __init__(self, *, whole: bool) -> None:
        self.place = BUILD / ("kill-short.json" if SHORT else "kill.json")
        self.told: dict[str, Any] = {}
        if self.place.exists() and not whole:
            self.told = orjson.loads(self.place.read_bytes())
        self.told |= {"machine": machine(), "faults": {each.name: each.says for each in EVERY}}

    def keep(self, part: str, found: Sequence[dict[str, Any]], key: str) -> bool:
        """Keep what a part found, in place of what it found before; whether all of it is well."""
        names = {each[key] for each in found}
        before = [each for each in self.told.get(part, []) if each[key] not in names]
        self.told[part] = [*before, *found]
        runs = self.told.get("runs", [])
        self.told["totals"] = {each: sum(run[each] for run in runs) for each in (*SUMS, *ZEROS)}
        BUILD.mkdir(exist_ok=True)
        self.place.write_bytes(orjson.dumps(self.told, option=orjson.OPT_INDENT_2))
        return not any(each["bad"] for each in found)


def killed(killing: Killing, report: Report, wanted: Sequence[str]) -> bool:
    """Every fault in turn; whether nothing was found that must not be."""
    found, well, whole = list[Outcome](), True, not (wanted or SHORT)
    click.echo(f"{'':<16}{''.join(f'{each:>13}' for each in SUMS)}  seconds")
    for fault in EVERY:
        if (wanted and fault.name not in wanted) or (SHORT and fault.slow and not wanted):
            continue
        outcomes = list(killing.outcomes(fault, SEEDS, EVENTS))
        if not outcomes:
            click.echo(f"{fault.name:<16} cannot be done here")
            well &= not whole
            continue
        found += outcomes
        click.echo(row(fault.name, outcomes))
        bad = [any(getattr(each, what) for what in ZEROS) for each in outcomes]
        rows = [each.members() | {"bad": one} for each, one in zip(outcomes, bad, strict=True)]
        well &= report.keep("runs", rows, "fault")
    if found:
        click.echo(row("all", found))
    if whole and (count := sum(each.acknowledged for each in found)) < LEAST:
        click.echo(f"{count:,} events were acknowledged, {LEAST:,} are needed")
        well = False
    replays = killing.replays()
    for store, findings in replays.items():
        click.echo(f"replay on {store}: {findings or 'no findings'}")
    return well and not any(replays.values())


def mutants(killing: Killing) -> Iterator[dict[str, Any]]:
    """The broken builds: what each was found to break."""
    for build in [*BUILDS, *([TAKES_FIRST] if "postgresql" in killing.stores else [])]:
        outcome = killing.broken(build, 400)
        told = [each for each in outcome.broken if each[:2] in {"I1", "I2", "I3", "I4", "I5"}]
        click.echo(f"broken on purpose: {build.says}: found {' '.join(outcome.broken) or 'none'}")
        bad = told != [build.invariant]
        yield {"breaks": build.invariant, "says": build.says, "found": told, "bad": bad}


def main(wanted: Sequence[str]) -> int:
    """All of it; the exit status."""
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
    click.echo(f"{report.place.relative_to(ROOT)} written, {time.monotonic() - began:.0f} s")
    return not well


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
