"""Inbox client: intake appends messages; the ledger reads and deletes them."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.crashpoints import crashpoint
from shared.crypto.transit import Transit
from shared.errors import FirsthandError
from shared.events.event import Event
from shared.inbox.durability import Durability
from shared.inbox.group_commit import GroupCommitPublisher
from shared.inbox.partition_layout import layouts
from shared.inbox.publish_script import Limits, raise_if_limited
from shared.inbox.redis_keys import (
    added_key,
    done_key,
    held_key,
    inbox_key,
    moved_key,
    pace_key,
    probe_key,
    published_key,
    trying_key,
    waiting_key,
    wake_key,
)
from shared.inbox.servers import RedisServers, as_servers

DONE_SECONDS, WAITING_SECONDS, HELD_SECONDS = 60, 60, 60
NO_LIMITS = Limits()
PUBLISHED = """
local function size(note) return tonumber(string.match(note, '^[^\\n]*\\n(%d+)\\n')) or -1 end
local old = redis.pcall('GET', KEYS[1]) -- an error where the key has another type
if type(old) == 'string' and size(old) > size(ARGV[1]) then return end
redis.call('DEL', KEYS[1]) -- first, as it needs no memory: the script then runs with memory full
redis.call('SET', KEYS[1], ARGV[1])
"""


class StreamHead(NamedTuple):
    """The head of a stream and its counters, read in one transaction.

    `messages` are pairs (id, encrypted event). `added` counts the messages ever added to the stream
    (None: this server does not count), `before` those added before it was replaced, `length` those
    in it, and `moved` those moved to other partitions. `clock` is the queue's time in seconds since
    1970, `published` the last checkpoint, `trying` the batch that a worker was processing.
    """

    messages: list[tuple[bytes, bytes]]
    published: bytes | None = None
    added: int | None = None
    length: int = 0
    moved: int = 0
    before: int = 0
    clock: float | None = None
    trying: bytes | None = None


class StreamSummary(NamedTuple):
    """The counters of a partition, and the age of its oldest message in seconds: None if the
    stream is empty, negative if the queue's clock was set back.
    """

    oldest: float | None
    added: int | None
    length: int
    moved: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A receipt for a waiting request."""

    waiter: str
    receipt: bytes


class Inbox:
    """Publishes, reads and deletes messages. `ring` rings the bell of a partition. `blocking` is a
    second client with a long time-out, for waiting requests. With `partitions`, no event counts as
    durable while the ledger has another number of partitions.
    """

    def __init__(
        self,
        redis: Redis | RedisServers,
        transit: Transit,
        *,
        ring: Callable[[int], None] = lambda _: None,
        blocking: Redis | RedisServers | None = None,
        replicas: int = 0,
        limits: Limits = NO_LIMITS,
        partitions: int = 0,
    ) -> None:
        self.queues = as_servers(redis)
        self.redis = self.queues.first
        self.transit = transit
        self.replicas = replicas
        self.limits = limits
        self.published: dict[int, int] = defaultdict(int)  # by partition, since the start
        self._ring = ring
        self._blocking = as_servers(blocking or redis)
        servers = self.queues.servers
        self._layouts = layouts(partitions, len(servers)) if partitions else [None] * len(servers)
        self._publishers = [
            GroupCommitPublisher(server, replicas, limits, layout)
            for server, layout in zip(servers, self._layouts, strict=True)
        ]
        self._counting = threading.Lock()

    # intake's side

    def publish(self, partition: int, events: Sequence[Event]) -> Durability:
        """Append one caller's events in order, check their durability, and ring the bell.

        Raises Unavailable if the queue did not answer: the outcome is then unknown. Raises
        TooManyRequests or Unavailable, without appending, if a limit is exceeded.
        """
        caller = self.transit.alias(f"{events[0].author} {events[0].via}") if events else ""
        encrypted = [self.transit.encrypt(partition, event.message(), "event") for event in events]
        keys = inbox_key(partition), wake_key(partition)
        publisher = self._publishers[partition % len(self._publishers)]
        result = publisher.append(keys, pace_key(partition, caller), encrypted)
        crashpoint("intake-answered")
        if result.rings:
            with suppress(RedisError):  # the sweeper rings too
                self._ring(partition)
        raise_if_limited(result.wait)
        with self._counting:
            self.published[partition] += len(encrypted)
        return result.durability

    def receipt(self, partition: int, waiter: str, seconds: int) -> bytes | None:
        """Wait for the receipt that the projector sends; None after `seconds`."""
        key = done_key(partition, waiter)
        try:
            encrypted = self._blocking.of(partition).blmove(key, key, seconds, "LEFT", "LEFT")
            if not encrypted:
                return None
            return self.transit.decrypt(partition, cast(bytes, encrypted), "receipt", waiter)
        except (RedisError, FirsthandError):
            return None  # the event is durable; the caller can read its outcome from the ledger

    def durability(self) -> Durability:
        """Measure the durability by a write to each server; return the first result that fails."""
        publishers = enumerate(self._publishers)
        results = [publisher.probe(probe_key(number)) for number, publisher in publishers]
        return next((result for result in results if result.level is None), results[0])

    # the ledger's side

    def length(self, partition: int) -> int:
        """Return how many messages are not recorded yet."""
        return self.queues.of(partition).xlen(inbox_key(partition))

    def has_messages(self, partition: int, *, linger: int) -> bool:
        """Return True if the stream has a message; wait up to `linger` milliseconds for one."""
        if not linger:
            return self.length(partition) > 0
        return bool(
            self.queues.of(partition).xread({inbox_key(partition): "0"}, count=1, block=linger)
        )

    def peek(self, partition: int, count: int) -> StreamHead:
        """Read the first `count` messages of the stream, and its counters.

        Messages without a field `e` are returned unparsed: the projector quarantines them.
        """
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.xrange(inbox_key(partition), count=count)
        pipe.xinfo_stream(inbox_key(partition))
        pipe.time()
        for key in (published_key, moved_key, added_key, trying_key):
            pipe.get(key(partition))
        head, stream, clock, *others = pipe.execute(raise_on_error=False)
        if isinstance(head, Exception):
            raise head
        published, moved, before, trying = map(_bytes, others)
        return StreamHead(
            list(map(parse_message, head)),
            published,
            *_stream_counts(stream),
            _number(moved),
            _number(before),
            clock[0] + clock[1] / 1e6,
            trying,
        )

    def peek_after(self, partition: int, after: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """Read up to `count` messages after the message with the id `after`."""
        messages = self.queues.of(partition).xrange(
            inbox_key(partition), min=f"({after.decode()}", count=count
        )
        return list(map(parse_message, cast(list[Any], messages)))

    def summarize(self, partition: int) -> StreamSummary:
        """Read the counters of a partition in one round trip."""
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.xrange(inbox_key(partition), count=1)
        pipe.xinfo_stream(inbox_key(partition))
        pipe.time()
        pipe.get(moved_key(partition))
        head, stream, clock, moved = pipe.execute(raise_on_error=False)
        if isinstance(head, Exception):
            raise head
        now = clock[0] + clock[1] / 1e6
        oldest = now - int(head[0][0].split(b"-")[0]) / 1e3 if head else None
        return StreamSummary(oldest, *_stream_counts(stream), _number(_bytes(moved)))

    def acknowledge(
        self,
        partition: int,
        ids: Sequence[bytes],
        receipts: Iterable[Reply],
        checkpoint: bytes | None,
    ) -> None:
        """Publish checkpoint (unless older) and receipts, delete the messages; after COMMIT."""
        pipe = self.queues.of(partition).pipeline(transaction=False)
        if checkpoint is not None:
            pipe.eval(PUBLISHED, 1, published_key(partition), checkpoint)
        for reply in receipts:
            key = done_key(partition, reply.waiter)
            encrypted = self.transit.encrypt(partition, reply.receipt, "receipt", reply.waiter)
            pipe.lpush(key, encrypted)
            pipe.expire(key, DONE_SECONDS)
        pipe.delete(waiting_key(partition))
        if ids:
            pipe.xdel(inbox_key(partition), *ids)
        pipe.execute()

    def delete_moved(self, partition: int, places: Sequence[bytes]) -> None:
        """Delete messages that are safe in another partition, and count them as moved."""
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.xdel(inbox_key(partition), *places)
        pipe.incrby(moved_key(partition), len(places))
        pipe.execute()

    def republish_checkpoint(self, partition: int, checkpoint: bytes) -> None:
        """Publish a checkpoint, unless a larger one is already published."""
        self.queues.of(partition).eval(PUBLISHED, 1, published_key(partition), checkpoint)

    def save_added(self, partition: int, added: int) -> None:
        """Save how many messages had been added to a stream that was emptied or replaced."""
        self.queues.of(partition).set(added_key(partition), added)

    def clear_added(self, partition: int) -> None:
        """Delete the saved count, which an alarm contains now."""
        with suppress(RedisError):
            self.queues.of(partition).delete(added_key(partition))

    def mark_batch(self, partition: int, what: bytes) -> None:
        """Save which batch the worker is processing."""
        self.queues.of(partition).set(trying_key(partition), what)

    def unmark_batch(self, partition: int) -> None:
        """Delete the mark. If that fails, the mark is ignored as soon as the log has grown."""
        with suppress(RedisError):
            self.queues.of(partition).delete(trying_key(partition))

    def set_full_people(self, partition: int, people: Iterable[str]) -> None:
        """Have intake reject events about these people, and no others, for a minute."""
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.delete(held_key(partition))
        if aliases := list(map(self.transit.alias, people)):
            pipe.sadd(held_key(partition), *aliases)
            pipe.expire(held_key(partition), HELD_SECONDS)
        pipe.execute()

    def clear_wake(self, partition: int) -> None:
        """Clear the wake flag, so that later publishers ring again. Must precede reading."""
        self.queues.of(partition).delete(wake_key(partition))

    def set_blocked_reason(self, partition: int, why: str) -> None:
        """Set why a partition waits. It expires after 60 s."""
        self.queues.of(partition).set(waiting_key(partition), why, ex=WAITING_SECONDS)


def _stream_counts(stream: object) -> tuple[int | None, int]:
    """Return the messages ever added to a stream, and its length, by the reply to XINFO STREAM."""
    if isinstance(stream, ResponseError):  # the stream does not exist
        return 0, 0
    if isinstance(stream, Exception):
        raise stream
    info = cast(dict[str, Any], stream)
    return info.get("entries-added"), info["length"]


def _bytes(reply: object) -> bytes | None:
    """Return the value of a key; None if it is missing or, written by others, has another type."""
    return reply if isinstance(reply, bytes) else None


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def parse_message(message: tuple[bytes, dict[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Return the id and the encrypted event of a message; its `repr` if it has no field `e`."""
    message_id, fields = message
    return message_id, fields.get(b"e") or repr(fields).encode()
