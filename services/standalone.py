"""Everything on one machine, with nothing to install: an embedded Valkey, SQLite, and each
service as a process of its own, under one supervisor.

The queue's server (services/embedded.py) listens on a socket that only we can open, and fsyncs
every write before it answers.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Self

from services.embedded import Program, Tail, note, queue_server
from services.ledger.config import LedgerSettings
from shared.inbox import Queues, answers
from shared.keyfiles import put
from shared.problems import Unsafe
from shared.processes import check_port, die_with_parent

START_SECONDS = 60  # each; on a busy machine a start takes long, and one that fails ends at once
STOP_SECONDS = 45  # intake answers who waits for a verdict, and they may wait for 30 s
_OWNER = {"FIRSTHAND_DATABASE_OWNER_URL", "FIRSTHAND_DATABASE_OWNER_URL_FILE"}  # for `init` alone
_DATABASE = {  # never seen by intake
    f"FIRSTHAND_DATABASE_{name}" for name in ("URL", "URL_FILE", "READER_URL", "READER_URL_FILE")
}


def _queue_command(settings: LedgerSettings, server: Program) -> list[str]:
    place = Path(settings.queue_url.removeprefix("unix://"))
    if place.parent != settings.data.absolute():  # a data folder too deep for a socket's name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if place.parent.stat().st_uid != os.getuid():
            raise Unsafe(f"{place.parent} is not ours")
    options = {
        "port": "0",
        "unixsocket": str(place),
        "unixsocketperm": "700",
        "dir": str(settings.data.absolute()),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory": settings.queue_memory,
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [
        server.program,
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def _in_the_child() -> None:
    """Ctrl-C is told to the whole group, and is for us alone: we stop each service in turn."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    die_with_parent()


class Everything:
    """The supervisor: starts each process, waits until all answer, stops them in turn."""

    def __init__(
        self, settings: LedgerSettings, *, intake_port: int, ledger_port: int, metrics_port: int = 0
    ) -> None:
        self.settings = settings
        self.metrics_port = metrics_port
        self.intake_port = intake_port
        self.ledger_port = ledger_port
        self.intake = f"http://127.0.0.1:{intake_port}"
        self.ledger = f"http://127.0.0.1:{ledger_port}"
        self.worker = f"http://127.0.0.1:{metrics_port}" if metrics_port else None
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._queue_said: Tail | None = None

    def __enter__(self) -> Self:
        Queues.connect(self.settings.queue_urls)  # an address that is none is said before a start
        self._lock = _lock(self.settings.data)
        for name in ("intake", "ledger", "metrics"):
            if port := getattr(self, f"{name}_port"):
                check_port("127.0.0.1", port, f"--{name}-port")
        try:
            if not self.settings.redis_url:
                self.start_queue()
            command = [sys.executable, "-m", "services.cli"]
            self._start("worker", [*command, "worker"])
            self._start("ledger", [*command, "ledger", "--port", str(self.ledger_port)])
            self._start("intake", [*command, "intake", "--port", str(self.intake_port)])
            self._until("ledger", lambda: _answers(self.ledger_port))
            self._until("intake", lambda: _answers(self.intake_port))
            place = {"intake": self.intake, "ledger": self.ledger}
            put(self.settings.data / "up.json", json.dumps(place).encode(), 0o600)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_queue(self) -> None:
        """The queue alone, until it has read its file."""
        server = queue_server(self.settings.data, self.settings.queue_server)
        self._queue_said = said = Tail()
        try:
            self._start("queue", _queue_command(self.settings, server), said.writing)
        finally:
            said.started()
        self._until("queue", lambda: answers(self.settings.queue_url))
        note(self.settings.data, server)

    def __exit__(self, *_: object) -> None:
        """Stop all of it, and let others run it."""
        (self.settings.data / "up.json").unlink(missing_ok=True)
        self.stop()
        self._lock.close()

    def stop(self) -> None:
        """Stop each in turn: who takes events first, the queue last."""
        for _name, child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._queue_said:
            self._queue_said.close()
            self._queue_said = None
        place = Path(self.settings.queue_url.removeprefix("unix://"))
        if not self.settings.redis_url and place.parent != self.settings.data.absolute():
            shutil.rmtree(place.parent, ignore_errors=True)

    def _start(self, name: str, command: list[str], output: int | None = None) -> None:
        hidden = _OWNER if name in ("worker", "ledger") else _OWNER | _DATABASE
        environment = {each: value for each, value in os.environ.items() if each not in hidden}
        environment["FIRSTHAND_DATA"] = str(self.settings.data.absolute())
        if name == "worker":
            environment["FIRSTHAND_METRICS_PORT"] = str(self.metrics_port)
        child = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_in_the_child,  # noqa: PLW1509 - no threads here yet
        )
        self._children.append((name, child))

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        while not ready():
            self._all_alive()
            if time.monotonic() > until:
                raise Unsafe(f"{name} did not answer within {START_SECONDS} s{self._said_by(name)}")
            time.sleep(0.02)

    def _all_alive(self) -> None:
        if self._queue_said:
            self._queue_said.read()
        for name, child in self._children:
            if (status := child.poll()) is not None:
                raise Unsafe(f"{name} ended by itself (status {status}){self._said_by(name)}")

    def _said_by(self, name: str) -> str:
        """Where to read why a child failed: its own last lines, where nobody else saw them."""
        if name != "queue" or self._queue_said is None:
            return "; see above"
        lines = self._queue_said.read()
        return f"; its last lines: {' | '.join(lines)}" if lines else "; it wrote nothing"

    def wait(self) -> None:
        """Until Ctrl-C or SIGTERM. Unsafe if a service ends by itself."""
        asked: list[int] = []

        def ask(number: int, _: FrameType | None) -> None:
            asked.append(number)

        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, ask)
        while not asked:
            self._all_alive()
            time.sleep(0.2)


@contextmanager
def queue_at_hand(settings: LedgerSettings) -> Iterator[None]:
    """The queue that `up` runs, while the block lasts: started for that if `up` does not run, since
    what was published stands in it.
    """
    everything = Everything(settings, intake_port=0, ledger_port=0)
    if settings.redis_url or answers(settings.queue_url):
        yield
        return
    try:
        everything.start_queue()
        yield
    finally:
        everything.stop()


def _lock(folder: Path) -> BinaryIO:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (folder / "up.lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Unsafe(f"'firsthand up' already runs on {folder}") from None
    return file


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
