"""Partition layout: which server of the queue has which partitions.

The worker, which knows the ledger, publishes the layout. Intake compares its configuration with it:
under a different layout, the events of one person would be in two streams.

    firsthand:layout    on each server, in words: "8 partitions, server 1 of 2"
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from shared.errors import PreconditionFailed
from shared.inbox.durability import Durability
from shared.inbox.redis_keys import LAYOUT_KEY
from shared.inbox.servers import RedisServers

REMEDY = "set FIRSTHAND_PARTITIONS and FIRSTHAND_REDIS_URL to the worker's values"
MAX_LENGTH = 60  # characters of the published value, which may come from another writer


@dataclass(frozen=True, slots=True)
class Layout:
    """The expected layout of one server, in words."""

    text: str

    def difference(self, published: object) -> str:
        """Describe how the published layout differs; empty if it does not, or none is published."""
        if published is None or published == self.text.encode():
            return ""
        if not isinstance(published, bytes):
            return f"the queue does not report the ledger's partitions: {published}"
        theirs = published.decode("utf-8", "replace")[:MAX_LENGTH]
        return f"set to {self.text}, but the ledger has {theirs}; {REMEDY}"

    def evaluate(self, durability: Durability, published: object) -> Durability:
        """Return the durability; not durable if the layout differs from the ledger's."""
        why = self.difference(published)
        return Durability(None, f"intake is {why}") if why else durability


def layouts(partitions: int, servers: int) -> list[Layout]:
    """Return the layout of each server for this number of partitions."""
    numbers = range(1, servers + 1)
    return [Layout(f"{partitions} partitions, server {number} of {servers}") for number in numbers]


def _with_layouts(queues: RedisServers, partitions: int) -> Iterator[tuple[Redis, Layout]]:
    return zip(queues.servers, layouts(partitions, len(queues.servers)), strict=True)


def publish_layout(queues: RedisServers, partitions: int) -> None:
    """Write the ledger's layout to each server, unless it is already correct."""
    for server, layout in _with_layouts(queues, partitions):
        if server.get(LAYOUT_KEY) != layout.text.encode():
            server.set(LAYOUT_KEY, layout.text)


def layout_difference(queues: RedisServers, partitions: int) -> str:
    """Describe how the ledger's layout differs; empty if it does not, or none is published.

    Raises RedisError if a server is unavailable.
    """
    differences = (
        layout.difference(server.get(LAYOUT_KEY))
        for server, layout in _with_layouts(queues, partitions)
    )
    return next(filter(None, differences), "")


def check_layout(queues: RedisServers, partitions: int) -> None:
    """Raise PreconditionFailed if the ledger's layout differs. Skip an unavailable queue."""
    with suppress(RedisError):
        if why := layout_difference(queues, partitions):
            raise PreconditionFailed(f"intake is {why}")
