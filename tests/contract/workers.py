"""A real `firsthand worker`, for as long as a block lasts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.contract.ledgers import Ledger
from tests.process import PATIENCE, Server, wait_until

ROOT = Path(__file__).parents[2]


class Worker(Server):
    """One worker process of a ledger; it is there when it has taken up its work."""

    name = "worker"

    def __init__(self, ledger: Ledger, *options: str) -> None:
        super().__init__()
        self._ledger = ledger
        self._options = options

    def command(self) -> list[str]:
        """As it is typed."""
        return [sys.executable, "-m", "services.cli", "worker", *self._options]

    def environment(self) -> dict[str, str]:
        """The ledger's settings, besides ours."""
        return {
            **os.environ,
            **self._ledger.environment,
            "PYTHONPATH": str(ROOT),
            "PYTHONFAULTHANDLER": "1",
        }

    def answers(self) -> bool:
        """RQ's worker is known to the queue when it listens; a sweeper says nothing."""
        if "--no-rq" in self._options:
            return True
        return bool(self._ledger.inbox().redis.smembers("{firsthand}:rq:workers"))

    def start_and_wait_for(self, said: str) -> None:
        """Start anew, and return as soon as its log says this once more."""
        before = self.said().count(said) if self.log.exists() else 0
        self._launch()
        wait_until(lambda: self.said().count(said) > before or self.pid is None, said)

    def terminate(self) -> int:
        """SIGTERM; its exit status. If it does not end, its log tells where it hangs."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(PATIENCE)
            raise AssertionError(f"it did not stop:\n{self.said()[-6000:]}") from None

    def said(self) -> str:
        """Its log."""
        return self.log.read_text()

    @property
    def lives(self) -> bool:
        """Whether it still works."""
        return self.pid is not None


def ended(ledger: Ledger, *options: str) -> subprocess.CompletedProcess[str]:
    """A worker that is to end by itself, soon."""
    command = [sys.executable, "-m", "services.cli", "worker", *options]
    environment = {**os.environ, **ledger.environment, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def until_drained(ledger: Ledger, patience: float) -> None:
    """Wait until nothing waits."""
    inbox = ledger.inbox()
    wait_until(lambda: inbox.length(0) == 0, "the inbox to be drained", patience)
