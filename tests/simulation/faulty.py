"""A fake queue whose connection fails as real ones do; see `Fate`."""

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
CANNOT_KNOW = {
    b"CONFIG": STORES,
    b"INFO": PERSISTS,
}  # unknown to a fake server; in the words of Redis 7.0


class Fate(Enum):
    """The fate of a round trip.

    It is answered, or it never arrives, or a part of it arrives, or all of it arrives and the
    answer is lost.
    """

    ANSWERED = "answered"
    CUT = "cut"
    HALF = "half"
    UNHEARD = "unheard"


class FaultyRedis(fakeredis.FakeStrictRedis):
    """A client of a fake server.

    `fate` decides the next round trip. `ahead` returns by how many seconds the server's clock is
    ahead of the clock that stamped its messages.
    """

    def begin(self, fate: Callable[[int], tuple[Fate, int]], ahead: Callable[[], int]) -> None:
        """Set how it fails."""
        self.fate, self.ahead = fate, ahead
        self.connection_pool: Any = FaultyPool(self.connection_pool, self)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> "FaultyPipeline":
        """Return a pipeline that is one round trip."""
        pipe = FaultyPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )
        pipe.server = self
        return pipe


class FaultyPipeline(Pipeline):
    """Several commands at once; a fault may split them."""

    server: FaultyRedis

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send the commands, as far as the fate allows."""
        commands = list(self.command_stack)
        fate, part = self.server.fate(len(commands))
        if fate is Fate.CUT or (fate is Fate.HALF and not part):
            self.reset()
            raise Gone("never sent")
        if fate is Fate.HALF:
            self.command_stack = commands[:part]
        answers = super().execute(raise_on_error=raise_on_error)
        if fate is not Fate.ANSWERED:
            raise Gone("no answer")
        return [
            self._completed(args[0], answer)
            for (args, _), answer in zip(commands, answers, strict=True)
        ]

    def _completed(self, command: str, answer: Any) -> Any:
        """Fill in what the fake server does not know: its configuration and its time."""
        if command == "CONFIG GET":
            return STORES
        if command == "TIME":
            seconds, rest = answer
            return seconds + self.server.ahead(), rest
        return answer


class FaultyPool:
    """The client's pool; connections made by hand fail, too."""

    def __init__(self, pool: Any, server: FaultyRedis) -> None:
        self._pool, self._server = pool, server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def make_connection(self) -> "FaultyLine":
        """Make a faulty connection, for shared/inbox/group_commit.py."""
        return FaultyLine(self._pool.make_connection(), self._server)


class FaultyLine:
    """One connection, written and read without a client."""

    def __init__(self, line: Any, server: FaultyRedis) -> None:
        self._line, self._server = line, server
        self._commands: list[Any] = []
        self._fate = Fate.ANSWERED

    def send_packed_command(self, packed: Sequence[bytes]) -> None:
        """Send the commands of one round trip, as far as the fate allows."""
        commands = _unpacked(packed)
        self._fate, part = self._server.fate(len(commands))
        self._commands = commands[:part] if self._fate is Fate.HALF else commands
        if self._fate is Fate.CUT or not self._commands:
            raise Gone("never sent")
        self._line.send_packed_command(self._line.pack_commands(self._commands))
        if self._fate is not Fate.ANSWERED:
            raise Gone("no answer")

    def read_response(self) -> Any:
        """Return the next answer."""
        command = self._commands.pop(0)
        if command[0] in CANNOT_KNOW:
            with suppress(ResponseError):
                self._line.read_response()
            return CANNOT_KNOW[command[0]]
        return self._line.read_response()

    def disconnect(self) -> None:
        """Disconnect; data in transit is lost."""
        self._line.disconnect()


def _unpacked(packed: Sequence[bytes]) -> list[Any]:
    """Split packed bytes into commands: a list of words each, as the server reads them."""
    reader, commands = hiredis.Reader(), []
    for part in packed:
        reader.feed(part)
    while (command := reader.gets()) is not False:
        commands.append(command)
    return commands
