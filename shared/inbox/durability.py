"""Durability of a published event: verified on the server, never assumed.

Durable means: appended to a file that is fsynced before the reply, on a server that evicts nothing,
and on as many replicas as are configured.

The settings alone do not prove it. When appending is switched on, the server first writes a new
file. Until that file is complete, a crash loses acknowledged writes although `appendonly` is `yes`.
WAITAOF (Valkey, Redis 7.2) waits until the write is in the file; an older Redis reports in INFO
whether it is writing such a file.
"""

from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

CONFIG_PATTERN = "[am][pa][px][em]*"  # append…, maxmemory…: Redis 6.2 accepts only one pattern
MAX_REPLICA_LAG = 5  # seconds
_OFF = "the queue does not write its append-only file"
_INCOMPLETE = "the queue's append-only file is not complete yet"


@dataclass(frozen=True, slots=True)
class Durability:
    """The durability of a published event. `level` is in the response; None means not durable."""

    level: str | None
    why: str = ""


def evaluate_durability(config: Any, wanted: int, replicas: Any) -> Durability:
    """Return the durability by the replies to CONFIG GET and WAIT. A reply may be an error."""
    for reply in (config, replicas):
        if isinstance(reply, Exception):
            return Durability(None, f"the queue does not report its settings: {reply}")
    settings = {_text(name): _text(value) for name, value in dict(config).items()}
    if settings.get("appendonly") != "yes" or settings.get("appendfsync") != "always":
        return Durability(None, "the queue does not fsync each write (appendfsync always)")
    if settings.get("maxmemory-policy") != "noeviction":
        return Durability(None, "the queue may evict messages (maxmemory-policy noeviction)")
    if replicas < wanted:
        return Durability(None, f"{replicas} of {wanted} replicas have the event")
    return Durability(level_of(wanted))


def not_appended(waited: Any, persistence: Any, *, was_complete: bool) -> str:
    """Return why a write may be missing in the append-only file; empty if it is in it.

    `waited` and `persistence` are the replies to WAITAOF and INFO persistence, or errors. For a
    server without WAITAOF that is rewriting its file, the file must have been complete before.
    """
    if isinstance(waited, list):
        return "" if waited[0] >= 1 else _INCOMPLETE
    if isinstance(persistence, Exception):
        return f"the queue does not report its settings: {persistence}"
    info = _parse_info(persistence)
    if info.get("aof_enabled") != "1" or info.get("aof_last_write_status") != "ok":
        return _OFF
    rewrites = (
        info.get("aof_rewrite_in_progress") != "0" or info.get("aof_rewrite_scheduled") != "0"
    )
    return _INCOMPLETE if rewrites and not was_complete else ""


def level_of(replicas: int) -> str:
    """Return the level that this number of replicas gives."""
    return f"fsync+replicas:{replicas}" if replicas else "fsync"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parse_info(info: object) -> dict[str, str]:
    """Parse a reply to INFO, which is a text or a dictionary of redis-py."""
    if isinstance(info, dict):
        return {name: str(value) for name, value in info.items()}
    lines = (line.partition(":") for line in _text(info).splitlines())
    return {name: value for name, _, value in lines}


def _is_responsive(replica: object) -> bool:
    """Return True if a value of INFO replication is a replica that acknowledged recently.

    A replica acknowledges once a second, but stays connected for a minute when it does not.
    """
    fields = replica if isinstance(replica, dict) else {}
    return fields.get("state") == "online" and int(fields.get("lag", 0)) <= MAX_REPLICA_LAG


def durability(queue: "Redis", replicas: int) -> Durability:
    """Return the current durability of a queue, without writing to it."""
    try:
        config = queue.config_get(CONFIG_PATTERN)
        persistence = queue.info("persistence")
        info = queue.info("replication") if replicas else {}
    except RedisError as fault:
        return Durability(None, f"the queue did not answer ({type(fault).__name__})")
    result = evaluate_durability(config, replicas, sum(map(_is_responsive, dict(info).values())))
    why = not_appended(None, persistence, was_complete=True) if result.level else ""
    return Durability(None, why) if why else result
