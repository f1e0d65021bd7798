"""`firsthand up`, as a person would start it: a process of its own, on free ports, in a folder.

with Up(folder) as up:
    up.post(token, event)
    up.shell(up.lines[0])
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from services.operations.embedded_queue import queue_server
from shared.auth.tokens import local_token
from shared.events.event import Json
from tests.ports import free_port
from tests.process import PATIENCE, children_of, is_running, wait_until

COMMAND = Path(sys.executable).with_name("firsthand")
MEDIA_TYPE = "application/cloudevents+json"
LAST_LINE = "Ctrl-C stops everything."


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a shell has that never heard of Firsthand."""
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **more}


def event(kind: str, data: Any, subject: str, **more: Any) -> Json:
    """A CloudEvent with a fresh id."""
    whole = {"specversion": "1.0", "id": str(uuid4()), "source": "/tests", "subject": subject}
    return {**whole, "type": kind, "data": data, **more}


def somebody(role: str = "person") -> str:
    """An id that nobody else in these tests has."""
    return f"{role}:{uuid4().hex[:12]}"


def descendants(pid: int) -> Iterator[int]:
    """Every process below one."""
    for child in children_of(pid):
        yield child
        yield from descendants(child)


class Up:
    """One `firsthand up`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.ports = free_port(), free_port(), free_port()
        self.intake, self.ledger, self.worker = (f"http://127.0.0.1:{port}" for port in self.ports)
        self.environment = environment(folder, **settings)
        self.said: list[str] = []
        self.below: list[int] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._errors = folder / "stderr"

    def __enter__(self) -> Self:
        """Start, and wait until it has said everything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.said.clear()
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C is for this group, not for the tests
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            wait_until(lambda: self._is_up() or self.status is not None, f"up\n{self.errors}")
            assert self.status is None, self.errors
        except BaseException:
            self.stop()
            raise
        self.below = list(descendants(self.process.pid))
        self.client = httpx.Client(timeout=40, trust_env=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, whatever happened; and what a test left running is not left to the machine."""
        self.client.close()
        if self.status is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self._end()
        finally:
            for pid in filter(is_running, self.below):
                os.kill(pid, signal.SIGKILL)

    def command(self) -> list[str]:
        """What is typed."""
        ports = [f"--intake-port={self.ports[0]}", f"--ledger-port={self.ports[1]}"]
        ports.append(f"--metrics-port={self.ports[2]}")
        return [str(COMMAND), "up", f"--data={self.data}", *ports]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.said += lines

    def _is_up(self) -> bool:
        return any(LAST_LINE in line for line in self.said)

    @property
    def queue(self) -> str:
        """Which queue server it found: valkey or redis."""
        return queue_server().name.lower()

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The process that was started."""
        assert self._process is not None
        return self._process

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self.process.poll()

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text()

    @property
    def lines(self) -> list[str]:
        """The three lines to paste."""
        return [line.strip() for line in self.said if f"--data {self.data}" in line]

    @property
    def tokens(self) -> dict[str, str]:
        """The printed tokens by subject."""
        found = (
            re.fullmatch(r"\s*(\w+:\w+)\s+([\w-]+\.[\w-]+\.[\w-]+)\s*", each) for each in self.said
        )
        return {each[1]: each[2] for each in found if each}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and wait until nothing is left of it."""
        if self.status is None:
            self.process.send_signal(number)
        return self._end()

    def interrupt(self) -> int:
        """Ctrl-C: the terminal tells the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self._end()

    def _end(self) -> int:
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            if self._reader is not None:
                self._reader.join(10)
        return status

    def nothing_is_left(self) -> None:
        """Wait until every process below it has ended."""
        wait_until(lambda: not any(map(is_running, self.below)), "its processes to end")

    def shell(self, line: str) -> "subprocess.CompletedProcess[str]":
        """A line pasted into another shell."""
        return subprocess.run(
            ["bash", "-c", line],
            env=environment(self.folder),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The command, in the same environment as `up`."""
        return subprocess.run(
            [str(COMMAND), *words, f"--data={self.data}"],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def bearer(self, subject: str) -> dict[str, str]:
        """A header with a token of the local key."""
        return {"Authorization": f"Bearer {local_token(self.data / 'keys', subject)}"}

    def post(self, author: str, told: Json, wait: int = 20) -> httpx.Response:
        """Post an event and wait for its fate."""
        headers = {**self.bearer(author), "Content-Type": MEDIA_TYPE}
        headers |= {"Prefer": f"wait={wait}"} if wait else {}
        return self.client.post(f"{self.intake}/events", json=told, headers=headers)

    def say(self, author: str, kind: str, data: Any, person: str, **more: Any) -> Json:
        """Post an event that is accepted; the event."""
        told = event(kind, data, person, **more)
        answer = self.post(author, told)
        assert answer.status_code == 201, answer.text
        return told

    def get(self, reader: str, path: str, person: str, **headers: str) -> httpx.Response:
        """Read something about a person."""
        url = f"{self.ledger}/people/{person}/{path}"
        return self.client.get(url, headers=self.bearer(reader) | headers)

    def history(self, person: str) -> list[Json]:
        """A person's history, as they read it."""
        return list(self.get(person, "history?limit=500", person).json()["entries"])
