"""Context of the doctor's checks: the settings, and connections that are opened once.

A check takes the context and returns a sentence, or raises. PreconditionFailed and SettingsError
report a fault as `<what is wrong>; <remedy>`. CheckWarning does the same for what may be intended.
CheckUnavailable means that a service does not answer or has no address on this host.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

from redis.exceptions import RedisError

from services.ledger.config import LedgerSettings, utc_now
from services.ledger.store.database import Connection, Engine, StoreError, transaction
from services.ledger.store.database import connect as connect_store
from shared.errors import FirsthandError
from shared.inbox.servers import RedisServers
from shared.log_setup import describe_error

GIB = 2**30


class CheckWarning(FirsthandError):
    """An unusual state, which may be intended."""


class CheckUnavailable(FirsthandError):
    """The check could not run: not on this host (then `down` is False), or no answer."""

    def __init__(self, why: str, *, down: bool = True) -> None:
        super().__init__(why)
        self.down = down


@dataclass
class DoctorContext:
    """The settings, the connections they name, and defaults that tests may override."""

    settings: LedgerSettings
    services: dict[str, str] = field(default_factory=dict)  # addresses by name
    clock: Callable[[], datetime] = utc_now
    mounts: Path = Path("/proc/self/mountinfo")
    least_free: int = GIB  # bytes
    inbox_limit: int = 0  # pending messages that intake accepts per partition; 0: unlimited

    @property
    def whole(self) -> bool:
        """Return True if all services belong on this host: queue and database have no other
        address.
        """
        return not self.settings.redis_url and not self.settings.database_url

    def key_file(self, name: str, who: str) -> Path:
        """Return a key file. Raises CheckUnavailable if it may be on the host of `who`."""
        path = self.settings.key_folder / name
        if not path.exists() and not self.whole:
            raise CheckUnavailable(f"{name} is not on this host; {who} need it", down=False)
        return path

    @cached_property
    def _queues(self) -> "RedisServers | CheckUnavailable":
        queues = RedisServers.connect(self.settings.queue_urls)
        try:
            for server in queues.servers:
                server.ping()
        except RedisError as fault:
            if not self.settings.redis_url:
                return CheckUnavailable("the embedded queue is not running; start 'firsthand up'")
            return CheckUnavailable(
                f"the queue does not answer ({describe_error(fault)}); "
                "start it, or correct its address"
            )
        return queues

    @property
    def queues(self) -> RedisServers:
        """Return clients of the queue's servers. Raises CheckUnavailable if one does not answer."""
        if isinstance(self._queues, CheckUnavailable):
            raise self._queues
        return self._queues

    @cached_property
    def _engine(self) -> "Engine | FirsthandError":
        settings = self.settings
        file = settings.data / "ledger.db"
        url = settings.database_url or settings.database_reader_url
        if not url and settings.redis_url and not file.exists():
            return CheckUnavailable(
                "no database address on this host; intake needs none", down=False
            )
        try:
            engine = connect_store(url or settings.store_url, write=False)
        except FirsthandError as fault:
            return fault
        try:
            engine.connect().close()
        except StoreError as fault:
            engine.dispose()
            why = f"the database does not answer ({describe_error(fault)})"
            return CheckUnavailable(f"{why}; start it, or correct its address")
        return engine

    @contextmanager
    def store(self) -> Iterator[Connection]:
        """Yield a read transaction. Raises CheckUnavailable if the database does not answer."""
        if isinstance(self._engine, FirsthandError):
            raise self._engine
        with transaction(self._engine) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        with suppress(FirsthandError):
            for server in self.queues.servers:
                server.close()
        if isinstance(self._engine, Engine):
            self._engine.dispose()
