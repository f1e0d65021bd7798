"""Simulate many seeds: `python -m tests.simulation.run --seeds 5000 [--first 1]`.

Prints each seed that broke an invariant, and ends with status 1 if there is one.
"""

import tempfile
from collections import Counter
from pathlib import Path

import click

from tests.simulation.template import Template
from tests.simulation.world import World, simulate

MEMORY = Path("/dev/shm")  # noqa: S108 - holds a private folder with temporary data


@click.command()
@click.option("--seeds", default=200, show_default=True)
@click.option("--first", default=1, show_default=True)
def main(seeds: int, first: int) -> None:
    """Simulate crashes."""
    died, broken = Counter[str](), Counter[str]()
    counts = Counter[str]()

    def report(seed: int, world: World, violations: list[str]) -> None:
        died.update(world.died)
        broken.update(violation.partition(":")[0] for violation in violations)
        counts["acknowledged"] += sum(map(len, world.taken.values()))
        counts["receipts"] += len(world.observed.receipts)
        if violations:
            click.echo(f"seed {seed}: {', '.join(violations)}")
            click.echo(f"  again: python -m tests.simulation.run --first {seed} --seeds 1")

    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        simulate(Template(Path(folder)), range(first, first + seeds), report)
    summary = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    click.echo(f"{seeds} seeds, {summary}, {died.total():,} deaths at {len(died)} crash points")
    click.echo(f"broken: {' '.join(sorted(broken)) or 'nothing'}")
    raise SystemExit(bool(broken))


if __name__ == "__main__":
    main()
