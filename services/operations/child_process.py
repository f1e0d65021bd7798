"""A child process of the supervisor: what it sees, and how it starts, is watched and is stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from shared.errors import PreconditionFailed
from shared.process import die_with_parent

START_SECONDS = 60  # each; on a busy machine a start takes long, and one that fails ends at once
STOP_SECONDS = 45  # intake answers who waits for a verdict, and they may wait for 30 s
_OWNER = {"FIRSTHAND_DATABASE_OWNER_URL", "FIRSTHAND_DATABASE_OWNER_URL_FILE"}  # for `init` alone
_DATABASE = {  # never seen by intake
    f"FIRSTHAND_DATABASE_{name}" for name in ("URL", "URL_FILE", "READER_URL", "READER_URL_FILE")
}


def environment(data: Path, *, database: bool = False, **extra: str) -> dict[str, str]:
    """Our own environment for a child, without the database's addresses unless it needs them."""
    hidden = _OWNER if database else _OWNER | _DATABASE
    ours = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**ours, "FIRSTHAND_DATA": str(data.absolute()), **extra}


class ChildProcess:
    """A child process, from its start until it is stopped."""

    def __init__(
        self, name: str, command: list[str], env: dict[str, str], output: int | None = None
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_in_the_child,  # noqa: PLW1509 - no threads here yet
        )

    def wait_until(self, ready: Callable[[], bool], check: Callable[[], None]) -> None:
        """Wait until it is ready, and `check` meanwhile; Unsafe if that takes too long."""
        until = time.monotonic() + START_SECONDS
        while not ready():
            check()
            if time.monotonic() > until:
                late = f"{self.name} did not answer within {START_SECONDS} s"
                raise PreconditionFailed(f"{late}{self._last_words()}")
            time.sleep(0.02)

    def check(self) -> None:
        """Raise Unsafe if it ended by itself."""
        if (status := self._process.poll()) is not None:
            raise PreconditionFailed(
                f"{self.name} ended by itself (status {status}){self._last_words()}"
            )

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        """Where to read why it failed."""
        return "; see above"


def _in_the_child() -> None:
    """Ctrl-C is sent to the whole group, and is for us alone: we stop each service in turn."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    die_with_parent()
