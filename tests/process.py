"""A server's process and folder, for as long as a block lasts; see `servers.py`, `postgres.py`.

Leaving the block stops the server and removes its folder. If the tests are killed, the kernel ends
the server (`launch.py`) and the next run removes the folder.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

LAUNCHER = Path(__file__).with_name("launch.py")
SCRATCH = "/tmp"  # noqa: S108 - a unix socket's path has 107 bytes at most; TMPDIR may be longer
PREFIX = "firsthand-tests-"
PATIENCE = 60.0  # seconds a server may take to start, or to stop, on a busy machine


class ServerError(RuntimeError):
    """A server did not start or did not stop; the message ends with its log."""


def scratch_folder() -> Path:
    """Make a private folder, named after the process that must remove it."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=SCRATCH))


def sweep_abandoned_folders() -> None:
    """Remove the folders of test runs that were killed."""
    for folder in Path(SCRATCH).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another run may be sweeping, too
            ours = folder.lstat().st_uid == os.geteuid()
            if ours and owner.isdigit() and not is_running(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)


def is_running(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process; none where the kernel does not list them."""
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in listed.split()]
    return []


def wait_until(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Poll until the condition is true; raise ServerError after `patience` seconds."""
    end = time.monotonic() + patience
    while not true():
        if time.monotonic() > end:
            raise ServerError(f"waited {patience:g} s for {what}")
        time.sleep(0.005)


def as_in_a_terminal() -> None:
    """Restore default signals, as for a program started in a terminal; for `preexec_fn`.

    A background job of a shell ignores SIGINT, and so do its children.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Server(ABC):
    """One process with its own folder. A subclass defines how to start it and when it is ready."""

    name: str
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    user: str = "-"

    def __init__(self) -> None:
        """Make the folder; nothing runs yet."""
        self.folder = scratch_folder()
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start; on failure remove everything."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and remove the folder, whatever happened in the block."""
        self.close()

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program, by its full path, and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server accepts requests now."""

    def environment(self) -> dict[str, str]:
        """Return the environment: ours, unless a subclass adds to it."""
        return dict(os.environ)

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs, else None."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start on the existing data and wait for an answer; do nothing if it runs."""
        if self.pid is not None:
            return
        self._launch()
        try:
            wait_until(lambda: self.pid is None or self.answers(), f"{self.name} to answer")
        except ServerError as error:
            raise ServerError(f"{error}\n{self._end_of_log()}") from None
        if self.pid is None:
            raise ServerError(f"{self.name} did not start\n{self._end_of_log()}")

    def ask_to_end(self) -> None:
        """Send the signal for an orderly stop, and do not wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.stop_signal)

    def stop(self) -> None:
        """Stop the server in good order; kill it if it does not stop in time."""
        self.ask_to_end()
        try:
            if self._process is not None:
                self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the server and its children: nothing is flushed."""
        if self.pid is None or self._process is None:
            return
        children = children_of(self._process.pid)
        self._process.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait(PATIENCE)
        wait_until(lambda: not any(map(is_running, children)), f"{self.name}'s children to end")

    def close(self) -> None:
        """Stop and remove the folder. First show the log if the server ended by itself."""
        if self._process is not None and (status := self._process.poll()):
            sys.stderr.write(f"{self.name} had ended, status {status}\n{self._end_of_log()}\n")
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder)

    def _launch(self) -> None:
        """Start the process in its own group: Ctrl-C is for the tests, not for the server."""
        # The death signal fires when the *thread* that started the server ends.
        in_main = threading.current_thread() is threading.main_thread()
        death = str(int(self.death_signal)) if in_main else "0"
        launcher = [sys.executable, "-IS", str(LAUNCHER), str(os.getpid()), death, self.user]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*launcher, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment(),
                process_group=0,
            )

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
