"""Attack a real Firsthand in every way that a review found, and print what it cost others.

    python -m tests.attack                       each attack on each store, about 40 minutes
    python -m tests.attack S1 wiped              only these
    python -m tests.attack --store sqlite S3     only on this store
    ATTACK_SHORT=1 python -m tests.attack        smaller and fewer, at most a minute

Writes build/attack.json (short: build/attack-short.json) after each attack, and ends with status 1
if a limit was missed. Everything it speaks to is on this machine and is stopped at the end, also
on Ctrl-C and SIGTERM.
"""

import atexit
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from shared.process import exit_on
from tests import postgres
from tests.attack import outages, reading, writing
from tests.attack.attacks import ALL, Attack, Run, in_order
from tests.attack.figures import Figure, Sheet, lines
from tests.attack.ground import Ground
from tests.attack.memory import forget_peak
from tests.benchmarks.figures import machine
from tests.benchmarks.processes import BUILD
from tests.house.files import ROOT
from tests.process import PREFIX, SCRATCH, sweep_abandoned_folders

ROOMS = (writing, reading, outages)  # each adds its attacks to the table when it is imported


class Report:
    """build/attack.json: a run of some attacks replaces those and keeps the others."""

    def __init__(self, *, short: bool, whole: bool) -> None:
        self.place = BUILD / ("attack-short.json" if short else "attack.json")
        if whole:
            self.place.unlink(missing_ok=True)

    def keep(self, found: Sequence[Figure]) -> None:
        """Write the figures of an attack in place of those from before."""
        same = {(each.attack, each.store) for each in found}
        before = orjson.loads(self.place.read_bytes())["figures"] if self.place.exists() else []
        kept = [each for each in before if (each["attack"], each["store"]) not in same]
        content: dict[str, Any] = {
            "machine": machine(),
            "attacks": {each.name: each.says for each in in_order()},
            "figures": [*kept, *(each.members() for each in found)],
        }
        BUILD.mkdir(exist_ok=True)
        self.place.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def wanted(names: Sequence[str], stores: Sequence[str], *, short: bool) -> list[tuple[Attack, str]]:
    """Which attacks are done on which stores, in the order of the table."""
    return [
        (each, store)
        for each in in_order()
        for store in each.stores
        if store in stores and (each.name in names if names else store in each.short or not short)
    ]


def attacked(ground: Ground, each: Attack, store: str, *, short: bool, scale: float) -> Sheet:
    """Do one attack; if it cannot be done to its end, that is a figure that misses its limit."""
    sheet = Sheet(each.name, store)
    run = Run(ground.rig(store), sheet, short, scale)
    for process in (run.rig.intake, run.rig.worker, run.rig.ledger):
        forget_peak(process.pid)
    try:
        each.does(run)
    except Exception as fault:  # noqa: BLE001 - whatever it is, the other attacks are still done
        note = f"{type(fault).__name__}: {fault}".partition("\n")[0]
        sheet.add("done to the end", 0, limit="= 1", note=note)
    finally:
        run.close()
    ground.discard(store) if run.spoilt else ground.after(store)
    return sheet


def remove_own_folders() -> None:
    """What a signal that came between making a folder and noting it has left."""
    for each in Path(SCRATCH).glob(f"{PREFIX}{os.getpid()}-*"):
        shutil.rmtree(each, ignore_errors=True)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([each.name for each in in_order()]))
@click.option("--store", "only", type=click.Choice(ALL), help="Only on this store.")
@click.option("--scale", default=1.0, show_default=True, help="How much of each attack.")
def main(names: tuple[str, ...], only: str | None, scale: float) -> None:
    """Attack a real Firsthand, and print what it cost others."""
    exit_on(signal.SIGINT, signal.SIGTERM)  # a parent may have had us ignore them
    atexit.register(remove_own_folders)
    short, began = bool(os.environ.get("ATTACK_SHORT")), time.monotonic()
    here = ["sqlite", *(["postgresql"] if postgres.find_postgres() else [])]
    stores = [each for each in here if only in (None, each)]
    sweep_abandoned_folders()
    report, found = Report(short=short, whole=not (names or only)), list[Figure]()
    with Ground() as ground:
        for each, store in wanted(names, stores, short=short):
            click.echo(f"{each.name} on {store}: {each.says} …", err=True)
            sheet = attacked(ground, each, store, short=short, scale=scale)
            found += sheet.figures
            report.keep(sheet.figures)
    click.echo("\n".join(lines(found)))
    missed = sum(not each.ok for each in found)
    place = report.place.relative_to(ROOT)
    click.echo(f"{missed} limits missed; {place} written, {time.monotonic() - began:.0f} s")
    sys.exit(bool(missed) or not found)


if __name__ == "__main__":
    main()
