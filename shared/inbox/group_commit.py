"""Publishing together: what threads bring to one stream while another publishes goes in one script,
in one round trip and under one fsync of the queue. Each keeps its order (docs/adr/0010).
"""

import threading
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from hiredis import pack_command
from redis import Redis
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from shared.crashpoints import crashpoint
from shared.errors import Unavailable
from shared.inbox.durability import HOW_IT_STORES, Durability, evaluate_durability, not_appended
from shared.inbox.partition_layout import Layout
from shared.inbox.publish_script import FULL_SECONDS, PUBLISH, Limits
from shared.inbox.redis_keys import LAYOUT_KEY

WAKE_SECONDS = 30
WAIT_MILLISECONDS = 1000
FILE_MILLISECONDS = 200  # a file that is complete is fsynced before the answer to each write
PROBE_SECONDS = 60
# Asked after the rest: WAITAOF is answered when all of it is in the file, INFO where it is unknown.
APPENDED: tuple[tuple[Any, ...], ...] = (
    ("WAITAOF", 1, 0, FILE_MILLISECONDS),
    ("INFO", "persistence"),
)
PUBLISH_SHA1 = sha1(PUBLISH.encode(), usedforsecurity=False).hexdigest()  # Redis' name for it


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What the queue said of a share: how long to wait (shared/inbox/publish_script.py; 0: it was
    appended), how durable it is, and whether its bringer rings the bell.
    """

    wait: int
    durability: Durability
    rings: bool


class _PendingPublish:
    """What one thread brings to a common publish, and what it hears back."""

    __slots__ = ("answer", "pace", "place", "sealed")

    def __init__(self, pace: str, sealed: list[bytes]) -> None:
        self.pace = pace
        self.sealed = sealed
        self.answer: list[Any] = []
        self.place = 0


class GroupCommitPublisher:
    """Appends to streams, for all threads of a process."""

    def __init__(
        self, redis: "Redis", replicas: int, limits: Limits, layout: Layout | None = None
    ) -> None:
        self._pool = redis.connection_pool
        self._replicas = replicas
        self._limits = limits
        self._layout = layout
        self._mutex = threading.Lock()
        self._waiting: dict[str, list[_PendingPublish]] = {}
        self._publishing: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._idle: list[ConnectionInterface] = []
        self._judged: tuple[object, Durability] | None = None
        self._complete = False  # the append-only file, when it was asked about last
        self._doubts = 0

    def append(self, keys: tuple[str, str], pace: str, sealed: list[bytes]) -> PublishResult:
        """Append sealed events to the stream of `keys` (stream, wake flag), in order.

        `pace` is the key of the caller's limit. Unavailable when the queue did not answer: then
        the events' fate is unknown.
        """
        own = _PendingPublish(pace, sealed)
        with self._mutex:
            self._waiting.setdefault(keys[0], []).append(own)
        with self._publishing[keys[0]]:
            if not own.answer:
                self._append_all(keys)
        judged, *told = own.answer
        if isinstance(judged, OutOfMemoryError):  # before the script wrote anything
            raise Unavailable("The queue's memory is full.", retry_after=FULL_SECONDS) from judged
        if isinstance(judged, RedisError):
            raise Unavailable(f"The queue did not answer ({type(judged).__name__}).") from judged
        woken, wait = judged[0], judged[own.place]
        return PublishResult(wait, self._durability(told), own.place == 1 and woken == 1)

    def probe(self, key: str) -> Durability:
        """How durable what is published now would be: `key` is written as an event is."""
        try:
            _, *told = self._send("SET", key, "", "EX", PROBE_SECONDS, surely=True)
        except OutOfMemoryError:
            return Durability(None, "the queue's memory is full")
        except RedisError as fault:
            return Durability(None, f"the queue did not answer ({type(fault).__name__})")
        return self._durability(told)

    def _durability(self, told: list[Any]) -> Durability:
        """How durable by the answers of `_send` but the first."""
        *settings, doubts, appended = told
        found = self._judge(settings)
        if found.level is None:
            self._doubt()
        elif appended:
            why = not_appended(*appended, was_complete=self._complete)
            if why:
                self._doubt()
                return Durability(None, why)
            self._complete = doubts == self._doubts
        return found

    def _doubt(self) -> None:
        """Have the append-only file asked about again, also where it was found complete before the
        moment of doubt and is judged only now.
        """
        self._complete = False
        self._doubts += 1

    def _judge(self, told: list[Any]) -> Durability:
        """How durable by these answers; the same answers are judged once."""
        if self._judged is None or self._judged[0] != told:
            found = evaluate_durability(told[0], self._replicas, told[1] if self._replicas else 0)
            self._judged = told, self._layout.judge(found, told[-1]) if self._layout else found
        return self._judged[1]

    def _append_all(self, keys: tuple[str, str]) -> None:
        """Send what every thread has brought meanwhile; the first of them rings."""
        with self._mutex:
            shares = self._waiting.pop(keys[0])
        for place, share in enumerate(shares, start=1):
            share.place = place
        answer: list[Any] = [RedisError("the publishing thread failed")]
        try:
            answer = self._ask(keys, shares)
        except RedisError as fault:
            answer = [fault]
        finally:
            for share in shares:
                share.answer = answer

    def _ask(self, keys: tuple[str, str], shares: list[_PendingPublish]) -> list[Any]:
        paces, told = self._limits.arguments([(each.pace, each.sealed) for each in shares])
        call = len(keys) + len(paces), *keys, *paces, WAKE_SECONDS, *told
        crashpoint("intake-sealed")
        try:
            answers = self._send("EVALSHA", PUBLISH_SHA1, *call)
        except NoScriptError:
            answers = self._send("EVAL", PUBLISH, *call)
        crashpoint("intake-appended")
        return answers

    def _send(self, *command: Any, surely: bool = False) -> list[Any]:
        """A command's answer, and those to what is asked with it; then how many doubts there were,
        and the answers about the append-only file, if it was asked about.

        One round trip on a connection of our own: a pipeline of redis-py, with its pool, costs
        four times as much, and this is the hottest line of intake.
        """
        try:
            line = self._idle.pop()
        except IndexError:
            line, surely = self._pool.make_connection(), True
        doubts = self._doubts
        after = APPENDED if surely or not self._complete else ()
        asked: list[tuple[Any, ...]] = [command, ("CONFIG", "GET", HOW_IT_STORES)]
        if self._replicas:
            asked.append(("WAIT", self._replicas, WAIT_MILLISECONDS))
        if self._layout:
            asked.append(("GET", LAYOUT_KEY))
        try:
            line.send_packed_command([b"".join(map(pack_command, (*asked, *after)))])
            told = [_answer(line) for _ in asked]
            appended = [_answer(line) for _ in after]
        except BaseException:
            line.disconnect()  # whatever is still on its way is nobody's; it connects again
            self._doubt()  # perhaps to a server that was started again
            raise
        finally:
            self._idle.append(line)
        if isinstance(told[0], Exception):
            raise told[0]
        return [*told, doubts, appended]


def _answer(line: ConnectionInterface) -> Any:
    """The next reply; the server's error as a value. What breaks the connection raises."""
    try:
        return line.read_response()
    except ResponseError as told:
        return told
