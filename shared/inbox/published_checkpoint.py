"""Reading the last published checkpoint of a log, which stands in the queue, outside the database.

The projector writes it after its commit (shared/inbox); the services that read and keep
the logs look here.
"""

from typing import cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.errors import Unavailable
from shared.inbox.redis_keys import published_key
from shared.inbox.servers import RedisServers, as_servers

WRONG_TYPE = "(not a text)"


class PublishedCheckpoints:
    """Asks the queue."""

    def __init__(self, redis: Redis | RedisServers) -> None:
        self.queues = as_servers(redis)

    def read(self, log: int) -> str:
        """The text in the place of the checkpoint, which anybody who writes to the queue may have
        changed; empty if there is no such key, WRONG_TYPE if its value is not a text. Unavailable
        if the queue does not answer.
        """
        try:
            note = cast(bytes | None, self.queues.of(log).get(published_key(log)))
        except RedisError as fault:
            if isinstance(fault, ResponseError) and str(fault).startswith("WRONGTYPE"):
                return WRONG_TYPE
            raise Unavailable(f"The queue did not answer ({type(fault).__name__}).") from fault
        return (note or b"").decode("utf-8", "replace")
