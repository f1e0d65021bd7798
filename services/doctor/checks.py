"""All checks in the order in which they are told, and the report."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from redis.exceptions import RedisError

from services.client import ADDRESSES, Answer, send, told_by_up
from services.doctor import keys, queue, store
from services.doctor.ground import Away, Ground, Odd
from services.ledger.store import setup
from services.ledger.store.engine import StoreError
from shared.logs import told
from shared.problems import FirsthandError
from shared.terminal import printable

Check = Callable[[Ground], str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found: `state` is ok, odd, wrong or unknown. Only `wrong` is a finding; `down`
    means unknown since somebody does not answer who should.
    """

    check: str
    state: str
    told: str
    remedy: str = ""
    down: bool = False


def ready(service: str) -> Check:
    """The service says that it is ready."""

    def check(ground: Ground) -> str:
        if service not in ground.services:
            remedy = f"set {ADDRESSES[service]}, or run 'firsthand up'"
            raise Away(f"no address is known here; {remedy}", down=False)
        return _ready(service, ground.services[service])

    return check


CHECKS: dict[str, Check] = {
    "key files": keys.modes,
    "ledger's file": keys.ledger_file,
    "transit keys": keys.transit,
    "issuers": keys.issuers,
    "key-encryption key": keys.vault,
    "log keys": keys.logs,
    "disk": keys.disk,
    "file system": keys.file_system,
    "queue": queue.version,
    "queue durability": queue.safety,
    "queue's other keys": queue.alone,
    "queue's clock": queue.clock,
    "partitions": queue.layout,
    "lag": queue.lag,
    "bells": queue.bells,
    "database": store.answers,
    **{name: store.at_start(name) for name in setup.CHECKS},
    "read API's role": store.reader,
    "vault": store.unwraps,
    "signatures": store.signs,
    "published": store.published,
    "unreadable": store.unreadable,
    "held": store.held,
    "queue's completeness": store.complete,
    "database's clock": store.clock,
    "intake": ready("intake"),
    "read API": ready("ledger"),
}


def examine(ground: Ground) -> Iterator[Result]:
    """Every check's result, in order. A reason is told once, and then referred to."""
    reasons: dict[str, str] = {}
    try:
        for name, check in CHECKS.items():
            found = _result(name, check, ground)
            first = name if found.state == "ok" else reasons.setdefault(found.told, name)
            same = f"not known, for the reason of '{first}'"
            yield found if first == name else replace(found, state="unknown", told=same, remedy="")
    finally:
        ground.close()


def _result(name: str, check: Check, ground: Ground) -> Result:
    try:
        return Result(name, "ok", printable(check(ground)))
    except Away as fault:
        return Result(name, "unknown", *_parts(str(fault)), down=fault.down)
    except Odd as fault:
        return Result(name, "odd", *_parts(str(fault)))
    except FirsthandError as fault:
        return Result(name, "wrong", *_parts(str(fault)))
    except (RedisError, StoreError, OSError) as fault:
        return Result(name, "unknown", printable(told(fault)), "see whether it answers", down=True)


def _parts(said: str) -> tuple[str, str]:
    """What is wrong, and the remedy: what stands after the last semicolon or `Run …`.

    Both may quote what somebody wrote into the queue or the database.
    """
    said = printable(said)
    what, semicolon, remedy = said.rpartition("; ")
    if not semicolon:
        what, _, remedy = said.partition(". Run ")
        remedy = f"run {remedy.rstrip('.')}" if remedy else ""
    return what, remedy


def addresses(data: Path) -> dict[str, str]:
    """Where services answer, as far as the environment or `up` says."""
    configured = {name: os.environ.get(variable) for name, variable in ADDRESSES.items()}
    return told_by_up(data) | {name: url for name, url in configured.items() if url}


def _ready(service: str, address: str) -> str:
    try:
        answer: Answer = send(f"{address.rstrip('/')}/readyz", "")
        said = answer.json()
    except (FirsthandError, ValueError):
        why = f"{service} does not answer at {address}"
        raise Away(f"{why}; start it, or mend its address") from None
    if answer.status != 200:
        why = said.get("why", "no reason given") if isinstance(said, dict) else "no reason given"
        raise FirsthandError(f"{service} is not ready: {why}; mend what it names")
    return f"ready at {address}"
