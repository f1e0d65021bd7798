"""Live through many seeds: `python -m tests.simulation.run --seeds 5000 [--first 1]`.

Prints each seed that broke something with what it broke, and ends with status 1 then.
"""

import tempfile
from collections import Counter
from pathlib import Path

import click

from tests.simulation.template import Template
from tests.simulation.world import World, simulate

MEMORY = Path("/dev/shm")  # noqa: S108 - a private folder is made in it; nothing here need survive


@click.command()
@click.option("--seeds", default=200, show_default=True)
@click.option("--first", default=1, show_default=True)
def main(seeds: int, first: int) -> None:
    """Simulate crashes."""
    died, broken = Counter[str](), Counter[str]()
    counts = Counter[str]()

    def tick(seed: int, world: World, found: list[str]) -> None:
        died.update(world.died)
        broken.update(each.partition(":")[0] for each in found)
        counts["acknowledged"] += sum(map(len, world.taken.values()))
        counts["receipts"] += len(world.heard.receipts)
        if found:
            click.echo(f"seed {seed}: {', '.join(found)}")
            click.echo(f"  again: python -m tests.simulation.run --first {seed} --seeds 1")

    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        simulate(Template(Path(folder)), range(first, first + seeds), tick)
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    click.echo(f"{seeds} seeds, {told}, {died.total():,} deaths at {len(died)} crash points")
    click.echo(f"broken: {' '.join(sorted(broken)) or 'nothing'}")
    raise SystemExit(bool(broken))


if __name__ == "__main__":
    main()
