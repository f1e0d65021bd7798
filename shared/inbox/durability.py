"""How safe a published event is: checked on the server, never assumed.

Safe means: appended to a file that is fsynced before the answer, on a server that evicts nothing,
and on as many replicas as are configured.

The settings alone do not say so. A server whose appending was switched on begins with a whole new
file, and until that is complete, a kill loses what it answers, with `appendonly yes` in its
settings. WAITAOF (Valkey, Redis 7.2) waits for what really is in the file; an older Redis says in
INFO whether it is writing such a file.
"""

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

HOW_IT_STORES = "[am][pa][px][em]*"  # append…, maxmemory…: one pattern is all that 6.2 takes
SILENCE = 5  # seconds
_OFF = "the queue does not write its append-only file"
_INCOMPLETE = "the queue's append-only file is not complete yet"


@dataclass(frozen=True, slots=True)
class Durability:
    """How safe a published event is. `level` goes into the answer; None means: not safe."""

    level: str | None
    why: str = ""


def evaluate_durability(config: Any, wanted: int, replicas: Any) -> Durability:
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


def not_appended(waited: Any, persistence: Any, *, was_complete: bool) -> str:
    """Why what was written may not be in the append-only file; empty if it is.

    By the answers to WAITAOF and to INFO persistence; each may be an error. A server without
    WAITAOF that is rewriting its file is believed only if the file was complete before.
    """
    if isinstance(waited, list):
        return "" if waited[0] >= 1 else _INCOMPLETE
    if isinstance(persistence, Exception):
        return f"the queue does not tell how it stores: {persistence}"
    told = _facts(persistence)
    if told.get("aof_enabled") != "1" or told.get("aof_last_write_status") != "ok":
        return _OFF
    rewrites = (
        told.get("aof_rewrite_in_progress") != "0" or told.get("aof_rewrite_scheduled") != "0"
    )
    return _INCOMPLETE if rewrites and not was_complete else ""


def level_of(replicas: int) -> str:
    """The level that is wanted where so many replicas are configured."""
    return f"fsync+replicas:{replicas}" if replicas else "fsync"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _facts(info: object) -> dict[str, str]:
    """What INFO says, as text or as redis-py reads it."""
    if isinstance(info, dict):
        return {name: str(value) for name, value in info.items()}
    lines = (line.partition(":") for line in _text(info).splitlines())
    return {name: value for name, _, value in lines}


def _follows(replica: object) -> bool:
    """Whether a line of INFO replication is a replica's that answers: it does once a second, and
    stays connected for a minute when it does not.
    """
    facts = replica if isinstance(replica, dict) else {}
    return facts.get("state") == "online" and int(facts.get("lag", 0)) <= SILENCE


def durability(queue: "Redis", replicas: int) -> Durability:
    """How safely a queue stores at this moment, by what it says without being written to."""
    try:
        config = queue.config_get(HOW_IT_STORES)
        persistence = queue.info("persistence")
        info = queue.info("replication") if replicas else {}
    except RedisError as fault:
        return Durability(None, f"the queue did not answer ({type(fault).__name__})")
    found = evaluate_durability(config, replicas, sum(map(_follows, dict(info).values())))
    why = not_appended(None, persistence, was_complete=True) if found.level else ""
    return Durability(None, why) if why else found
