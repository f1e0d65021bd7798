"""A pretended queue whose connection fails as real ones do; see `Fate`."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

import fakeredis
import hiredis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as Gone
from redis.exceptions import ResponseError

STORES = {
    b"appendonly": b"yes",
    b"appendfsync": b"always",
    b"maxmemory-policy": b"noeviction",
}

PERSISTS = b"""aof_enabled:1
aof_last_write_status:ok
aof_rewrite_in_progress:0
aof_rewrite_scheduled:0
"""
CANNOT_KNOW = {b"CONFIG": STORES, b"INFO": PERSISTS}  # of a pretended server, as Redis 7.0 says it


class Fate(Enum):
    """What becomes of a round trip: it is answered, it never arrives, a part of it does, or all of
    it does and the answer is lost.
    """

    ANSWERED = "answered"
    CUT = "cut"
    HALF = "half"
    UNHEARD = "unheard"


class FaultyRedis(fakeredis.FakeStrictRedis):
    """A client of a pretended server. `fate` says what becomes of the next round trip, `ahead` by
    how many seconds the server's clock is ahead of the one that stamped its messages.
    """

    def begin(self, fate: Callable[[int], tuple[Fate, int]], ahead: Callable[[], int]) -> None:
        """Say how it fails."""
        self.fate, self.ahead = fate, ahead
        self.connection_pool: Any = FaultyPool(self.connection_pool, self)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> "FaultyPipeline":
        """One round trip."""
        pipe = FaultyPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        pipe.server = self
        return pipe


class FaultyPipeline(Pipeline):
    """Several commands at once; they do not come in one piece on a bad day."""

    server: FaultyRedis

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send them, as it is fated."""
        commands = list(self.command_stack)
        fate, part = self.server.fate(len(commands))
        if fate is Fate.CUT or (fate is Fate.HALF and not part):
            self.reset()
            raise Gone("never sent")
        if fate is Fate.HALF:
            self.command_stack = commands[:part]
        told = super().execute(raise_on_error=raise_on_error)
        if fate is not Fate.ANSWERED:
            raise Gone("no answer")
        return [
            self._as_told(args[0], each) for (args, _), each in zip(commands, told, strict=True)
        ]

    def _as_told(self, command: str, answer: Any) -> Any:
        """What the pretended server cannot know: how it stores, and what time it is."""
        if command == "CONFIG GET":
            return STORES
        if command == "TIME":
            seconds, rest = answer
            return seconds + self.server.ahead(), rest
        return answer


class FaultyPool:
    """The client's pool; who makes a connection of their own gets one that fails, too."""

    def __init__(self, pool: Any, server: FaultyRedis) -> None:
        self._pool, self._server = pool, server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def make_connection(self) -> "FaultyLine":
        """As shared/inbox/group_commit.py does."""
        return FaultyLine(self._pool.make_connection(), self._server)


class FaultyLine:
    """One connection, written and read by hand."""

    def __init__(self, line: Any, server: FaultyRedis) -> None:
        self._line, self._server = line, server
        self._commands: list[Any] = []
        self._fate = Fate.ANSWERED

    def send_packed_command(self, packed: Sequence[bytes]) -> None:
        """Send the commands of one round trip, as far as is fated."""
        commands = _unpacked(packed)
        self._fate, part = self._server.fate(len(commands))
        self._commands = commands[:part] if self._fate is Fate.HALF else commands
        if self._fate is Fate.CUT or not self._commands:
            raise Gone("never sent")
        self._line.send_packed_command(self._line.pack_commands(self._commands))
        if self._fate is not Fate.ANSWERED:
            raise Gone("no answer")

    def read_response(self) -> Any:
        """The next answer."""
        command = self._commands.pop(0)
        if command[0] in CANNOT_KNOW:
            with suppress(ResponseError):
                self._line.read_response()
            return CANNOT_KNOW[command[0]]
        return self._line.read_response()

    def disconnect(self) -> None:
        """Whatever was on its way is lost."""
        self._line.disconnect()


def _unpacked(packed: Sequence[bytes]) -> list[Any]:
    """The commands in what is to be sent: a list of words each, as the server reads them."""
    reader, found = hiredis.Reader(), []
    for each in packed:
        reader.feed(each)
    while (command := reader.gets()) is not False:
        found.append(command)
    return found
