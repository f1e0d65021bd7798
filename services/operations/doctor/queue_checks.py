"""Checks of the queue, and of how far the ledger is behind it."""

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
LOOKED_AT = 10_000  # keys
SKEW = 5.0  # seconds
LATE = 30.0  # seconds that a message may wait before we ask why


def version(ground: DoctorContext) -> str:
    """New enough."""
    found = []
    for each in ground.queues.servers:
        info = each.info("server")
        spoken = str(info["redis_version"])
        if tuple(int(part) for part in spoken.split(".")[:2]) < OLDEST:
            raise PreconditionFailed(
                f"it speaks as Redis {spoken}; use Redis 7.0 or newer, or Valkey"
            )
        valkey = info.get("valkey_version")
        found.append(f"Valkey {valkey}" if valkey else f"Redis {spoken}")
    return ", ".join(found)


def safety(ground: DoctorContext) -> str:
    """It keeps what it is given, as safely as is configured."""
    levels = []
    for each in ground.queues.servers:
        found = durability(each, ground.settings.replicas)
        if found.level is None:
            raise PreconditionFailed(
                f"{found.why}; set appendonly yes, appendfsync always, maxmemory-policy "
                "noeviction, and start as many replicas as FIRSTHAND_REPLICAS says"
            )
        levels.append(found.level)
    return ", ".join(levels)


def alone(ground: DoctorContext) -> str:
    """Nobody else keeps things in it; looks at 10,000 keys of each server at most."""
    return f"{sum(map(_ours, ground.queues.servers))} keys, all ours"


def _ours(server: "Redis") -> int:
    seen, cursor = 0, 0
    while seen < LOOKED_AT:
        cursor, keys = server.scan(cursor, count=1000)
        strange = [key for key in cast(list[bytes], keys) if not is_ours(key)]
        if strange:
            first = strange[0][:40].decode(errors="replace")
            raise CheckWarning(
                f"it holds keys of others, as {first}; give Firsthand a queue of its own"
            )
        seen += len(keys)
        if not cursor:
            break
    return seen


def layout(ground: DoctorContext) -> str:
    """Intake and worker look for a person in the same place."""
    partitions = ground.settings.partitions
    if why := layout_difference(ground.queues, partitions):
        raise PreconditionFailed(f"this command is {why}")
    if strays := messages_outside_layout(ground.queues, partitions):
        told = ", ".join(f"{count} messages in partition {each}" for each, count in strays.items())
        raise PreconditionFailed(
            f"{told}, and the ledger has {partitions}: somebody else writes to the queue, or an "
            "intake has another FIRSTHAND_PARTITIONS; mend that, and restart the worker, which "
            "moves what it can open"
        )
    return f"{partitions}, here and in the ledger"


def clock(ground: DoctorContext) -> str:
    """Its clock and ours agree."""
    told = [each.time() for each in ground.queues.servers]
    return ", ".join(skew(ground, seconds + millionths / 1e6) for seconds, millionths in told)


def skew(ground: DoctorContext, theirs: float) -> str:
    """Unsafe if a clock (seconds since 1970) is too far from ours."""
    off = theirs - ground.clock().timestamp()
    if abs(off) > SKEW:
        way = "ahead of" if off > 0 else "behind"
        raise PreconditionFailed(
            f"its clock is {abs(off):.0f} s {way} ours; set both by the same time server"
        )
    return f"within {abs(off):.1f} s of ours"


def lag(ground: DoctorContext) -> str:
    """What waits, for how long, and why."""
    found = list(lags(ground.queues, ground.settings.partitions))
    for each in found:
        full = 0 < ground.inbox_limit <= each.messages
        many = f"{each.messages} messages" + (" (full: who posts gets 503)" if full else "")
        if each.waits:
            raise PreconditionFailed(
                f"partition {each.partition} waits, {many}: {each.waits}; "
                "mend that, and the worker goes on by itself"
            )
        if each.oldest > LATE or full:
            rung = "the bell was rung" if each.rung else "no bell was rung"
            raise PreconditionFailed(
                f"partition {each.partition}: {many}, the oldest for "
                f"{each.oldest:.0f} s, {rung}; start a worker, or more of them"
            )
    messages = sum(each.messages for each in found)
    oldest = max(each.oldest for each in found)
    if not messages:
        return "nothing waits"
    return f"{messages} messages wait, the oldest for {oldest:.1f} s"


def bells(ground: DoctorContext) -> str:
    """Somebody listens for bells, and none failed."""
    listeners = doorbell.listeners(ground.queues.first)
    if failed := doorbell.failed(ground.queues.first):
        raise CheckWarning(f"{failed} bells failed in the last minute; see the worker's log")
    if not listeners:
        raise CheckWarning("no worker listens for bells; start 'firsthand worker'")
    return f"{listeners} workers listen"
