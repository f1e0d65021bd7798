"""T5 and T6: auditing a whole ledger on one core, and auditing one that grows."""

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

# An audit does everything that a replay does, so it is measured, in a build that has it.
COMMANDS = {"audit": ("audit",), "replay": ("replay", "--all")}
BETWEEN = """
import os, sys
null = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=null)
_, status, used = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
SMALLER = 4  # the whole ledger is compared with one that is this many times smaller
PART = 40_000  # events that a growing ledger gets at once, each time of new people
EVENTS_EACH = 40  # events of each of them


@dataclass(frozen=True)
class Pass:
    """A pass over a ledger: entries a second, and the maximum of memory in MB."""

    rate: float
    memory: float


@dataclass(frozen=True)
class Size:
    """A ledger of so many entries: the last events' rate, and an audit of the whole ledger."""

    entries: int
    projected: float
    audited: float
    memory: float


def command() -> str:
    """Return the first of `COMMANDS` that this build has."""
    help_text = subprocess.run([*FIRSTHAND, "--help"], capture_output=True, text=True, check=True)
    return next(
        name for name in COMMANDS if re.search(rf"^  {name} ", help_text.stdout, re.MULTILINE)
    )


def grown(ledger: Ours, posts: Sequence[tuple[str, bytes]], command: str) -> tuple[Pass, Pass]:
    """Measure a command over a part of the events, and over all of them.

    The command's start does not count: a rate is computed from added entries and added time.
    """
    sizes = [len(posts) // SMALLER**2, len(posts) // SMALLER, len(posts)]
    spent: list[tuple[float, float]] = []
    for before, size in zip([0, *sizes], sizes, strict=False):
        ledger.record(posts[before:size])
        spent.append(go_over(ledger, command))
    return _between(sizes[:2], spent[:2]), _between(sizes[1:], spent[1:])


def growth(ledger: Ours, sizes: Sequence[int]) -> list[Size]:
    """Measure a ledger at these sizes, each a part of the next, with more people each time.

    An audit's rate is of CPU seconds, including its start.
    """
    measured, size, projected = list[Size](), 0, 0.0
    for aim in sizes:
        while size < aim:
            count = min(PART, aim - size)
            posts = sample.story(count // EVENTS_EACH, count, seed=size, first=size // EVENTS_EACH)
            projected, size = ledger.drain_rate(posts), size + count
        seconds, memory = go_over(ledger, command())
        measured.append(Size(size, projected, size / seconds, memory))
    return measured


def _between(sizes: Sequence[int], used: Sequence[tuple[float, float]]) -> Pass:
    (earlier, _), (later, memory) = used
    return Pass((sizes[1] - sizes[0]) / max(later - earlier, 0.001), memory)


def go_over(ledger: Ours, command: str) -> tuple[float, float]:
    """Return CPU seconds and MB of a command over the ledger; ServerError if it has findings."""
    with on_core(SERVER_CORE):
        status, seconds, memory = used([*FIRSTHAND, *COMMANDS[command]], ledger.variables)
    if status != 0:
        raise ServerError(f"'firsthand {command}' ended with status {status}")
    return seconds, memory


def used(command: Sequence[str], variables: Mapping[str, str]) -> tuple[int, float, float]:
    """Return a command's status, CPU seconds, and maximum of memory in MB.

    A process between us starts it. Linux counts the memory of the process that calls exec as the
    new program's (getrusage(2), ru_maxrss), and ours would hide the measurement.
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
