"""Consumer lag: the messages that wait in each partition, their age, and why they wait."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from shared.crypto.jwe import read_header
from shared.errors import Unavailable
from shared.inbox.inbox import parse_message
from shared.inbox.redis_keys import inbox_key, published_key, waiting_key, wake_key
from shared.inbox.servers import RedisServers, as_servers
from shared.settings import MOST_PARTITIONS

PAGE = 200  # messages of at most 50 kB


@dataclass(frozen=True, slots=True)
class Lag:
    """The lag of a partition. `oldest` is the age of its oldest message in seconds by the queue's
    clock, 0 if there is none. `waits` is why the partition waits. `published` is the last published
    checkpoint, signed.
    """

    partition: int
    messages: int
    oldest: float
    rung: bool
    waits: str | None
    published: str | None


def lags(queues: "Redis | RedisServers", partitions: int) -> list[Lag]:
    """Return the lag of every partition; RedisError if a server is unavailable."""
    result, fault = reachable_lags(queues, partitions)
    if fault is not None:
        raise fault
    return result


def reachable_lags(
    queues: "Redis | RedisServers", partitions: int
) -> tuple[list[Lag], RedisError | None]:
    """Return the lags on the available servers, and an error of an unavailable one."""
    servers = as_servers(queues).servers
    result: list[Lag] = []
    error = None
    for number, server in enumerate(servers):
        try:
            result += _lags(server, range(number, partitions, len(servers)))
        except RedisError as fault:
            error = fault
    return sorted(result, key=attrgetter("partition")), error


def _lags(server: "Redis", partitions: Sequence[int]) -> Iterator[Lag]:
    pipe = server.pipeline(transaction=False)
    pipe.time()
    for partition in partitions:
        pipe.xlen(inbox_key(partition))
        pipe.xrange(inbox_key(partition), count=1)
        pipe.exists(wake_key(partition))
        pipe.get(waiting_key(partition))
        pipe.get(published_key(partition))
    (seconds, microseconds), *replies = pipe.execute()
    now = seconds + microseconds / 1e6
    for index, partition in enumerate(partitions):
        messages, head, rung, waits, published = replies[5 * index : 5 * index + 5]
        since = int(head[0][0].split(b"-")[0]) / 1e3 if head else now
        oldest = max(0.0, now - since)
        yield Lag(partition, messages, oldest, bool(rung), _text(waits), _text(published))


@dataclass(frozen=True, slots=True)
class Backlog:
    """The lag of a partition for a reader that may not read messages.

    `waits` is why the partition waits, in words. `published` is the last published checkpoint.
    """

    partition: int
    messages: int
    waits: str | None
    published: bytes | None


def backlogs(queues: "Redis | RedisServers", partitions: int) -> list[Backlog]:
    """Return the backlog of every partition; Unavailable if a server does not answer.

    It uses GET and XLEN only: the Redis account of the read API permits no other command
    (services/operations/provision.py).
    """
    servers = as_servers(queues).servers
    result: list[Backlog] = []
    try:
        for number, server in enumerate(servers):
            result += _backlogs(server, range(number, partitions, len(servers)))
    except RedisError as fault:
        raise Unavailable(f"The queue did not answer ({type(fault).__name__}).") from fault
    return sorted(result, key=attrgetter("partition"))


def _backlogs(server: "Redis", partitions: Sequence[int]) -> Iterator[Backlog]:
    pipe = server.pipeline(transaction=False)
    for partition in partitions:
        pipe.xlen(inbox_key(partition))
        pipe.get(waiting_key(partition))
        pipe.get(published_key(partition))
    replies = pipe.execute()
    for index, partition in enumerate(partitions):
        messages, waits, published = replies[3 * index : 3 * index + 3]
        yield Backlog(partition, messages, _text(waits), published)


def messages_outside_layout(queues: "Redis | RedisServers", partitions: int) -> dict[int, int]:
    """Count the messages in streams that are not a partition of this ledger, by stream number."""
    servers, result = as_servers(queues).servers, dict[int, int]()
    for index, server in enumerate(servers):
        pipe = server.pipeline(transaction=False)
        numbers = [n for n in range(partitions, MOST_PARTITIONS) if n % len(servers) == index]
        for number in numbers:
            pipe.xlen(inbox_key(number))
        counts = zip(numbers, pipe.execute(), strict=True)
        result |= {number: count for number, count in counts if count}
    return result


def iter_pages(
    queues: "Redis | RedisServers", partition: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield a whole stream in pages of messages, parsed as `Inbox.peek` does."""
    server, after = as_servers(queues).of(partition), "-"
    while page := cast(list[Any], server.xrange(inbox_key(partition), min=after, count=PAGE)):
        yield list(map(parse_message, page))
        after = f"({page[-1][0].decode()}"


def count_encrypted_with(queues: "Redis | RedisServers", partitions: int, kid: str) -> int:
    """Count the messages encrypted under a transit key; Unavailable if the queue is."""
    pages = (page for partition in range(partitions) for page in iter_pages(queues, partition))
    try:
        return sum(
            read_header(encrypted).get("kid") == kid for page in pages for _, encrypted in page
        )
    except RedisError as fault:
        raise Unavailable(
            f"The queue does not answer ({type(fault).__name__}), so the messages under the old "
            "key cannot be counted. Run 'firsthand doctor', then use --skip-queue-check."
        ) from None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
