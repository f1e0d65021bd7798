"""Redis servers of the queue, and connections to them."""

from collections.abc import Sequence

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.errors import SettingsError

SOCKET_TIMEOUT = 2.0  # seconds: short, because the ledger's head may be locked meanwhile
MAX_CONNECTIONS = 64


def is_reachable(url: str) -> bool:
    """Return True if a queue answers at the URL."""
    try:
        with connect(url) as client:
            return bool(client.ping())
    except RedisError:
        return False


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT) -> Redis:
    """Return a client without automatic retries: a retried XADD can append an event twice.

    Raises SettingsError if the URL is invalid. The message does not contain the URL, because it
    may contain a password.
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
        detail = "not a URL like redis://127.0.0.1:6379, rediss://… or unix:///…"
        raise SettingsError(f"FIRSTHAND_REDIS_URL: {detail}") from None


class RedisServers:
    """The servers of the queue. Partition n is on server n modulo their number, the doorbell on the
    first.
    """

    def __init__(self, *servers: Redis) -> None:
        self.servers = servers

    @classmethod
    def connect(cls, urls: Sequence[str], *, timeout: float = SOCKET_TIMEOUT) -> "RedisServers":
        """Create a client for each URL with `connect`."""
        return cls(*(connect(url, timeout=timeout) for url in urls))

    @property
    def first(self) -> Redis:
        """The server of the doorbell."""
        return self.servers[0]

    def of(self, partition: int) -> Redis:
        """Return the server of a partition."""
        return self.servers[partition % len(self.servers)]


def as_servers(redis: Redis | RedisServers) -> RedisServers:
    """Wrap a single server in RedisServers."""
    return redis if isinstance(redis, RedisServers) else RedisServers(redis)
