"""Whatever dies, fails or is late in the simulation, no event is lost, duplicated or rewritten.

`python -m tests.simulation.run --seeds 5000` is the long form. A failure prints its seed.
"""

import os
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from shared.crashpoints import POINTS
from tests.chaos.broken import BUILDS, Broken
from tests.house.files import ROOT
from tests.simulation.run import MEMORY
from tests.simulation.template import Template
from tests.simulation.world import World, simulate

SEEDS, PARTS = 80, 2
SEEDS_OF_THE_BROKEN = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_the_invariants_hold_whatever_the_seed(part: int) -> None:
    broken: dict[str, list[str]] = {}
    died = Counter[str]()

    def tick(seed: int, world: World, violations: list[str]) -> None:
        died.update(world.died)
        if violations:
            broken[f"python -m tests.simulation.run --seeds 1 --first {seed}"] = violations

    count = SEEDS // PARTS
    parent = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        simulate(Template(Path(folder)), range(part * count + 1, part * count + count + 1), tick)
    assert broken == {}
    assert set(died) == set(POINTS), "a crash point where no process died"


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.invariant)
def test_a_build_that_breaks_an_invariant_is_found(build: Broken, tmp_path: Path) -> None:
    done = subprocess.run(
        [*build.command("tests.simulation.run"), "--seeds", str(SEEDS_OF_THE_BROKEN)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    reported = re.findall(r"I[1-5]\b", done.stdout.rpartition("broken:")[2])
    assert reported == [build.invariant], done.stdout
    assert "again: python -m tests.simulation.run --first" in done.stdout
