"""The servers under attack: a ledger on each store, in private folders.

    with Ground(["sqlite"]) as ground:
        system = ground.system("sqlite")

A system that an attack has damaged is discarded, and the next attack gets a new one. All servers
listen on 127.0.0.1 or on unix sockets only.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests import postgres
from tests.attack.clients import Client
from tests.benchmarks.processes import listens
from tests.chaos.system import Process, System
from tests.process import wait_until
from tests.servers import RedisLikeServer, RedisServer, ValkeyServer

USUAL = {"FIRSTHAND_CALLER_LIMIT": "", "FIRSTHAND_LOG_LEVEL": "info"}  # empty: the default
WELL = 10.0  # seconds for an attacked system to recover, or it is discarded


def with_limit(*limits: str) -> list[str]:
    """Return a shell command that sets limits (`-n 1024`) and becomes the process."""
    set_all = " && ".join(f"ulimit {limit}" for limit in limits)
    return ["/bin/sh", "-c", f'{set_all} && exec "$@"', "sh"]


class Ground:
    """A system for each store, made on first use."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._systems: dict[str, tuple[System, contextlib.ExitStack]] = {}
        self._postgres: postgres.PostgresServer | None = None

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *_: object) -> None:
        for store in list(self._systems):
            self.discard(store)
        self._stack.close()

    @property
    def postgres(self) -> postgres.PostgresServer:
        """Return the PostgreSQL server, started on first use."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(postgres.PostgresServer())
        return self._postgres

    def system(self, store: str) -> System:
        """Return a healthy system, with intake, worker and read API running as usual."""
        if store not in self._systems:
            stack = contextlib.ExitStack()
            self._systems[store] = stack.enter_context(self._made(store)), stack
        return self._systems[store][0]

    def discard(self, store: str) -> None:
        """Discard a system."""
        system, stack = self._systems.pop(store)
        for process in (system.intake, system.worker, system.ledger, system.second):
            process.goes_on()
            process.kill()
        stack.close()

    def after(self, store: str) -> None:
        """Undo an attack's settings; discard the system if it does not recover."""
        if store not in self._systems:
            return
        system = self._systems[store][0]
        try:
            for process in (system.intake, system.worker, system.ledger):
                as_usual(process)
            wait_until(lambda: is_well(system), "the system to recover", WELL)
        except Exception:  # noqa: BLE001 - any error makes the system unusable
            self.discard(store)

    @contextlib.contextmanager
    def _made(self, store: str) -> Iterator[System]:
        kind: type[RedisLikeServer] = ValkeyServer
        if store == "postgresql" and RedisServer.find():
            kind = RedisServer
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with contextlib.ExitStack() as stack:
            queue = stack.enter_context(kind())
            sqlite = store == "sqlite"
            made = postgres.sqlite_database(folder) if sqlite else self.postgres.database()
            system = System(folder, stack.enter_context(made), queue, variables=USUAL)
            yield stack.enter_context(system.running())


def as_usual(process: Process) -> None:
    """Run without limits and options, if it has some or does not run."""
    if process.under:
        process.under = []
        process.again()
    process.as_meant()
    process.start()


def is_well(system: System) -> bool:
    """Return whether all three run, nothing waits, and both services answer."""
    running = all(process.pid for process in (system.intake, system.worker, system.ledger))
    ports = [system.intake.port, system.ledger.port]
    if not running or system.waiting() or not all(port and listens(port) for port in ports):
        return False
    client = Client(system, "person:well", timeout=2)
    try:
        return all(client.ask(port, "GET", "/readyz")[0] == 200 for port in ports)
    finally:
        client.close()
