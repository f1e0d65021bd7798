"""How far the ledger is behind: what waits in each partition, for how long, and why."""

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
from shared.settings import MOST_PARTITIONS as MOST

PAGE = 200  # messages, of 50 kB at most


@dataclass(frozen=True, slots=True)
class Lag:
    """One partition's. `oldest` is in seconds, by the queue's own clock; 0 if nothing waits.

    `waits` says in words why the partition waits, if it does; `published` is the last published
    checkpoint, signed.
    """

    partition: int
    messages: int
    oldest: float
    rung: bool
    waits: str | None
    published: str | None


def lags(queues: "Redis | RedisServers", partitions: int) -> list[Lag]:
    """Every partition's lag, in one round trip a server; RedisError if one does not answer."""
    found, fault = reachable_lags(queues, partitions)
    if fault is not None:
        raise fault
    return found


def reachable_lags(
    queues: "Redis | RedisServers", partitions: int
) -> tuple[list[Lag], RedisError | None]:
    """The lags on the servers that answer, and why one of the others does not."""
    servers = as_servers(queues).servers
    found: list[Lag] = []
    away = None
    for place, server in enumerate(servers):
        try:
            found += _lags(server, range(place, partitions, len(servers)))
        except RedisError as fault:
            away = fault
    return sorted(found, key=attrgetter("partition")), away


def _lags(server: "Redis", partitions: Sequence[int]) -> Iterator[Lag]:
    pipe = server.pipeline(transaction=False)
    pipe.time()
    for each in partitions:
        pipe.xlen(inbox_key(each))
        pipe.xrange(inbox_key(each), count=1)
        pipe.exists(wake_key(each))
        pipe.get(waiting_key(each))
        pipe.get(published_key(each))
    (seconds, microseconds), *answers = pipe.execute()
    now = seconds + microseconds / 1e6
    for place, each in enumerate(partitions):
        messages, head, rung, waits, published = answers[5 * place : 5 * place + 5]
        since = int(head[0][0].split(b"-")[0]) / 1e3 if head else now
        yield Lag(each, messages, max(0.0, now - since), bool(rung), _text(waits), _text(published))


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one partition has to record, as far as somebody may see who cannot read messages: how
    many there are, why the partition waits, if it does, and what was published last.
    """

    partition: int
    messages: int
    waits: str | None
    published: bytes | None


def backlogs(queues: "Redis | RedisServers", partitions: int) -> list[Backlog]:
    """Every partition's backlog, by GET and XLEN alone, since the read API's account has no more
    (services/operations/provision.py). Unavailable if a server does not answer.
    """
    servers = as_servers(queues).servers
    found: list[Backlog] = []
    try:
        for place, server in enumerate(servers):
            found += _backlogs(server, range(place, partitions, len(servers)))
    except RedisError as fault:
        raise Unavailable(f"The queue did not answer ({type(fault).__name__}).") from fault
    return sorted(found, key=attrgetter("partition"))


def _backlogs(server: "Redis", partitions: Sequence[int]) -> Iterator[Backlog]:
    pipe = server.pipeline(transaction=False)
    for each in partitions:
        pipe.xlen(inbox_key(each))
        pipe.get(waiting_key(each))
        pipe.get(published_key(each))
    answers = pipe.execute()
    for place, each in enumerate(partitions):
        messages, waits, published = answers[3 * place : 3 * place + 3]
        yield Backlog(each, messages, _text(waits), published)


def messages_outside_layout(queues: "Redis | RedisServers", partitions: int) -> dict[int, int]:
    """How many messages stand where this ledger has no partition, by the partition's number."""
    servers, found = as_servers(queues).servers, dict[int, int]()
    for place, server in enumerate(servers):
        pipe = server.pipeline(transaction=False)
        numbers = [n for n in range(partitions, MOST) if n % len(servers) == place]
        for each in numbers:
            pipe.xlen(inbox_key(each))
        counts = zip(numbers, pipe.execute(), strict=True)
        found |= {number: count for number, count in counts if count}
    return found


def iter_pages(
    queues: "Redis | RedisServers", partition: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    """A whole stream, as `Inbox.read` gives its head, page by page."""
    server, after = as_servers(queues).of(partition), "-"
    while page := cast(list[Any], server.xrange(inbox_key(partition), min=after, count=PAGE)):
        yield [parse_message(each) for each in page]
        after = f"({page[-1][0].decode()}"


def count_encrypted_with(queues: "Redis | RedisServers", partitions: int, kid: str) -> int:
    """How many messages wait under a transit key; Unavailable if the queue does not answer."""
    everything = (page for each in range(partitions) for page in iter_pages(queues, each))
    try:
        return sum(
            read_header(sealed).get("kid") == kid for page in everything for _, sealed in page
        )
    except RedisError as fault:
        raise Unavailable(
            f"The queue does not answer ({type(fault).__name__}), so nobody knows what waits under "
            "the old key. Ask the doctor where it does, and then say --skip-queue-check."
        ) from None


def _text(told: bytes | None) -> str | None:
    return None if told is None else told.decode(errors="replace")
