"""Doorbell: RQ jobs that wake a worker. One job, "drain partition p", serves any number of events.

Correctness does not depend on RQ's state. A job always has a new id, and its only argument is a
partition number. `DrainJob` runs two named functions only, whatever the bytes in the queue contain.
The second one is "switch": it asks the only writer of a SQLite ledger to install a rebuild.
"""

import os

os.environ["RQ_KEY_PREFIX"] = "{firsthand}:rq"  # read once, when rq is imported

from redis import Redis
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from shared.crashpoints import crashpoint

del os.environ["RQ_KEY_PREFIX"]  # child processes must not inherit it

# Import rq only through this module: imported elsewhere first, it would read another prefix.
__all__ = ["DrainJob", "JSONSerializer", "SimpleWorker", "StopRequested", "bell", "ring"]

QUEUE = "drain"
PREFIX = "{firsthand}:rq"
DRAIN = "services.ledger.writer.worker.drain"
SWITCH = "services.ledger.writer.worker.switch"
ALLOWED = frozenset({DRAIN, SWITCH})
NO_ALARM = -1  # RQ's alarm raises inside any bytecode, also around COMMIT
FAILURE_TTL = 60  # seconds; failed bells need no handling, because the sweeper rings again


class DrainJob(Job):
    """A job that can only drain one partition, or switch.

    It restores only these fields from the queue, so that nobody can inject callbacks, webhooks,
    retries or alarms.
    """

    FIELDS = (b"data", b"created_at", b"enqueued_at", b"origin", b"status", b"description")

    def restore(self, raw_data):  # type: ignore[no-untyped-def]  # as untyped as RQ has it
        """Restore the allowed fields of a job from Redis."""
        super().restore({name: raw_data[name] for name in self.FIELDS if name in raw_data})
        self.timeout, self.result_ttl, self.failure_ttl = NO_ALARM, 0, FAILURE_TTL

    @property
    def func(self):  # type: ignore[no-untyped-def]  # as untyped as the method it overrides
        """The allowed function; ValueError for any other job that was injected into the queue."""
        args = self.args
        if self.func_name not in ALLOWED or self.instance is not None or self.kwargs:
            raise ValueError("not a drain job")
        if len(args) != 1 or type(args[0]) is not int or args[0] < 0:
            raise ValueError("a drain takes one partition number")
        return super().func


def bell(connection: "Redis") -> Queue:
    """Return the RQ queue. Pass a separate connection: RQ changes the time-outs of its pool."""
    return Queue(QUEUE, connection=connection, job_class=DrainJob, serializer=JSONSerializer)


def failed(connection: "Redis") -> int:
    """Return how many bells failed within the last minute. RQ's count would delete old ones."""
    return connection.zcard(f"{PREFIX}:failed:{QUEUE}")


def listeners(connection: "Redis") -> int:
    """Return how many workers are registered with RQ. A registration lasts some minutes."""
    return connection.scard(f"{PREFIX}:workers")


def ring(queue: Queue, partition: int, what: str = DRAIN) -> None:
    """Ask a worker to drain `partition`, or to switch."""
    crashpoint("bell-flagged")
    queue.enqueue_call(
        what, args=(partition,), timeout=NO_ALARM, result_ttl=0, failure_ttl=FAILURE_TTL
    )
    crashpoint("bell-rung")
