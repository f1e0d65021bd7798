"""Child processes of the supervisor: environment, start, monitoring and stop."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from shared.errors import PreconditionFailed
from shared.process import die_with_parent

START_SECONDS = 60  # per process; a start may be slow, but a failed one ends at once
STOP_SECONDS = 45  # intake answers pending requests, which may wait 30 s for a verdict
_OWNER = {"FIRSTHAND_DATABASE_OWNER_URL", "FIRSTHAND_DATABASE_OWNER_URL_FILE"}  # for `init` only
_DATABASE = {  # hidden from intake
    f"FIRSTHAND_DATABASE_{name}" for name in ("URL", "URL_FILE", "READER_URL", "READER_URL_FILE")
}


def environment(data: Path, *, database: bool = False, **extra: str) -> dict[str, str]:
    """Return this process's environment for a child; database URLs only if it needs them."""
    hidden = _OWNER if database else _OWNER | _DATABASE
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**inherited, "FIRSTHAND_DATA": str(data.absolute()), **extra}


class ChildProcess:
    """A child process, from its start until it is stopped."""

    def __init__(
        self, name: str, command: list[str], env: dict[str, str], output: int | None = None
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(  # noqa: S603 - this project's programs
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_prepare_child,  # noqa: PLW1509 - no threads here yet
        )

    def wait_until(self, ready: Callable[[], bool], check: Callable[[], None]) -> None:
        """Wait until `ready` holds, and call `check` meanwhile. Raises PreconditionFailed on
        time-out.
        """
        until = time.monotonic() + START_SECONDS
        while not ready():
            check()
            if time.monotonic() > until:
                late = f"{self.name} did not answer within {START_SECONDS} s"
                raise PreconditionFailed(f"{late}{self._last_words()}")
            time.sleep(0.02)

    def check(self) -> None:
        """Raise PreconditionFailed if the process has ended."""
        if (status := self._process.poll()) is not None:
            raise PreconditionFailed(
                f"{self.name} exited unexpectedly (status {status}){self._last_words()}"
            )

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        """Return a hint where to read why the process failed."""
        return "; see above"


def _prepare_child() -> None:
    """Block SIGINT, which Ctrl-C sends to the whole group; the supervisor stops the children."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    die_with_parent()
