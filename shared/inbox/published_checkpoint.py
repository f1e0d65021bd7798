"""Published checkpoint: read the last published checkpoint of a log from the queue.

The projector publishes it after its commit (shared/inbox). It is outside the database, so that the
read API and the checkpoint archiver can detect a database that was rolled back.
"""

from typing import cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.errors import Unavailable
from shared.inbox.redis_keys import published_key
from shared.inbox.servers import RedisServers, as_servers

WRONG_TYPE = "(not a string)"


class PublishedCheckpoints:
    """Reads published checkpoints from the queue."""

    def __init__(self, redis: Redis | RedisServers) -> None:
        self.queues = as_servers(redis)

    def read(self, log: int) -> str:
        """Return the published checkpoint of a log, not verified; Unavailable if the queue is.

        Returns an empty text if the key is missing, and WRONG_TYPE if it is not a string.
        """
        try:
            note = cast(bytes | None, self.queues.of(log).get(published_key(log)))
        except RedisError as fault:
            if isinstance(fault, ResponseError) and str(fault).startswith("WRONGTYPE"):
                return WRONG_TYPE
            raise Unavailable(f"The queue did not answer ({type(fault).__name__}).") from fault
        return (note or b"").decode("utf-8", "replace")
