"""One ledger as in production: a queue, a store, and each `firsthand` process by itself.

The processes run `firsthand`, or a build of it that is broken on purpose. Each can be started with
a crash point at which it dies.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.ledger.config import LedgerSettings, signers
from services.ledger.fold import unwrap_keys
from services.ledger.log.merkle import Frontier
from services.ledger.store import tables
from services.ledger.store.database import connect as connect_store
from services.ledger.store.database import transaction
from services.ledger.vault import Vault
from shared.auth.tokens import local_token
from shared.crashpoints import VARIABLE
from shared.crypto.transit import Transit
from shared.inbox.inbox import Inbox
from shared.inbox.redis_keys import inbox_key
from shared.inbox.servers import connect
from tests.benchmarks.processes import listens
from tests.chaos.checks import Observed
from tests.house.files import ROOT
from tests.postgres import Database
from tests.process import Server, wait_until
from tests.servers import RedisLikeServer

STEADY = range(20_000, 32_000)
FIRSTHAND = (sys.executable, "-m", "services.cli")
SHARED_SETTINGS = ("data", "redis_url", "database_url", "database_owner_url", "partitions")


def steady_port() -> int:
    """Return a free port below the system's client ports.

    A client that connects again and again to a client port while no server listens will be assigned
    that same port in the end. It is then connected to itself, and the service cannot start there.
    """
    while True:
        port = random.choice(STEADY)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Process(Server):
    """One `firsthand` process. `again` kills and restarts it, with or without a crash point."""

    def __init__(self, system: "System", name: str, *, listens: bool) -> None:
        self.name = name
        super().__init__()
        self.port = steady_port() if listens else None
        self._system, self._settings, self._options = system, dict[str, str](), list[str]()
        self._log_start = 0
        self.under: list[str] = []  # a command that starts it, such as a shell that sets limits

    def command(self) -> list[str]:
        """Return the command as a person types it."""
        port = ["--port", str(self.port)] if self.port else []
        return [*self.under, *self._system.program, self.name, *port, *self._options]

    def environment(self) -> dict[str, str]:
        """Return the ledger's settings, added to ours."""
        return {**os.environ, **self._system.environment, **self._settings}

    def answers(self) -> bool:
        """Return whether it listens; for a worker, whether it has read each partition once."""
        if self.port is not None:
            return listens(self.port)
        output = self.log.read_bytes()[self._log_start :]
        return output.count(b'"event":"batch"') >= self._system.settings.partitions

    def again(self, crash_at: str = "", *options: str, **settings: str) -> None:
        """Start a new process in its place, and wait until it works."""
        self.configure(crash_at, *options, **settings)
        self.start()

    def begin(self) -> None:
        """Start a new process in its place with default settings, without waiting."""
        self.configure()
        self._launch()

    def as_meant(self) -> None:
        """Restart with default settings unless it has them: no fault sees the last one's."""
        if self._settings or self._options:
            self.again()

    def configure(self, crash_at: str = "", *options: str, **settings: str) -> None:
        """Kill the process and set what its successor gets."""
        self.kill()
        if (port := self.port) is not None:  # threads of a killed process may end later
            wait_until(lambda: not listens(port), f"{self.name}'s port to be free")
        self._settings = {f"FIRSTHAND_{name.upper()}": value for name, value in settings.items()}
        self._settings |= {VARIABLE: crash_at} if crash_at else {}
        self._options = list(options)

    def _launch(self) -> None:
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        super()._launch()

    @property
    def stalls(self) -> bool:
        """Return whether it has stopped itself with SIGSTOP."""
        state = Path(f"/proc/{self.pid}/stat") if self.pid else None
        return state is not None and state.read_text().rpartition(")")[2].split()[0] == "T"

    def goes_on(self) -> None:
        """Send SIGCONT."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)


class System:
    """All processes, for as long as a block lasts."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        queue: RedisLikeServer,
        *,
        program: Sequence[str] = FIRSTHAND,
        partitions: int = 1,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.database, self.queue = folder, database, queue
        self.program = program
        self.settings = LedgerSettings.load(
            data=folder / "data",
            redis_url=queue.url,
            database_url=database.app_url,
            database_owner_url=database.owner_url,
            partitions=partitions,
        )
        self.environment = {
            **{
                f"FIRSTHAND_{name.upper()}": str(getattr(self.settings, name))
                for name in SHARED_SETTINGS
            },
            "PYTHONPATH": str(ROOT),
            "FIRSTHAND_LOG_LEVEL": "info",
            "FIRSTHAND_CALLER_LIMIT": "0",
            **(variables or {}),
        }
        environment = {**os.environ, **self.environment}
        command = [*program, "init"]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        self.vkeys = [signer.vkeys for signer in signers(self.settings)]
        self.read_to = [0] * partitions
        self.tokens: dict[str, str] = {}
        self.trees = defaultdict[int, Frontier](Frontier)

    @contextlib.contextmanager
    def running(self) -> "Iterator[System]":
        """Start intake, worker and read API; prepare a second worker, not started."""
        with contextlib.ExitStack() as stack:
            self.redis: Any = stack.enter_context(connect(self.queue.url))
            self.inbox = Inbox(self.redis, Transit.from_folder(self.settings.key_folder))
            self.engine = connect_store(self.settings.store_url, write=False)
            stack.callback(self.engine.dispose)
            self.intake = stack.enter_context(Process(self, "intake", listens=True))
            self.worker = stack.enter_context(Process(self, "worker", listens=False))
            self.ledger = stack.enter_context(Process(self, "ledger", listens=True))
            self.second = Process(self, "worker", listens=False)
            stack.callback(self.second.close)
            yield self

    def token(self, author: str) -> str:
        """Return a bearer token."""
        if author not in self.tokens:
            self.tokens[author] = local_token(self.settings.key_folder, author)
        return self.tokens[author]

    def waiting(self) -> int:
        """Return the number of messages not yet recorded."""
        return sum(self.inbox.length(partition) for partition in range(self.settings.partitions))

    def last(self, partition: int = 0) -> bytes:
        """Return the newest message's id, empty if none waits."""
        newest = self.redis.xrevrange(inbox_key(partition), count=1)
        return newest[0][0] if newest else b""

    def is_past(self, message_id: bytes, partition: int = 0) -> bool:
        """Return whether everything up to this message was recorded."""
        head = self.redis.xrange(inbox_key(partition), count=1)
        return not head or not message_id or _number(head[0][0]) > _number(message_id)

    def drained(self, patience: float) -> None:
        """Wait until no message waits."""
        wait_until(lambda: self.waiting() == 0, "everything to be recorded", patience)

    def new_rows(self) -> list[dict[str, Any]]:
        """Return the entries added since the last call, in the order of their logs."""
        new: list[dict[str, Any]] = []
        entries = tables.entries.c
        with transaction(self.engine) as connection:
            for log, seen in enumerate(self.read_to):
                wanted = select(tables.entries).where(entries.log == log, entries.index >= seen)
                rows = connection.execute(wanted.order_by(entries.index)).mappings().all()
                self.read_to[log] += len(rows)
                new += map(dict, rows)
        return new

    def vault(self, people: list[str]) -> Vault:
        """Return the keys of these people."""
        vault = Vault.from_folder(self.settings.key_folder)
        with transaction(self.engine) as connection:
            unwrap_keys(connection, vault, people)
        return vault

    def look(self, observed: Observed) -> None:
        """Note the published checkpoints."""
        for log in range(self.settings.partitions):
            observed.publish(log, self.inbox.peek(log, 1)[1])

    def replay(self) -> str:
        """Return the findings of `firsthand replay --all`; empty if there are none."""
        command = [*self.program, "replay", "--all"]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True
        )
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:]


def _number(message_id: bytes) -> tuple[int, ...]:
    return tuple(map(int, message_id.split(b"-")))
