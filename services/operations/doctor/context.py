"""What the doctor stands on: the settings, and the neighbours they name, each opened once.

A check takes the ground, and returns in words what it found good, or raises: Unsafe or
SettingsError, `<what is wrong>; <remedy>`; CheckWarning, likewise, for what may be meant so;
CheckUnavailable, where somebody does not answer or has no address here.
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
    """Not as it usually is; it may be meant so."""


class CheckUnavailable(FirsthandError):
    """Could not be checked: not on this host (then `down` is False), or it does not answer."""

    def __init__(self, why: str, *, down: bool = True) -> None:
        super().__init__(why)
        self.down = down


@dataclass
class DoctorContext:
    """The settings and what they lead to; what a test may set otherwise stands below."""

    settings: LedgerSettings
    services: dict[str, str] = field(default_factory=dict)  # addresses by name
    clock: Callable[[], datetime] = utc_now
    mounts: Path = Path("/proc/self/mountinfo")
    least_free: int = GIB  # bytes
    inbox_limit: int = 0  # messages that intake lets wait in a partition; 0: any number

    @property
    def whole(self) -> bool:
        """True if everything is to be here: neither queue nor database has another address."""
        return not self.settings.redis_url and not self.settings.database_url

    def key_file(self, name: str, who: str) -> Path:
        """A key file; Away if it is not there and others (`who`) may have it in its place."""
        path = self.settings.key_folder / name
        if not path.exists() and not self.whole:
            raise CheckUnavailable(f"{name} is not on this host, and {who} need it", down=False)
        return path

    @cached_property
    def _queues(self) -> "RedisServers | CheckUnavailable":
        queues = RedisServers.connect(self.settings.queue_urls)
        try:
            for each in queues.servers:
                each.ping()
        except RedisError as fault:
            if not self.settings.redis_url:
                return CheckUnavailable("the embedded queue does not run; start 'firsthand up'")
            return CheckUnavailable(
                f"the queue does not answer ({describe_error(fault)}); "
                "start it, or correct its address"
            )
        return queues

    @property
    def queues(self) -> RedisServers:
        """Clients of the queue's servers, which answered; Away otherwise."""
        if isinstance(self._queues, CheckUnavailable):
            raise self._queues
        return self._queues

    @cached_property
    def _engine(self) -> "Engine | FirsthandError":
        settings = self.settings
        file = settings.data / "ledger.db"
        given = settings.database_url or settings.database_reader_url
        if not given and settings.redis_url and not file.exists():
            return CheckUnavailable(
                "no database address on this host; intake needs none", down=False
            )
        try:
            engine = connect_store(given or settings.store_url, write=False)
        except FirsthandError as fault:
            return fault
        try:
            engine.connect().close()
        except StoreError as fault:
            engine.dispose()
            why = f"the database does not answer ({describe_error(fault)})"
            return CheckUnavailable(f"{why}; start it, or mend its address")
        return engine

    @contextmanager
    def store(self) -> Iterator[Connection]:
        """A reading transaction; Away if the database does not answer."""
        if isinstance(self._engine, FirsthandError):
            raise self._engine
        with transaction(self._engine) as connection:
            yield connection

    def close(self) -> None:
        """Leave no connection behind."""
        with suppress(FirsthandError):
            for each in self.queues.servers:
                each.close()
        if isinstance(self._engine, Engine):
            self._engine.dispose()
