"""Where attacks happen: a ledger of its own on each store, in private folders, for a while.

    with Ground(["sqlite"]) as ground:
        rig = ground.rig("sqlite")

A rig that an attack has left unwell is thrown away, and the next attack gets a new one. Everything
listens on 127.0.0.1 or on unix sockets only.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import postgres
from tests.attack.clients import Client
from tests.benchmarks.processes import listens
from tests.chaos.rig import Process, Rig
from tests.process import wait_until
from tests.servers import RedisLikeServer, RedisServer, ValkeyServer

USUAL = {"FIRSTHAND_CALLER_LIMIT": "", "FIRSTHAND_LOG_LEVEL": "info"}  # empty: the default
WELL = 10.0  # seconds in which a rig that was attacked must be well again to be used again


def with_limit(*limits: str) -> list[str]:
    """A shell that sets limits (`-n 1024`) and becomes the process."""
    set_all = " && ".join(f"ulimit {each}" for each in limits)
    return ["/bin/sh", "-c", f'{set_all} && exec "$@"', "sh"]


class Ground:
    """A rig for each store, made when it is first asked for."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._rigs: dict[str, tuple[Rig, contextlib.ExitStack]] = {}
        self._postgres: postgres.PostgresServer | None = None

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for store in list(self._rigs):
            self.discard(store)
        self._stack.close()

    @property
    def postgres(self) -> postgres.PostgresServer:
        """The PostgreSQL server, started when it is first needed."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(postgres.PostgresServer())
        return self._postgres

    def rig(self, store: str) -> Rig:
        """A rig that is well, with intake, worker and read API running as they usually do."""
        if store not in self._rigs:
            stack = contextlib.ExitStack()
            self._rigs[store] = stack.enter_context(self._made(store)), stack
        return self._rigs[store][0]

    def discard(self, store: str) -> None:
        """Throw a rig away."""
        rig, stack = self._rigs.pop(store)
        for each in (rig.intake, rig.worker, rig.ledger, rig.second):
            each.goes_on()
            each.kill()
        stack.close()

    def after(self, store: str) -> None:
        """Undo what an attack set; throw the rig away if it is not well then."""
        if store not in self._rigs:
            return
        rig = self._rigs[store][0]
        try:
            for each in (rig.intake, rig.worker, rig.ledger):
                as_usual(each)
            wait_until(lambda: is_well(rig), "the rig to be well", WELL)
        except Exception:  # noqa: BLE001 - whatever it is, this rig is of no more use
            self.discard(store)

    @contextlib.contextmanager
    def _made(self, store: str) -> Iterator[Rig]:
        kind: type[RedisLikeServer] = ValkeyServer
        if store == "postgresql" and RedisServer.find():
            kind = RedisServer
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with contextlib.ExitStack() as stack:
            queue = stack.enter_context(kind())
            sqlite = store == "sqlite"
            made = postgres.sqlite_database(folder) if sqlite else self.postgres.database()
            rig = Rig(folder, stack.enter_context(made), queue, variables=USUAL)
            yield stack.enter_context(rig.running())


def as_usual(process: Process) -> None:
    """Run without limits and options, if it runs with some or not at all."""
    if process.under:
        process.under = []
        process.again()
    process.as_meant()
    process.start()


def is_well(rig: Rig) -> bool:
    """Whether all three run, nothing waits, and both services answer."""
    running = all(each.pid for each in (rig.intake, rig.worker, rig.ledger))
    ports = [rig.intake.port, rig.ledger.port]
    if not running or rig.waiting() or not all(port and listens(port) for port in ports):
        return False
    client = Client(rig, "person:well", timeout=2)
    try:
        return all(client.ask(port, "GET", "/readyz")[0] == 200 for port in ports)
    finally:
        client.close()
