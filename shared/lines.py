"""Connections of our own to the queue, for the hottest path of intake."""

from typing import Any

from redis import Redis
from redis.connection import ConnectionInterface
from redis.exceptions import ResponseError


class Lines:
    """Asks several commands in one round trip, on a connection that nobody else uses meanwhile.

    A pipeline of redis-py, with its pool, costs four times as much.
    """

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._idle: list[ConnectionInterface] = []

    def ask(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """An answer to each; the server's error as a value. RedisError if the line breaks."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = self._redis.connection_pool.make_connection()
        try:
            line.send_packed_command(line.pack_commands(commands))
            return [_answer(line) for _ in commands]
        except BaseException:
            line.disconnect()  # whatever is still on its way is nobody's; it connects again
            raise
        finally:
            self._idle.append(line)


def _answer(line: ConnectionInterface) -> Any:
    try:
        return line.read_response()
    except ResponseError as told:
        return told
