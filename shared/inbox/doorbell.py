"""RQ, and only as a doorbell: one job, "drain partition p", for any number of waiting events.

Nothing rests on RQ's bookkeeping. A job's id is always fresh, its only argument is a partition
number, and `DrainJob` runs two named functions whatever the queue's bytes say. The other one is
"switch": the one writer of a SQLite ledger is asked to put a rebuild in place.
"""

import os

os.environ["RQ_KEY_PREFIX"] = "{firsthand}:rq"  # read once, when rq is imported

from redis import Redis
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from shared.crashpoints import crashpoint

del os.environ["RQ_KEY_PREFIX"]  # not for our children to inherit

# The only door to rq: imported elsewhere first, it would read another prefix.
__all__ = ["DrainJob", "JSONSerializer", "SimpleWorker", "StopRequested", "bell", "ring"]

QUEUE = "drain"
PREFIX = "{firsthand}:rq"
DRAIN = "services.ledger.writer.worker.drain"
SWITCH = "services.ledger.writer.worker.switch"
ALLOWED = frozenset({DRAIN, SWITCH})
NO_ALARM = -1  # RQ's alarm raises inside any bytecode, also around COMMIT
FAILURE_TTL = 60  # seconds; a failed bell is of no interest, the sweeper rings again


class DrainJob(Job):
    """A job that can only be the drain of one partition, or a switch. Of what stands in the queue
    it takes these fields and no others: callbacks, webhooks, retries, alarms are nobody's to plant.
    """

    FIELDS = (b"data", b"created_at", b"enqueued_at", b"origin", b"status", b"description")

    def restore(self, raw_data):  # type: ignore[no-untyped-def]  # as untyped as RQ has it
        """Read a job from Redis."""
        super().restore({name: raw_data[name] for name in self.FIELDS if name in raw_data})
        self.timeout, self.result_ttl, self.failure_ttl = NO_ALARM, 0, FAILURE_TTL

    @property
    def func(self):  # type: ignore[no-untyped-def]  # as untyped as the method it overrides
        """One of ours; ValueError for anything else that was planted in the queue."""
        args = self.args
        if self.func_name not in ALLOWED or self.instance is not None or self.kwargs:
            raise ValueError("not a drain job")
        if len(args) != 1 or type(args[0]) is not int or args[0] < 0:
            raise ValueError("a drain takes one partition number")
        return super().func


def bell(connection: "Redis") -> Queue:
    """The one queue. Give it a connection of its own: RQ changes the pool's time-outs."""
    return Queue(QUEUE, connection=connection, job_class=DrainJob, serializer=JSONSerializer)


def failed(connection: "Redis") -> int:
    """How many bells failed within the last minute. RQ's own count would remove old ones."""
    return connection.zcard(f"{PREFIX}:failed:{QUEUE}")


def listeners(connection: "Redis") -> int:
    """How many workers listen for bells, by their own word, which lasts some minutes."""
    return connection.scard(f"{PREFIX}:workers")


def ring(queue: Queue, partition: int, what: str = DRAIN) -> None:
    """Ask a worker to drain `partition`, or to switch."""
    crashpoint("bell-flagged")
    queue.enqueue_call(
        what, args=(partition,), timeout=NO_ALARM, result_ttl=0, failure_ttl=FAILURE_TTL
    )
    crashpoint("bell-rung")
