"""T5 and T6: going over a whole ledger again, on one core, and over one that grows."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks import sample
from tests.benchmarks.ours import FIRSTHAND, Ours
from tests.benchmarks.processes import SERVER_CORE, on_core
from tests.process import ServerError

# An audit does all that a replay does, so it is what is measured, in a build that has it.
COMMANDS = {"audit": ("audit",), "replay": ("replay", "--all")}
BETWEEN = """
import os, sys
null = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=null)
_, status, used = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
SMALLER = 4  # times smaller is the ledger that the whole one is compared with
PART = 40_000  # events that a growing ledger is given at once, of as many new people each time
EACH = 40  # events of each of them


@dataclass(frozen=True)
class Pass:
    """A pass over a ledger: entries a second, and MB of memory at most."""

    rate: float
    memory: float


@dataclass(frozen=True)
class Size:
    """A ledger of so many entries: events a second that came last, and an audit of all of it."""

    entries: int
    projected: float
    audited: float
    memory: float


def command() -> str:
    """The first of `COMMANDS` that this build has."""
    told = subprocess.run([*FIRSTHAND, "--help"], capture_output=True, text=True, check=True)
    return next(each for each in COMMANDS if re.search(rf"^  {each} ", told.stdout, re.MULTILINE))


def grown(mine: Ours, told: Sequence[tuple[str, bytes]], asked: str) -> tuple[Pass, Pass]:
    """Passes of a command over a part of the events, and over all of them.

    What the command takes to begin does not count: a rate is what the entries took that came on
    top.
    """
    sizes = [len(told) // SMALLER**2, len(told) // SMALLER, len(told)]
    spent: list[tuple[float, float]] = []
    for before, size in zip([0, *sizes], sizes, strict=False):
        mine.record(told[before:size])
        spent.append(go_over(mine, asked))
    return _between(sizes[:2], spent[:2]), _between(sizes[1:], spent[1:])


def growth(mine: Ours, sizes: Sequence[int]) -> list[Size]:
    """A ledger at these sizes, each a part of the next, with more people rather than longer plans.

    An audit's rate is of CPU seconds, its start among them.
    """
    found, size, projected = list[Size](), 0, 0.0
    for aim in sizes:
        while size < aim:
            count = min(PART, aim - size)
            told = sample.story(count // EACH, count, seed=size, first=size // EACH)
            projected, size = mine.drain_rate(told), size + count
        seconds, memory = go_over(mine, command())
        found.append(Size(size, projected, size / seconds, memory))
    return found


def _between(sizes: Sequence[int], used: Sequence[tuple[float, float]]) -> Pass:
    (earlier, _), (later, memory) = used
    return Pass((sizes[1] - sizes[0]) / max(later - earlier, 0.001), memory)


def go_over(mine: Ours, command: str) -> tuple[float, float]:
    """CPU seconds and MB of a command over the ledger; ServerError if it found a fault."""
    with on_core(SERVER_CORE):
        status, seconds, memory = used([*FIRSTHAND, *COMMANDS[command]], mine.variables)
    if status != 0:
        raise ServerError(f"'firsthand {command}' ended with status {status}")
    return seconds, memory


def used(command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, float, float]:
    """A command's status, CPU seconds, and MB of memory at most.

    A process between us starts it: Linux counts the memory of whoever calls exec as the new
    program's (getrusage(2), ru_maxrss), and ours would hide what is measured.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", BETWEEN, *command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    status, seconds, kilobytes = done.stdout.split()
    return int(status), float(seconds), int(kilobytes) / 1024
