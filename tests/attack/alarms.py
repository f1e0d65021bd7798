"""What a ledger says by itself when something is wrong: worker's log, /readyz, metrics, doctor."""

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
from tests.chaos.rig import Process, Rig
from tests.house.files import ROOT
from tests.process import wait_until

QUIET = frozenset(
    {"rq_unavailable", "checkpoint_archive_failed", "request", "witness_failed", "batch"}
)  # log lines that alarm nobody
CONNECTION = re.compile("ConnectionError|BusyLoadingError|ConnectionRefused")  # says no more
NUMBER = re.compile(r"\b([1-9]\d*) (?:messages|events|entries|were not recorded)\b")
WAITING = re.compile(r"^firsthand_partition_blocked\{.*\} 1\.0$", re.MULTILINE)


@dataclass(frozen=True)
class Alarm:
    """Where something was named, in which words, and how many messages it says are missing."""

    source: str
    says: str
    missing: int | None = None


class Alarms:
    """Collects what is named from now on and was not named before."""

    def __init__(self, rig: Rig) -> None:
        self.raised: dict[str, Alarm] = {}
        self._rig = rig
        self._since = log_size(rig.worker)
        self._before = {each.says for each in self._doctor()}

    @property
    def missing(self) -> int:
        """The largest number of missing messages that was named."""
        return max((each.missing or 0 for each in self.raised.values()), default=0)

    @property
    def numbered(self) -> bool:
        """Whether an alarm says a number: that something is wrong does not tell how much."""
        return any(each.missing or NUMBER.search(each.says) for each in self.raised.values())

    def named(self) -> str:
        """Who named it, for a table."""
        return ", ".join(self.raised) or "nobody"

    def look(self, *, doctor: bool = False) -> bool:
        """Look everywhere (the doctor takes a second); whether anything was named so far."""
        for each in (*self._log(), *self._queue(), *self._services()):
            self.raised.setdefault(each.source, each)
        for each in self._doctor() if doctor else ():
            if each.says not in self._before:
                self.raised.setdefault(each.source, each)
        return bool(self.raised)

    def wait(self, seconds: float) -> bool:
        """Look until something was named, or for so long; a worker that ended is started again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.look():
            keep_running(self._rig.worker)
            time.sleep(0.2)
        return self.look(doctor=True)

    def _log(self) -> Iterator[Alarm]:
        for line in log_lines(self._rig.worker, self._since):
            name, why = str(line.get("event")), str(line.get("why", ""))
            loud = line.get("level") in ("error", "warning", "critical") and name not in QUIET
            if loud and not CONNECTION.search(why):
                missing = line.get("missing")
                number = missing if isinstance(missing, int) else None
                yield Alarm(f"log '{name}'", why or name, number)

    def _queue(self) -> Iterator[Alarm]:
        with contextlib.suppress(Exception):  # the queue itself may be what was attacked
            said = self._rig.redis.get(waiting_key(0))
            if said and not CONNECTION.search(said.decode(errors="replace")):
                yield Alarm("waiting key", said.decode(errors="replace"))

    def _services(self) -> Iterator[Alarm]:
        client = Client(self._rig, "person:probe", timeout=2)
        for process in (self._rig.intake, self._rig.ledger):
            status, body, _ = client.ask(process.port, "GET", "/readyz")
            said = says(body)
            if status and (status != 200 or said):
                yield Alarm(f"/readyz of {process.name}", said or str(status))
        _, body, _ = client.ask(self._rig.intake.port, "GET", "/metrics")
        if WAITING.search(body.decode(errors="replace")):
            yield Alarm("metric firsthand_partition_blocked", "it waits")
        client.close()

    def _doctor(self) -> Iterator[Alarm]:
        urls = {
            f"FIRSTHAND_{each.name.upper()}_URL": f"http://127.0.0.1:{each.port}"
            for each in (self._rig.intake, self._rig.ledger)
        }
        _, output = command(self._rig, "doctor", "--json", **urls)
        for line in output.splitlines():
            with contextlib.suppress(ValueError):
                said: Json = orjson.loads(line)
                if said.get("state") == "error":
                    name, text = said["check"], said["told"]
                    found = NUMBER.search(text) if "complete" in name else None
                    yield Alarm(f"doctor '{name}'", text, int(found[1]) if found else None)


def says(body: bytes) -> str:
    """Why a /readyz body says that something is wrong; empty if it says nothing of the kind."""
    with contextlib.suppress(ValueError):
        said = orjson.loads(body)
        if isinstance(said, dict):
            words = [said.get(each) for each in ("why", "waits", "waiting")]
            inner = said.get("recording")
            if isinstance(inner, dict):
                words += [inner.get(each) for each in ("why", "waits", "waiting")]
            return "; ".join(each for each in words if isinstance(each, str) and each)
    return ""


def log_size(process: Process) -> int:
    """Where the process's log ends now."""
    return process.log.stat().st_size


def log_lines(process: Process, since: int = 0) -> list[Json]:
    """The log lines of a process that are JSON objects, from a place in its log on."""
    found = []
    for line in process.log.read_bytes()[since:].splitlines():
        with contextlib.suppress(ValueError):
            said = orjson.loads(line)
            if isinstance(said, dict):
                found.append(said)
    return found


def command(rig: Rig, *words: str, **variables: str) -> tuple[int, str]:
    """Run a `firsthand` command on the rig's ledger, by the right clock: exit status and output."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *words],
        cwd=rig.folder,
        env={**os.environ, **rig.environment, "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def keep_running(process: Process) -> None:
    """What a supervisor does: start a process again that has ended by itself."""
    if process.pid is None:
        process.begin()


def accept_queue(rig: Rig) -> bool:
    """The operator's step after a queue was wiped; False if there is no such command."""
    status, output = command(rig, "accept-queue")
    if status == 2 and "No such command" in output:
        return False
    if status != 0:  # it may want the writer to be stopped
        rig.worker.kill()
        status, output = command(rig, "accept-queue")
    keep_running(rig.worker)
    return status == 0


def drained(rig: Rig, seconds: float) -> bool:
    """Wait until nothing waits in the queue, with a worker that is kept running."""

    def empty() -> bool:
        keep_running(rig.worker)
        return rig.waiting() == 0

    with contextlib.suppress(Exception):
        wait_until(empty, "everything to be recorded", seconds)
    return rig.waiting() == 0
