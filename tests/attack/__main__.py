"""Attack a real Firsthand in every way that a review found, and print the cost for others.

    python -m tests.attack                       each attack on each store, about 40 minutes
    python -m tests.attack S1 wiped              only these
    python -m tests.attack --store sqlite S3     only on this store
    ATTACK_SHORT=1 python -m tests.attack        smaller and fewer, at most a minute

Writes build/attack.json (short: build/attack-short.json) after each attack, and ends with status 1
if a limit was missed. All servers run on this machine and are stopped at the end, also on Ctrl-C
and SIGTERM.
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

ATTACK_MODULES = (
    writing,
    reading,
    outages,
)  # importing them fills the table


class Report:
    """build/attack.json: a run of some attacks replaces their figures only."""

    def __init__(self, *, short: bool, whole: bool) -> None:
        self.path = BUILD / ("attack-short.json" if short else "attack.json")
        if whole:
            self.path.unlink(missing_ok=True)

    def keep(self, figures: Sequence[Figure]) -> None:
        """Replace an attack's figures by these."""
        same = {(figure.attack, figure.store) for figure in figures}
        before = orjson.loads(self.path.read_bytes())["figures"] if self.path.exists() else []
        others = [row for row in before if (row["attack"], row["store"]) not in same]
        content: dict[str, Any] = {
            "machine": machine(),
            "attacks": {attack.name: attack.says for attack in in_order()},
            "figures": [*others, *(figure.members() for figure in figures)],
        }
        BUILD.mkdir(exist_ok=True)
        self.path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def wanted(names: Sequence[str], stores: Sequence[str], *, short: bool) -> list[tuple[Attack, str]]:
    """Return which attacks run on which stores, in the order of the table."""
    return [
        (attack, store)
        for attack in in_order()
        for store in attack.stores
        if store in stores
        and (attack.name in names if names else store in attack.short or not short)
    ]


def attacked(ground: Ground, attack: Attack, store: str, *, short: bool, scale: float) -> Sheet:
    """Run one attack; an exception is a figure that misses its limit."""
    figures = Sheet(attack.name, store)
    run = Run(ground.system(store), figures, short, scale)
    for process in (run.system.intake, run.system.worker, run.system.ledger):
        forget_peak(process.pid)
    try:
        attack.does(run)
    except Exception as fault:  # noqa: BLE001 - run the other attacks after any error
        note = f"{type(fault).__name__}: {fault}".partition("\n")[0]
        figures.add("done to the end", 0, limit="= 1", note=note)
    finally:
        run.close()
    ground.discard(store) if run.unusable else ground.after(store)
    return figures


def remove_own_folders() -> None:
    """Remove folders that a signal left behind before they were noted."""
    for folder in Path(SCRATCH).glob(f"{PREFIX}{os.getpid()}-*"):
        shutil.rmtree(folder, ignore_errors=True)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([attack.name for attack in in_order()]))
@click.option("--store", "only", type=click.Choice(ALL), help="Only on this store.")
@click.option("--scale", default=1.0, show_default=True, help="How much of each attack.")
def main(names: tuple[str, ...], only: str | None, scale: float) -> None:
    """Attack a real Firsthand, and print the cost for others."""
    exit_on(signal.SIGINT, signal.SIGTERM)  # a parent may have set them to be ignored
    atexit.register(remove_own_folders)
    short, began = bool(os.environ.get("ATTACK_SHORT")), time.monotonic()
    available = ["sqlite", *(["postgresql"] if postgres.find_postgres() else [])]
    stores = [store for store in available if only in (None, store)]
    sweep_abandoned_folders()
    report, figures = Report(short=short, whole=not (names or only)), list[Figure]()
    with Ground() as ground:
        for attack, store in wanted(names, stores, short=short):
            click.echo(f"{attack.name} on {store}: {attack.says} …", err=True)
            attack_figures = attacked(ground, attack, store, short=short, scale=scale)
            figures += attack_figures.figures
            report.keep(attack_figures.figures)
    click.echo("\n".join(lines(figures)))
    missed = sum(not figure.ok for figure in figures)
    path = report.path.relative_to(ROOT)
    click.echo(f"{missed} limits missed; {path} written, {time.monotonic() - began:.0f} s")
    sys.exit(bool(missed) or not figures)


if __name__ == "__main__":
    main()
