"""Group commit: concurrent publishes to one stream are sent in a single script call.

They share one round trip and one fsync of the queue. The events of one publish keep their order
(docs/adr/0010).
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
from shared.inbox.durability import CONFIG_PATTERN, Durability, evaluate_durability, not_appended
from shared.inbox.partition_layout import Layout
from shared.inbox.publish_script import FULL_SECONDS, PUBLISH, Limits
from shared.inbox.redis_keys import LAYOUT_KEY

WAKE_SECONDS = 30
WAIT_MILLISECONDS = 1000
FILE_MILLISECONDS = 200  # enough: a complete file is fsynced before the reply to each write
PROBE_SECONDS = 60
# Sent last: WAITAOF is answered when all writes are in the file; INFO is for servers without it.
APPEND_CHECKS: tuple[tuple[Any, ...], ...] = (
    ("WAITAOF", 1, 0, FILE_MILLISECONDS),
    ("INFO", "persistence"),
)
PUBLISH_SHA1 = sha1(PUBLISH.encode(), usedforsecurity=False).hexdigest()  # for EVALSHA


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result of one publish. `wait` is the script's reply (shared/inbox/publish_script.py; 0:
    appended). `rings` is True if this publisher must ring the bell.
    """

    wait: int
    durability: Durability
    rings: bool


class _PendingPublish:
    """The publish of one thread, waiting to be sent, and the replies to it."""

    __slots__ = ("encrypted", "pace", "position", "replies")

    def __init__(self, pace: str, encrypted: list[bytes]) -> None:
        self.pace = pace
        self.encrypted = encrypted
        self.replies: list[Any] = []
        self.position = 0


class GroupCommitPublisher:
    """Appends to the streams of one server, for all threads of a process."""

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
        self._evaluated: tuple[object, Durability] | None = None
        self._complete = False  # the append-only file, when it was last checked
        self._doubts = 0

    def append(self, keys: tuple[str, str], pace: str, encrypted: list[bytes]) -> PublishResult:
        """Append encrypted events to the stream of `keys` (stream, wake flag), in order.

        `pace` is the key of the caller's limit. Raises Unavailable if the queue did not answer:
        the outcome is then unknown.
        """
        pending = _PendingPublish(pace, encrypted)
        with self._mutex:
            self._waiting.setdefault(keys[0], []).append(pending)
        with self._publishing[keys[0]]:
            if not pending.replies:
                self._append_all(keys)
        result, *checks = pending.replies
        if isinstance(result, OutOfMemoryError):  # before the script wrote anything
            raise Unavailable("The queue's memory is full.", retry_after=FULL_SECONDS) from result
        if isinstance(result, RedisError):
            raise Unavailable(f"The queue did not answer ({type(result).__name__}).") from result
        woken, wait = result[0], result[pending.position]
        return PublishResult(wait, self._durability(checks), pending.position == 1 and woken == 1)

    def probe(self, key: str) -> Durability:
        """Measure the current durability by writing `key` as an event is written."""
        try:
            _, *checks = self._send("SET", key, "", "EX", PROBE_SECONDS, check_file=True)
        except OutOfMemoryError:
            return Durability(None, "the queue's memory is full")
        except RedisError as fault:
            return Durability(None, f"the queue did not answer ({type(fault).__name__})")
        return self._durability(checks)

    def _durability(self, checks: list[Any]) -> Durability:
        """Return the durability by the results of `_send` but the first."""
        *settings, doubts, file_checks = checks
        result = self._evaluate(settings)
        if result.level is None:
            self._doubt()
        elif file_checks:
            why = not_appended(*file_checks, was_complete=self._complete)
            if why:
                self._doubt()
                return Durability(None, why)
            self._complete = doubts == self._doubts
        return result

    def _doubt(self) -> None:
        """Have the append-only file checked again; also invalidate checks that are on their way."""
        self._complete = False
        self._doubts += 1

    def _evaluate(self, replies: list[Any]) -> Durability:
        """Return the durability by these replies. The last result is cached."""
        if self._evaluated is None or self._evaluated[0] != replies:
            in_sync = replies[1] if self._replicas else 0
            result = evaluate_durability(replies[0], self._replicas, in_sync)
            if self._layout:
                result = self._layout.evaluate(result, replies[-1])
            self._evaluated = replies, result
        return self._evaluated[1]

    def _append_all(self, keys: tuple[str, str]) -> None:
        """Send all pending publishes of a stream. The first of them rings the bell."""
        with self._mutex:
            publishes = self._waiting.pop(keys[0])
        for position, publish in enumerate(publishes, start=1):
            publish.position = position
        replies: list[Any] = [RedisError("the publishing thread failed")]
        try:
            replies = self._call_script(keys, publishes)
        except RedisError as fault:
            replies = [fault]
        finally:
            for publish in publishes:
                publish.replies = replies

    def _call_script(self, keys: tuple[str, str], publishes: list[_PendingPublish]) -> list[Any]:
        shares = [(publish.pace, publish.encrypted) for publish in publishes]
        paces, arguments = self._limits.arguments(shares)
        call = len(keys) + len(paces), *keys, *paces, WAKE_SECONDS, *arguments
        crashpoint("intake-sealed")
        try:
            replies = self._send("EVALSHA", PUBLISH_SHA1, *call)
        except NoScriptError:
            replies = self._send("EVAL", PUBLISH, *call)
        crashpoint("intake-appended")
        return replies

    def _send(self, *command: Any, check_file: bool = False) -> list[Any]:
        """Send a command and the durability checks. Return the replies to all of them, then the
        number of doubts, then the replies about the append-only file (empty if not checked).

        It takes one round trip on a raw connection. A pipeline of redis-py, with its pool, costs
        four times as much, and this is the hottest line of intake.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection, check_file = self._pool.make_connection(), True
        doubts = self._doubts
        file_commands = APPEND_CHECKS if check_file or not self._complete else ()
        commands: list[tuple[Any, ...]] = [command, ("CONFIG", "GET", CONFIG_PATTERN)]
        if self._replicas:
            commands.append(("WAIT", self._replicas, WAIT_MILLISECONDS))
        if self._layout:
            commands.append(("GET", LAYOUT_KEY))
        try:
            packed = b"".join(map(pack_command, (*commands, *file_commands)))
            connection.send_packed_command([packed])
            replies = [_read_reply(connection) for _ in commands]
            file_replies = [_read_reply(connection) for _ in file_commands]
        except BaseException:
            connection.disconnect()  # drops late replies; the next use connects again
            self._doubt()  # the server may have been restarted
            raise
        finally:
            self._idle.append(connection)
        if isinstance(replies[0], Exception):
            raise replies[0]
        return [*replies, doubts, file_replies]


def _read_reply(connection: ConnectionInterface) -> Any:
    """Read the next reply. Return a server's error as a value; raise connection errors."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
