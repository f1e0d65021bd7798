"""Our side: the services as the command line starts them, and their measurements."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import redis

from shared.auth.tokens import local_token
from shared.crypto.transit import Transit
from shared.events import event
from shared.inbox.inbox import Inbox
from shared.inbox.servers import connect
from tests import postgres
from tests.benchmarks.processes import (
    LOAD_CORE,
    ROOT,
    Service,
    drain_rate,
    listens,
    on_core,
)
from tests.ports import free_port
from tests.process import wait_until

FIRSTHAND = (sys.executable, "-m", "services.cli")  # what the `firsthand` command runs
THREADS = 32  # intake's default; the bare echo gets as many
FILL = 500  # events published at once while the inbox is filled
RECORDING = 300.0  # seconds until all filled-in events must be recorded
RECEIVED = "2026-01-02T03:04:06.000Z"


class Ours:
    """One ledger in a folder, its queue and, if it is not SQLite, its database."""

    def __init__(
        self, folder: Path, redis_url: str = "", database: postgres.Database | None = None
    ) -> None:
        """Create the ledger with `firsthand init`."""
        self.data = folder / "data"
        self.redis_url = redis_url
        self.variables = {"FIRSTHAND_DATA": str(self.data), "PYTHONPATH": str(ROOT)}
        limits = ("FIRSTHAND_CALLER_LIMIT", "FIRSTHAND_CALLER_BURST", "FIRSTHAND_INBOX_LIMIT")
        self.variables |= dict.fromkeys(limits, "1000000")  # checked, but never reached
        if redis_url:
            self.variables["FIRSTHAND_REDIS_URL"] = redis_url
        if database is not None:
            self.variables["FIRSTHAND_DATABASE_URL"] = database.app_url
            self.variables["FIRSTHAND_DATABASE_OWNER_URL"] = database.owner_url
        environment = {**os.environ, **self.variables}
        subprocess.run([*FIRSTHAND, "init"], env=environment, check=True, stdout=subprocess.DEVNULL)

    def token(self, subject: str) -> str:
        """Return a bearer token; made in process, since hundreds are needed."""
        return local_token(self.data / "keys", subject)

    def tokens(self, subjects: Sequence[str]) -> dict[str, str]:
        """Return one token for each subject."""
        return {subject: self.token(subject) for subject in set(subjects)}

    @contextlib.contextmanager
    def intake(self) -> Iterator[Service]:
        """Start the intake service."""
        port = free_port()
        words = [*FIRSTHAND, "intake", "--port", str(port)]
        with Service("intake", words, port=port, variables=self.variables) as service:
            yield service

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Service]:
        """Start the read API."""
        port = free_port()
        words = [*FIRSTHAND, "ledger", "--port", str(port)]
        variables = {**self.variables, "FIRSTHAND_READ_LIMIT": "0"}  # one caller makes all requests
        with Service("ledger", words, port=port, variables=variables) as service:
            yield service

    @contextlib.contextmanager
    def everything(self) -> Iterator[tuple[Service, int]]:
        """Start `firsthand up`; yield it and the ledger's port."""
        intake, ledger = free_port(), free_port()
        words = [*FIRSTHAND, "up", "--intake-port", str(intake), "--ledger-port", str(ledger)]
        words.append("--metrics-port=0")
        with Service("up", words, port=intake, variables=self.variables) as service:
            wait_until(lambda: listens(ledger), "the ledger to answer")
            yield service, ledger

    def fill(self, events: Sequence[tuple[str, bytes]]) -> None:
        """Put events into the inbox as intake would, without HTTP and without ringing the bell."""
        transit = Transit.from_folder(self.data / "keys")
        made = [
            event.Event.from_canonical(
                event.canonical(orjson.loads(body)),
                author=author,
                via="service:bench",
                issuer="local",
                received=RECEIVED,
            )
            for author, body in events
        ]
        with connect(self.redis_url, timeout=30) as client:
            box = Inbox(client, transit)
            for start in range(0, len(made), FILL):
                box.publish(0, made[start : start + FILL])

    def record(self, events: Sequence[tuple[str, bytes]]) -> None:
        """Record events, without measuring."""
        self.fill(events)
        worker = Service("worker", [*FIRSTHAND, "worker"], variables=self.variables)
        with redis.Redis.from_url(self.redis_url) as client, worker:
            box = Inbox(client, Transit.from_folder(self.data / "keys"))
            wait_until(lambda: box.length(0) == 0, "everything to be recorded", RECORDING)

    def drain_rate(self, events: Sequence[tuple[str, bytes]]) -> float:
        """Return events a second that one worker commits, from a full queue."""
        with on_core(LOAD_CORE):
            self.fill(events)
        worker = Service("worker", [*FIRSTHAND, "worker"], variables=self.variables)
        with redis.Redis.from_url(self.redis_url) as client, worker, on_core(LOAD_CORE):
            box = Inbox(client, Transit.from_folder(self.data / "keys"))
            return drain_rate(lambda: box.length(0), lambda: worker.pid is not None)
