"""Supervisor of the local stack: an embedded Valkey, SQLite, and one process per service.

The queue's server (services/operations/embedded_queue.py) listens on a private socket, and fsyncs
every write before it answers.
"""

import json
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Self

from services.ledger.config import LedgerSettings
from services.operations.child_process import ChildProcess, environment
from services.operations.embedded_queue import start_queue
from shared.errors import PreconditionFailed
from shared.files import try_lock, write_atomically
from shared.inbox.servers import RedisServers
from shared.process import check_port


class LocalStack:
    """Supervisor that starts each process, waits until all answer, and stops them in turn."""

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
        self._children: list[ChildProcess] = []

    def __enter__(self) -> Self:
        RedisServers.connect(self.settings.queue_urls)  # report an invalid URL before starting
        self._lock = _lock(self.settings.data)
        for name in ("intake", "ledger", "metrics"):
            if port := getattr(self, f"{name}_port"):
                check_port("127.0.0.1", port, f"--{name}-port")
        try:
            if not self.settings.redis_url:
                self.start_queue()
            self._start("worker", FIRSTHAND_METRICS_PORT=str(self.metrics_port))
            ledger = self._start("ledger", "--port", str(self.ledger_port))
            intake = self._start("intake", "--port", str(self.intake_port))
            ledger.wait_until(lambda: _answers(self.ledger_port), self._all_alive)
            intake.wait_until(lambda: _answers(self.intake_port), self._all_alive)
            addresses = {"intake": self.intake, "ledger": self.ledger}
            write_atomically(self.settings.data / "up.json", json.dumps(addresses).encode(), 0o600)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_queue(self) -> None:
        """Start only the queue, and wait until it has loaded its data."""
        self._children.append(start_queue(self.settings))

    def __exit__(self, *_: object) -> None:
        """Stop all processes and release the lock."""
        (self.settings.data / "up.json").unlink(missing_ok=True)
        self.stop()
        self._lock.close()

    def stop(self) -> None:
        """Stop the processes in reverse order: intake first, the queue last."""
        while self._children:
            self._children[-1].stop()
            self._children.pop()

    def _start(self, name: str, *options: str, **extra: str) -> ChildProcess:
        command = [sys.executable, "-m", "services.cli", name, *options]
        env = environment(self.settings.data, database=name != "intake", **extra)
        child = ChildProcess(name, command, env)
        self._children.append(child)
        return child

    def _all_alive(self) -> None:
        for child in self._children:
            child.check()

    def wait(self) -> None:
        """Wait for Ctrl-C or SIGTERM. Raises PreconditionFailed if a service ends before."""
        signals: list[int] = []

        def stop(number: int, _: FrameType | None) -> None:
            signals.append(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        while not signals:
            self._all_alive()
            time.sleep(0.2)


def _lock(folder: Path) -> BinaryIO:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (file := try_lock(folder / "up.lock")) is None:
        raise PreconditionFailed(f"'firsthand up' already runs on {folder}")
    return file


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port that is currently unused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
