"""The alarms of a ledger itself when something is wrong: worker's log, /readyz, metrics, doctor."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from shared.inbox.redis_keys import waiting_key
from tests.attack.clients import Client, Json
from tests.chaos.system import Process, System
from tests.house.files import ROOT
from tests.process import wait_until

QUIET = frozenset(
    {"rq_unavailable", "checkpoint_archive_failed", "request", "witness_failed", "batch"}
)  # log lines that are no alarm
CONNECTION = re.compile(
    "ConnectionError|BusyLoadingError|ConnectionRefused"
)  # too general for an alarm
NUMBER = re.compile(r"\b([1-9]\d*) (?:messages|events|entries|were not recorded)\b")
WAITING = re.compile(r"^firsthand_partition_blocked\{.*\} 1\.0$", re.MULTILINE)


@dataclass(frozen=True)
class Alarm:
    """The source of an alarm, its words, and how many messages it reports as missing."""

    source: str
    says: str
    missing: int | None = None


class Alarms:
    """Collects new alarms: those that were not raised before."""

    def __init__(self, system: System) -> None:
        self.raised: dict[str, Alarm] = {}
        self._system = system
        self._since = log_size(system.worker)
        self._before = {alarm.says for alarm in self._doctor()}

    @property
    def missing(self) -> int:
        """Return the largest reported number of missing messages."""
        return max((alarm.missing or 0 for alarm in self.raised.values()), default=0)

    @property
    def numbered(self) -> bool:
        """Return whether an alarm contains a number; other alarms do not tell the loss."""
        return any(alarm.missing or NUMBER.search(alarm.says) for alarm in self.raised.values())

    def named(self) -> str:
        """Return the sources of the alarms, for a table."""
        return ", ".join(self.raised) or "no alarm"

    def look(self, *, doctor: bool = False) -> bool:
        """Check all sources (the doctor takes a second); return whether an alarm was raised."""
        for alarm in (*self._log(), *self._queue(), *self._services()):
            self.raised.setdefault(alarm.source, alarm)
        for alarm in self._doctor() if doctor else ():
            if alarm.says not in self._before:
                self.raised.setdefault(alarm.source, alarm)
        return bool(self.raised)

    def wait(self, seconds: float) -> bool:
        """Look until an alarm is raised or the time is over; restart a worker that ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.look():
            keep_running(self._system.worker)
            time.sleep(0.2)
        return self.look(doctor=True)

    def _log(self) -> Iterator[Alarm]:
        for line in log_lines(self._system.worker, self._since):
            name, why = str(line.get("event")), str(line.get("why", ""))
            loud = line.get("level") in ("error", "warning", "critical") and name not in QUIET
            if loud and not CONNECTION.search(why):
                missing = line.get("missing")
                number = missing if isinstance(missing, int) else None
                yield Alarm(f"log '{name}'", why or name, number)

    def _queue(self) -> Iterator[Alarm]:
        with contextlib.suppress(Exception):  # the queue itself may be what was attacked
            reason = self._system.redis.get(waiting_key(0))
            if reason and not CONNECTION.search(reason.decode(errors="replace")):
                yield Alarm("waiting key", reason.decode(errors="replace"))

    def _services(self) -> Iterator[Alarm]:
        client = Client(self._system, "person:probe", timeout=2)
        for process in (self._system.intake, self._system.ledger):
            status, body, _ = client.ask(process.port, "GET", "/readyz")
            reason = says(body)
            if status and (status != 200 or reason):
                yield Alarm(f"/readyz of {process.name}", reason or str(status))
        _, body, _ = client.ask(self._system.intake.port, "GET", "/metrics")
        if WAITING.search(body.decode(errors="replace")):
            yield Alarm("metric firsthand_partition_blocked", "it waits")
        client.close()

    def _doctor(self) -> Iterator[Alarm]:
        urls = {
            f"FIRSTHAND_{process.name.upper()}_URL": f"http://127.0.0.1:{process.port}"
            for process in (self._system.intake, self._system.ledger)
        }
        _, output = command(self._system, "doctor", "--json", **urls)
        for line in output.splitlines():
            with contextlib.suppress(ValueError):
                check: Json = orjson.loads(line)
                if check.get("state") == "error":
                    name, text = check["check"], check["detail"]
                    match = NUMBER.search(text) if "complete" in name else None
                    yield Alarm(f"doctor '{name}'", text, int(match[1]) if match else None)


def says(body: bytes) -> str:
    """Return the fault that a /readyz body reports; empty if it reports none."""
    with contextlib.suppress(ValueError):
        answer = orjson.loads(body)
        if isinstance(answer, dict):
            words = [answer.get(name) for name in ("why", "waits", "waiting")]
            recording = answer.get("recording")
            if isinstance(recording, dict):
                words += [recording.get(name) for name in ("why", "waits", "waiting")]
            return "; ".join(word for word in words if isinstance(word, str) and word)
    return ""


def log_size(process: Process) -> int:
    """Return the current size of the process's log."""
    return process.log.stat().st_size


def log_lines(process: Process, since: int = 0) -> list[Json]:
    """Return the log lines of a process that are JSON objects, from an offset in its log."""
    lines = []
    for raw in process.log.read_bytes()[since:].splitlines():
        with contextlib.suppress(ValueError):
            line = orjson.loads(raw)
            if isinstance(line, dict):
                lines.append(line)
    return lines


def command(system: System, *words: str, **variables: str) -> tuple[int, str]:
    """Run a `firsthand` command on the system's ledger; return exit status and output.

    The command has the right clock, unlike a worker under the attack `clock`.
    """
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *words],
        cwd=system.folder,
        env={**os.environ, **system.environment, "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def keep_running(process: Process) -> None:
    """Restart a process that has ended by itself, as a supervisor does."""
    if process.pid is None:
        process.begin()


def accept_queue(system: System) -> bool:
    """Accept a wiped queue, as the operator does; return False if the command is missing."""
    status, output = command(system, "accept-queue")
    if status == 2 and "No such command" in output:
        return False
    if status != 0:  # it may require that the writer is stopped
        system.worker.kill()
        status, output = command(system, "accept-queue")
    keep_running(system.worker)
    return status == 0


def drained(system: System, seconds: float) -> bool:
    """Wait until the queue is empty, and keep the worker running."""

    def empty() -> bool:
        keep_running(system.worker)
        return system.waiting() == 0

    with contextlib.suppress(Exception):
        wait_until(empty, "everything to be recorded", seconds)
    return system.waiting() == 0
