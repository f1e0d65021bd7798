"""All checks in the order in which they are told, and the report."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from redis.exceptions import RedisError

from services.client.http import ADDRESSES, HttpResponse, addresses_from_up, send
from services.ledger.store import setup
from services.ledger.store.database import StoreError
from services.operations.doctor import host_checks, queue_checks, store_checks
from services.operations.doctor.context import CheckUnavailable, CheckWarning, DoctorContext
from shared.errors import FirsthandError
from shared.log_setup import describe_error
from shared.terminal import printable

Check = Callable[[DoctorContext], str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found: `state` is ok, warning, error or skipped. Only `error` is a finding;
    `down` means that a server or service did not answer.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""
    down: bool = False


def ready(service: str) -> Check:
    """The service says that it is ready."""

    def check(ground: DoctorContext) -> str:
        if service not in ground.services:
            remedy = f"set {ADDRESSES[service]}, or run 'firsthand up'"
            raise CheckUnavailable(f"no address is known here; {remedy}", down=False)
        return _ready(service, ground.services[service])

    return check


CHECKS: dict[str, Check] = {
    "key files": host_checks.modes,
    "ledger's file": host_checks.ledger_file,
    "transit keys": host_checks.transit,
    "issuers": host_checks.issuers,
    "key-encryption key": host_checks.vault,
    "log keys": host_checks.logs,
    "disk": host_checks.disk,
    "file system": host_checks.file_system,
    "queue": queue_checks.version,
    "queue durability": queue_checks.safety,
    "queue's other keys": queue_checks.alone,
    "queue's clock": queue_checks.clock,
    "partitions": queue_checks.layout,
    "lag": queue_checks.lag,
    "bells": queue_checks.bells,
    "database": store_checks.answers,
    **{name: store_checks.at_start(name) for name in setup.CHECKS},
    "read API's role": store_checks.reader,
    "vault": store_checks.unwraps,
    "signatures": store_checks.signs,
    "published": store_checks.published,
    "unreadable": store_checks.unreadable,
    "held": store_checks.held,
    "queue's completeness": store_checks.complete,
    "database's clock": store_checks.clock,
    "intake": ready("intake"),
    "read API": ready("ledger"),
}


def examine(ground: DoctorContext) -> Iterator[Result]:
    """Every check's result, in order. A reason is told once, and then referred to."""
    reasons: dict[str, str] = {}
    try:
        for name, check in CHECKS.items():
            found = _result(name, check, ground)
            first = name if found.state == "ok" else reasons.setdefault(found.detail, name)
            same = f"not known, for the reason of '{first}'"
            yield (
                found if first == name else replace(found, state="skipped", detail=same, remedy="")
            )
    finally:
        ground.close()


def _result(name: str, check: Check, ground: DoctorContext) -> Result:
    try:
        return Result(name, "ok", printable(check(ground)))
    except CheckUnavailable as fault:
        return Result(name, "skipped", *_parts(str(fault)), down=fault.down)
    except CheckWarning as fault:
        return Result(name, "warning", *_parts(str(fault)))
    except FirsthandError as fault:
        return Result(name, "error", *_parts(str(fault)))
    except (RedisError, StoreError, OSError) as fault:
        return Result(
            name, "skipped", printable(describe_error(fault)), "see whether it answers", down=True
        )


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
    return addresses_from_up(data) | {name: url for name, url in configured.items() if url}


def _ready(service: str, address: str) -> str:
    try:
        answer: HttpResponse = send(f"{address.rstrip('/')}/readyz", "")
        said = answer.json()
    except (FirsthandError, ValueError):
        why = f"{service} does not answer at {address}"
        raise CheckUnavailable(f"{why}; start it, or mend its address") from None
    if answer.status != 200:
        why = said.get("why", "no reason given") if isinstance(said, dict) else "no reason given"
        raise FirsthandError(f"{service} is not ready: {why}; mend what it names")
    return f"ready at {address}"
