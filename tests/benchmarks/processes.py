"""Processes under measurement: each on its core, each stopped at the end of its block."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.benchmarks.load import Address
from tests.process import Server, ServerError

AnyServer = TypeVar("AnyServer", bound=Server)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = HERE / "peers"
BUILD = ROOT / "build"
PEER_LOCK = HERE / "requirements.lock"

SERVER_CORE, LOAD_CORE = 0, 1
POLL = 0.002  # seconds between two checks of a draining queue
STALL = 60.0  # seconds without progress before a drain has failed


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run this process, and all processes it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def beside_the_load(server: AnyServer) -> Iterator[AnyServer]:
    """Run a server that is not measured on the load's core, for the block."""
    with contextlib.ExitStack() as stack:
        with on_core(LOAD_CORE):
            stack.enter_context(server)
        yield server


def listens(port: int) -> bool:
    """Return whether the port accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Service(Server):
    """Any command that listens on a port (`port=None`: a worker, ready when it runs)."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        *,
        port: int | None = None,
        core: int = SERVER_CORE,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing runs yet."""
        self.name = name
        super().__init__()
        self.words = list(words)
        self.port = port
        self.core = core
        self.variables = dict(variables or {})

    @property
    def address(self) -> Address:
        """Return its address."""
        if self.port is None:
            raise ServerError(f"{self.name} listens nowhere")
        return "127.0.0.1", self.port

    def command(self) -> list[str]:
        """Return the command."""
        return self.words

    def environment(self) -> dict[str, str]:
        """Return our environment plus its variables."""
        return {**os.environ, **self.variables}

    def answers(self) -> bool:
        """Return whether it listens."""
        return self.port is None or listens(self.port)

    def start(self) -> None:
        """Start on its core."""
        with on_core(self.core):
            super().start()


def peer_python() -> str:
    """Return the Python of the peers' environment, made on first use from its lock file."""
    folder = BUILD / "bench-venv"
    mark = folder / "installed.lock"
    python = str(folder / "bin" / "python")
    if not mark.is_file() or mark.read_bytes() != PEER_LOCK.read_bytes():
        print(f"installing the peers into {folder.relative_to(ROOT)} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--require-hashes", "-r", PEER_LOCK], check=True)
        mark.write_bytes(PEER_LOCK.read_bytes())
    return python


def drain_rate(length: Callable[[], int], running: Callable[[], bool]) -> float:
    """Return the items a second with which a queue is emptied, from its first step to its last.

    The first step does not count, because its duration is unknown.
    """
    full = length()
    first, first_time = full, 0.0
    last, progress = full, time.perf_counter()
    while True:
        left, now = length(), time.perf_counter()
        if left < last:
            last, progress = left, now
            if first == full:
                first, first_time = left, now
        if left == 0:
            break
        if now - progress > STALL or not running():
            raise ServerError(f"the queue still holds {left} of {full}")
        time.sleep(POLL)
    if first == 0:
        raise ServerError(f"{full} items went in one step: too few to measure")
    return first / (progress - first_time)
