"""How safe a published event is: checked on the server, never assumed.

Safe means: appended to a file that is fsynced before the answer, on a server that evicts nothing,
and on as many replicas as are configured.
"""

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

HOW_IT_STORES = "[am][pa][px][em]*"  # append…, maxmemory…: one pattern is all that 6.2 takes


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe a published event is. `level` goes into the answer; None means: not safe."""

    level: str | None
    why: str = ""


def judge(config: Any, wanted: int, replicas: Any) -> Durability:
    """Judge the answers to CONFIG GET append… and maxmemory…, and to WAIT; each may be an error."""
    for answer in (config, replicas):
        if isinstance(answer, Exception):
            return Durability(None, f"the queue does not tell how it stores: {answer}")
    told = {_text(name): _text(value) for name, value in dict(config).items()}
    if told.get("appendonly") != "yes" or told.get("appendfsync") != "always":
        return Durability(None, "the queue does not fsync each write (appendfsync always)")
    if told.get("maxmemory-policy") != "noeviction":
        return Durability(None, "the queue may evict what it holds (maxmemory-policy noeviction)")
    if replicas < wanted:
        return Durability(None, f"{replicas} of {wanted} replicas have the event")
    return Durability(level_of(wanted))


def level_of(replicas: int) -> str:
    """The level that is wanted where so many replicas are configured."""
    return f"fsync+replicas:{replicas}" if replicas else "fsync"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def durability(queue: "Redis", replicas: int) -> Durability:
    """How safely a queue stores at this moment, with as many replicas as are wanted."""
    try:
        config = queue.config_get(HOW_IT_STORES)
        info = queue.info("replication") if replicas else {}
    except RedisError as fault:
        return Durability(None, f"the queue did not answer ({type(fault).__name__})")
    return judge(config, replicas, int(info.get("connected_slaves", 0)))
