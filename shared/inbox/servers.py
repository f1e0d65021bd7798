"""The queue's servers, and connections to them."""

from collections.abc import Sequence

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import SettingsError

SOCKET_TIMEOUT = 2.0  # seconds: short, since the ledger's head may be locked meanwhile
MAX_CONNECTIONS = 64


def is_reachable(url: str) -> bool:
    """True if a queue answers there."""
    try:
        with connect(url) as client:
            return bool(client.ping())
    except RedisError:
        return False


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT) -> Redis:
    """A client that never retries by itself: a retried XADD was seen to write an event twice.

    Raises SettingsError if the address is none. It is not told: there may be a password in it.
    """
    try:
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=SOCKET_TIMEOUT,
            max_connections=MAX_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            health_check_interval=0,
        )
    except ValueError:
        told = "not an address as redis://127.0.0.1:6379, rediss://… or unix:///…"
        raise SettingsError(f"FIRSTHAND_REDIS_URL: {told}") from None


class RedisServers:
    """The queue's servers. A partition's keys stand on one of them: partition n on server n modulo
    their number. The doorbell stands on the first.
    """

    def __init__(self, *servers: Redis) -> None:
        self.servers = servers

    @classmethod
    def connect(cls, urls: Sequence[str], *, timeout: float = SOCKET_TIMEOUT) -> "RedisServers":
        """A client of each server, as `connect`."""
        return cls(*(connect(url, timeout=timeout) for url in urls))

    @property
    def first(self) -> Redis:
        """The server of the doorbell."""
        return self.servers[0]

    def of(self, partition: int) -> Redis:
        """The server of a partition."""
        return self.servers[partition % len(self.servers)]


def as_servers(redis: Redis | RedisServers) -> RedisServers:
    """One server too is a set of servers."""
    return redis if isinstance(redis, RedisServers) else RedisServers(redis)
