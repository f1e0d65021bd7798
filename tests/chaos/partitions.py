"""Eight partitions, two workers: the order of every person's events is preserved.

On PostgreSQL both workers drain at once. A SQLite ledger allows one writing process: the second
worker is refused while the first runs, and takes over when it is killed.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tests.chaos.runs import Run
from tests.chaos.system import System
from tests.process import wait_until

if TYPE_CHECKING:
    from tests.chaos.kill import Killing

PARTITIONS = 8


def eight_partitions(killing: "Killing", events: int) -> Iterator[dict[str, Any]]:
    """Run once on each store; yield the findings and the rate."""
    for store in killing.stores:
        with killing.system(store, partitions=PARTITIONS) as system:
            for process in (system.intake, system.worker):
                process.start()
            run = Run(system, "eight", 1, events)
            outcome = run.outcome(_both if store == "postgresql" else _one_after_the_other)
            replayed = system.replay()
        broken = [*outcome.broken, *([replayed] if replayed else [])]
        rate = round(outcome.recorded / (run.spent or 1))
        click.echo(
            f"eight partitions, two workers, {store}: {outcome.recorded:,} recorded, {rate}/s, "
            f"{outcome.out_of_order} out of order {' '.join(broken)}".rstrip()
        )
        yield {"store": store, "recorded": outcome.recorded, "per_second": rate, "bad": broken}


def _both(run: Run) -> None:
    run.system.second.again()
    run.post()
    run.mark()


def _one_after_the_other(run: Run) -> None:
    run.post()
    _refused(run.system)
    run.until(lambda: run.posters.took(len(run.events)), "some events to be accepted")
    run.mark()
    run.system.worker.kill()
    run.system.second.begin()


def _refused(system: System) -> None:
    """Check that the second worker ends by itself, with a reason."""
    with contextlib.closing(type(system.second)(system, "worker", listens=False)) as second:
        second.begin()
        wait_until(lambda: second.pid is None, "the second worker to be refused")
        output = second.log.read_text()
        assert "another worker writes" in output, output
