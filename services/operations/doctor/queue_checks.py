"""Checks of the queue, and of the ledger's lag behind it."""

from typing import cast

from redis import Redis

from services.operations.doctor.context import CheckWarning, DoctorContext
from shared.errors import PreconditionFailed
from shared.inbox import doorbell
from shared.inbox.durability import durability
from shared.inbox.lag import lags, messages_outside_layout
from shared.inbox.partition_layout import layout_difference
from shared.inbox.redis_keys import is_ours

OLDEST = (7, 0)
SCANNED = 10_000  # keys
SKEW = 5.0  # seconds
LATE = 30.0  # seconds that a message may wait


def version(context: DoctorContext) -> str:
    """Check the version of each server."""
    versions = []
    for server in context.queues.servers:
        info = server.info("server")
        redis = str(info["redis_version"])
        if tuple(int(part) for part in redis.split(".")[:2]) < OLDEST:
            raise PreconditionFailed(
                f"its version is Redis {redis}; use Redis 7.0 or newer, or Valkey"
            )
        valkey = info.get("valkey_version")
        versions.append(f"Valkey {valkey}" if valkey else f"Redis {redis}")
    return ", ".join(versions)


def safety(context: DoctorContext) -> str:
    """Check that each server stores writes as durably as configured."""
    levels = []
    for server in context.queues.servers:
        result = durability(server, context.settings.replicas)
        if result.level is None:
            raise PreconditionFailed(
                f"{result.why}; set appendonly yes, appendfsync always, maxmemory-policy "
                "noeviction, and start as many replicas as FIRSTHAND_REPLICAS says"
            )
        levels.append(result.level)
    return ", ".join(levels)


def alone(context: DoctorContext) -> str:
    """Check that the queue holds only Firsthand's keys, for up to 10,000 keys per server."""
    return f"{sum(map(_ours, context.queues.servers))} keys, all Firsthand's"


def _ours(server: "Redis") -> int:
    scanned, cursor = 0, 0
    while scanned < SCANNED:
        cursor, keys = server.scan(cursor, count=1000)
        foreign = [key for key in cast(list[bytes], keys) if not is_ours(key)]
        if foreign:
            first = foreign[0][:40].decode(errors="replace")
            raise CheckWarning(
                f"it holds foreign keys, such as {first}; use a separate queue for Firsthand"
            )
        scanned += len(keys)
        if not cursor:
            break
    return scanned


def layout(context: DoctorContext) -> str:
    """Check that this command, intake and worker agree on the number of partitions."""
    partitions = context.settings.partitions
    if why := layout_difference(context.queues, partitions):
        raise PreconditionFailed(f"this command is {why}")
    if strays := messages_outside_layout(context.queues, partitions):
        messages = ", ".join(
            f"{count} messages in partition {log}" for log, count in strays.items()
        )
        raise PreconditionFailed(
            f"{messages}, but the ledger has {partitions}: another program writes to the queue, or "
            "an intake has another FIRSTHAND_PARTITIONS; correct that, and restart the worker, "
            "which moves the messages that it can decrypt"
        )
    return f"{partitions}, here and in the ledger"


def clock(context: DoctorContext) -> str:
    """Check that the queue's clock and this host's agree."""
    times = [server.time() for server in context.queues.servers]
    return ", ".join(skew(context, seconds + millionths / 1e6) for seconds, millionths in times)


def skew(context: DoctorContext, other: float) -> str:
    """Raise PreconditionFailed if a clock (seconds since 1970) is far from this host's."""
    difference = other - context.clock().timestamp()
    if abs(difference) > SKEW:
        direction = "ahead of" if difference > 0 else "behind"
        raise PreconditionFailed(
            f"its clock is {abs(difference):.0f} s {direction} this host's; use one time "
            "server for both"
        )
    return f"within {abs(difference):.1f} s of this host's"


def lag(context: DoctorContext) -> str:
    """Check how many messages wait, for how long, and why."""
    partitions = list(lags(context.queues, context.settings.partitions))
    for partition in partitions:
        full = 0 < context.inbox_limit <= partition.messages
        pending = f"{partition.messages} messages" + (" (full: intake answers 503)" if full else "")
        if partition.waits:
            raise PreconditionFailed(
                f"partition {partition.partition} is blocked, {pending}: {partition.waits}; "
                "fix the cause, and the worker continues by itself"
            )
        if partition.oldest > LATE or full:
            bell = "doorbell rung" if partition.rung else "doorbell not rung"
            raise PreconditionFailed(
                f"partition {partition.partition}: {pending}, the oldest for "
                f"{partition.oldest:.0f} s, {bell}; start a worker, or more of them"
            )
    messages = sum(partition.messages for partition in partitions)
    oldest = max(partition.oldest for partition in partitions)
    if not messages:
        return "no message waits"
    return f"{messages} messages wait, the oldest for {oldest:.1f} s"


def bells(context: DoctorContext) -> str:
    """Check that a worker listens for doorbells and that no doorbell job failed."""
    listeners = doorbell.listeners(context.queues.first)
    if failed := doorbell.failed(context.queues.first):
        raise CheckWarning(
            f"{failed} doorbell jobs failed in the last minute; see the worker's log"
        )
    if not listeners:
        raise CheckWarning("no worker listens for doorbells; start 'firsthand worker'")
    return f"{listeners} workers listen"
