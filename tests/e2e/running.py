"""`firsthand up`, started as a person would: a separate process, on free ports, in a folder.

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
LAST_LINE = "Ctrl-C stops all services."


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a shell without Firsthand settings."""
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **more}


def event(kind: str, data: Any, subject: str, **more: Any) -> Json:
    """Return a CloudEvent with a new id."""
    attributes = {"specversion": "1.0", "id": str(uuid4()), "source": "/tests", "subject": subject}
    return {**attributes, "type": kind, "data": data, **more}


def new_id(role: str = "person") -> str:
    """Return a new id that no other test uses."""
    return f"{role}:{uuid4().hex[:12]}"


def descendants(pid: int) -> Iterator[int]:
    """Yield every descendant of a process."""
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
        self.output: list[str] = []
        self.below: list[int] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._errors = folder / "stderr"

    def __enter__(self) -> Self:
        """Start, and wait for the whole welcome."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.output.clear()
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

    def __exit__(self, *_: object) -> None:
        """Stop, whatever happened, and kill any process that is left."""
        self.client.close()
        if self.status is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self._end()
        finally:
            for pid in filter(is_running, self.below):
                os.kill(pid, signal.SIGKILL)

    def command(self) -> list[str]:
        """Return the command as a person types it."""
        ports = [f"--intake-port={self.ports[0]}", f"--ledger-port={self.ports[1]}"]
        ports.append(f"--metrics-port={self.ports[2]}")
        return [str(COMMAND), "up", f"--data={self.data}", *ports]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.output += lines

    def _is_up(self) -> bool:
        return any(LAST_LINE in line for line in self.output)

    @property
    def queue(self) -> str:
        """Return the queue server in use: valkey or redis."""
        return queue_server().name.lower()

    @property
    def process(self) -> "subprocess.Popen[str]":
        """Return the started process."""
        assert self._process is not None
        return self._process

    @property
    def status(self) -> int | None:
        """Return the exit status; None while it runs."""
        return self.process.poll()

    @property
    def errors(self) -> str:
        """Return its standard error."""
        return self._errors.read_text()

    @property
    def lines(self) -> list[str]:
        """Return the three lines to paste."""
        return [line.strip() for line in self.output if f"--data {self.data}" in line]

    @property
    def tokens(self) -> dict[str, str]:
        """Return the printed tokens by subject."""
        matches = (
            re.fullmatch(r"\s*(\w+:\w+)\s+([\w-]+\.[\w-]+\.[\w-]+)\s*", line)
            for line in self.output
        )
        return {match[1]: match[2] for match in matches if match}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, and wait until it has ended."""
        if self.status is None:
            self.process.send_signal(number)
        return self._end()

    def interrupt(self) -> int:
        """Send SIGINT to its whole group, as a terminal does on Ctrl-C."""
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
        """Run a line in another shell."""
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
        """Run the command in the same environment as `up`."""
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
        """Return a header with a token of the local key."""
        return {"Authorization": f"Bearer {local_token(self.data / 'keys', subject)}"}

    def post(self, author: str, sent: Json, wait: int = 20) -> httpx.Response:
        """Post an event and wait for its fate."""
        headers = {**self.bearer(author), "Content-Type": MEDIA_TYPE}
        headers |= {"Prefer": f"wait={wait}"} if wait else {}
        return self.client.post(f"{self.intake}/events", json=sent, headers=headers)

    def say(self, author: str, kind: str, data: Any, person: str, **more: Any) -> Json:
        """Post an event that must be accepted; return the event."""
        sent = event(kind, data, person, **more)
        answer = self.post(author, sent)
        assert answer.status_code == 201, answer.text
        return sent

    def get(self, reader: str, path: str, person: str, **headers: str) -> httpx.Response:
        """GET something about a person."""
        url = f"{self.ledger}/people/{person}/{path}"
        return self.client.get(url, headers=self.bearer(reader) | headers)

    def history(self, person: str) -> list[Json]:
        """Return a person's history, as they read it."""
        return list(self.get(person, "history?limit=500", person).json()["entries"])
