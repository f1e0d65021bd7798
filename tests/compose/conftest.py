"""One composition for all tests that need it; skipped, in words, where it cannot run."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.compose.composition import Composition
from tests.compose.engine import PROGRAMS
from tests.postgres import find_postgres

LACKING = [each for each in PROGRAMS if shutil.which(each) is None]
LACKING += [] if shutil.which("valkey-cli") or shutil.which("redis-cli") else ["redis-cli"]
LACKING += [] if find_postgres() else ["postgres"]
LACKING += [] if sys.platform == "linux" and os.geteuid() == 0 else ["root on Linux"]


@pytest.fixture(scope="session")
def composition() -> Iterator[Composition]:
    """All of it, running."""
    if LACKING:
        pytest.skip(f"compose cannot be tried here; it lacks {', '.join(LACKING)}")
    with Composition(scale={"worker": 2}) as running:
        yield running


@pytest.fixture
def compose(composition: Composition, in_matrix: Callable[..., None]) -> Composition:
    """All of it, healthy, noted in the matrix."""
    in_matrix(store="postgresql", queue="valkey")
    return composition
