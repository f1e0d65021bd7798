"""How the partitions lie on the queue's servers: said by the worker, who knows the ledger, and
compared by intake, which knows none. Two that differ would put a person's events in two places.

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

REMEDY = "set FIRSTHAND_PARTITIONS and FIRSTHAND_REDIS_URL as the worker has them"
LONGEST = 60  # characters of what stands there, which others too may have written


@dataclass(frozen=True, slots=True)
class Layout:
    """What a process holds for true of one server."""

    says: str

    def other(self, theirs: object) -> str:
        """How the ledger's differs, in words; empty where it is the same, or nobody said yet."""
        if theirs is None or theirs == self.says.encode():
            return ""
        if not isinstance(theirs, bytes):
            return f"the queue does not tell the ledger's partitions: {theirs}"
        told = theirs.decode("utf-8", "replace")[:LONGEST]
        return f"set to {self.says}, but the ledger has {told}; {REMEDY}"

    def judge(self, found: Durability, theirs: object) -> Durability:
        """Nothing is safe where the ledger would look for it elsewhere."""
        why = self.other(theirs)
        return Durability(None, f"intake is {why}") if why else found


def layouts(partitions: int, servers: int) -> list[Layout]:
    """What is true of each server, where the ledger has so many partitions."""
    places = range(1, servers + 1)
    return [Layout(f"{partitions} partitions, server {place} of {servers}") for place in places]


def _each(queues: RedisServers, partitions: int) -> Iterator[tuple[Redis, Layout]]:
    return zip(queues.servers, layouts(partitions, len(queues.servers)), strict=True)


def lay_out(queues: RedisServers, partitions: int) -> None:
    """Say on each server how many partitions the ledger has, unless it stands there already."""
    for server, each in _each(queues, partitions):
        if server.get(LAYOUT_KEY) != each.says.encode():
            server.set(LAYOUT_KEY, each.says)


def other_layout(queues: RedisServers, partitions: int) -> str:
    """How the ledger's partitions differ from ours, in words; empty if they do not, or nobody said
    yet. RedisError if a server does not answer.
    """
    found = (each.other(server.get(LAYOUT_KEY)) for server, each in _each(queues, partitions))
    return next(filter(None, found), "")


def check_layout(queues: RedisServers, partitions: int) -> None:
    """Unsafe if the ledger has other partitions. A server that is away is asked later."""
    with suppress(RedisError):
        if why := other_layout(queues, partitions):
            raise PreconditionFailed(f"intake is {why}")
