"""Publishing and draining: what intake appends, and what the ledger reads and removes."""

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
redis.call('DEL', KEYS[1]) -- a script whose first write takes no memory goes on when there is none
redis.call('SET', KEYS[1], ARGV[1])
"""


class StreamHead(NamedTuple):
    """The head of a stream, and what the queue says about it at that one moment.

    `messages` are (id, sealed event) each; `published` the last published checkpoint. `added` is
    how many messages were ever added to the stream (None: this server does not count), `length` how
    many are in it, `moved` how many were moved elsewhere, `before` how many had been added to an
    earlier stream; `clock` is the queue's, in seconds since 1970, and `trying` the batch that a
    worker was judging.
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
    """A partition at a glance: `oldest` is the age of its oldest message in seconds, None if none
    waits and negative if the queue's clock was set back; the rest as in `Reading`.
    """

    oldest: float | None
    added: int | None
    length: int
    moved: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A receipt on its way to the request that waits for it."""

    waiter: str
    receipt: bytes


class Inbox:
    """Publishing and draining. `ring` rings the bell of a partition; `blocking` is a second
    client, with a long time-out, for the requests that wait. With `partitions`, nothing is safe
    while the ledger has another number.
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
        self._together = [
            GroupCommitPublisher(each, replicas, limits, layout)
            for each, layout in zip(servers, self._layouts, strict=True)
        ]
        self._counting = threading.Lock()

    # intake's side

    def publish(self, partition: int, events: Sequence[Event]) -> Durability:
        """Append one caller's events in order, check how durable they are, ring; in this order.

        Raises Unavailable when the queue did not answer: then the events' fate is unknown. TooFast
        or Unavailable, nothing appended, when the limits leave no room.
        """
        caller = self.transit.alias(f"{events[0].author} {events[0].via}") if events else ""
        sealed = [self.transit.encrypt(partition, each.message(), "event") for each in events]
        keys = inbox_key(partition), wake_key(partition)
        together = self._together[partition % len(self._together)]
        heard = together.append(keys, pace_key(partition, caller), sealed)
        crashpoint("intake-answered")
        if heard.rings:
            with suppress(RedisError):  # the sweeper rings too
                self._ring(partition)
        raise_if_limited(heard.wait)
        with self._counting:
            self.published[partition] += len(sealed)
        return heard.durability

    def receipt(self, partition: int, waiter: str, seconds: int) -> bytes | None:
        """Wait for the receipt that the projector sends; None when the time is over."""
        key = done_key(partition, waiter)
        try:
            sealed = self._blocking.of(partition).blmove(key, key, seconds, "LEFT", "LEFT")
            if not sealed:
                return None
            return self.transit.decrypt(partition, cast(bytes, sealed), "receipt", waiter)
        except (RedisError, FirsthandError):
            return None  # the event is safe; its fate is read from the ledger

    def durability(self) -> Durability:
        """The level at this moment, by a write like an event's to each server: where it is not met,
        that of the first such server.
        """
        found = [each.probe(probe_key(place)) for place, each in enumerate(self._together)]
        return next((each for each in found if each.level is None), found[0])

    # the ledger's side

    def length(self, partition: int) -> int:
        """How many messages are not yet recorded."""
        return self.queues.of(partition).xlen(inbox_key(partition))

    def has_messages(self, partition: int, *, linger: int) -> bool:
        """True if something is not yet recorded; waits up to `linger` milliseconds for it."""
        if not linger:
            return self.length(partition) > 0
        return bool(
            self.queues.of(partition).xread({inbox_key(partition): "0"}, count=1, block=linger)
        )

    def peek(self, partition: int, count: int) -> StreamHead:
        """The head of the stream, up to `count` messages, and the state of the stream around it.

        A message that is not ours comes as it stands, to be kept aside: nothing is thrown away.
        """
        pipe = self.queues.of(partition).pipeline(transaction=True)  # all of it at one moment
        pipe.xrange(inbox_key(partition), count=count)
        pipe.xinfo_stream(inbox_key(partition))
        pipe.time()
        for key in (published_key, moved_key, added_key, trying_key):
            pipe.get(key(partition))
        head, stream, clock, *others = pipe.execute(raise_on_error=False)
        if isinstance(head, Exception):
            raise head
        published, moved, before, trying = (_bytes(each) for each in others)
        return StreamHead(
            [parse_message(each) for each in head],
            published,
            *_stream_counts(stream),
            _number(moved),
            _number(before),
            clock[0] + clock[1] / 1e6,
            trying,
        )

    def peek_after(self, partition: int, after: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """Further messages, past one of the stream."""
        found = self.queues.of(partition).xrange(
            inbox_key(partition), min=f"({after.decode()}", count=count
        )
        return [parse_message(each) for each in cast(list[Any], found)]

    def summarize(self, partition: int) -> StreamSummary:
        """How a partition is, in one round trip."""
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
        places: Sequence[bytes],
        receipts: Iterable[Reply],
        checkpoint: bytes | None,
    ) -> None:
        """After COMMIT: publish checkpoint (if none is newer) and receipts, delete the messages."""
        pipe = self.queues.of(partition).pipeline(transaction=False)
        if checkpoint is not None:
            pipe.eval(PUBLISHED, 1, published_key(partition), checkpoint)
        for each in receipts:
            key = done_key(partition, each.waiter)
            pipe.lpush(key, self.transit.encrypt(partition, each.receipt, "receipt", each.waiter))
            pipe.expire(key, DONE_SECONDS)
        pipe.delete(waiting_key(partition))
        if places:
            pipe.xdel(inbox_key(partition), *places)
        pipe.execute()

    def delete_moved(self, partition: int, places: Sequence[bytes]) -> None:
        """Delete messages that are safe in another partition, and count them as moved."""
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.xdel(inbox_key(partition), *places)
        pipe.incrby(moved_key(partition), len(places))
        pipe.execute()

    def republish_checkpoint(self, partition: int, checkpoint: bytes) -> None:
        """Publish a checkpoint, unless a larger one is published."""
        self.queues.of(partition).eval(PUBLISHED, 1, published_key(partition), checkpoint)

    def save_added(self, partition: int, added: int) -> None:
        """Note how many messages had been added to a stream that was emptied or replaced."""
        self.queues.of(partition).set(added_key(partition), added)

    def clear_added(self, partition: int) -> None:
        """An alarm says it now."""
        with suppress(RedisError):
            self.queues.of(partition).delete(added_key(partition))

    def mark_batch(self, partition: int, what: bytes) -> None:
        """Note which batch is being judged."""
        self.queues.of(partition).set(trying_key(partition), what)

    def unmark_batch(self, partition: int) -> None:
        """Note that none is; what stays there says nothing once the log has grown."""
        with suppress(RedisError):
            self.queues.of(partition).delete(trying_key(partition))

    def set_full_people(self, partition: int, people: Iterable[str]) -> None:
        """Have intake refuse events about these people, and no others, for a minute."""
        pipe = self.queues.of(partition).pipeline(transaction=True)
        pipe.delete(held_key(partition))
        if aliases := [self.transit.alias(each) for each in people]:
            pipe.sadd(held_key(partition), *aliases)
            pipe.expire(held_key(partition), HELD_SECONDS)
        pipe.execute()

    def clear_wake(self, partition: int) -> None:
        """First act of a drain: whoever publishes from now on rings again."""
        self.queues.of(partition).delete(wake_key(partition))

    def set_blocked_reason(self, partition: int, why: str) -> None:
        """Say why a partition waits; forgotten after 60 s unless said again."""
        self.queues.of(partition).set(waiting_key(partition), why, ex=WAITING_SECONDS)


def _stream_counts(stream: object) -> tuple[int | None, int]:
    """How many messages were added to a stream, and how many are in it, as XINFO STREAM says."""
    if isinstance(stream, ResponseError):  # there is no stream
        return 0, 0
    if isinstance(stream, Exception):
        raise stream
    found = cast(dict[str, Any], stream)
    return found.get("entries-added"), found["length"]


def _bytes(answer: object) -> bytes | None:
    """What a key holds; None also if it has another type: somebody else wrote it."""
    return answer if isinstance(answer, bytes) else None


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def parse_message(each: tuple[bytes, dict[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Id and sealed event of a message; one that is not ours comes as it stands."""
    place, told = each
    return place, told.get(b"e") or repr(told).encode()
