"""All checks of the doctor in the order of the report, and the code that runs them."""

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
    """Result of a check: `state` is ok, warning, error or skipped.

    Only `error` is a finding. `down` means skipped because a required service does not answer.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""
    down: bool = False


def ready(service: str) -> Check:
    """Return a check that the service reports ready."""

    def check(context: DoctorContext) -> str:
        if service not in context.services:
            remedy = f"set {ADDRESSES[service]}, or run 'firsthand up'"
            raise CheckUnavailable(f"no address is configured; {remedy}", down=False)
        return _ready(service, context.services[service])

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


def examine(context: DoctorContext) -> Iterator[Result]:
    """Yield every check's result, in order. A repeated reason refers to the check that gave it
    first.
    """
    reasons: dict[str, str] = {}
    try:
        for name, check in CHECKS.items():
            result = _result(name, check, context)
            origin = name if result.state == "ok" else reasons.setdefault(result.detail, name)
            detail = f"unknown, for the same reason as '{origin}'"
            yield (
                result
                if origin == name
                else replace(result, state="skipped", detail=detail, remedy="")
            )
    finally:
        context.close()


def _result(name: str, check: Check, context: DoctorContext) -> Result:
    try:
        return Result(name, "ok", printable(check(context)))
    except CheckUnavailable as fault:
        return Result(name, "skipped", *_parts(str(fault)), down=fault.down)
    except CheckWarning as fault:
        return Result(name, "warning", *_parts(str(fault)))
    except FirsthandError as fault:
        return Result(name, "error", *_parts(str(fault)))
    except (RedisError, StoreError, OSError) as fault:
        return Result(
            name,
            "skipped",
            printable(describe_error(fault)),
            "check that it is reachable",
            down=True,
        )


def _parts(message: str) -> tuple[str, str]:
    """Split a message into what is wrong and the remedy, after the last semicolon or `Run …`.

    Both may quote untrusted text from the queue or the database.
    """
    message = printable(message)
    problem, semicolon, remedy = message.rpartition("; ")
    if not semicolon:
        problem, _, remedy = message.partition(". Run ")
        remedy = f"run {remedy.rstrip('.')}" if remedy else ""
    return problem, remedy


def addresses(data: Path) -> dict[str, str]:
    """Return the services' addresses, from the environment or from a running `up`."""
    configured = {name: os.environ.get(variable) for name, variable in ADDRESSES.items()}
    return addresses_from_up(data) | {name: url for name, url in configured.items() if url}


def _ready(service: str, address: str) -> str:
    try:
        response: HttpResponse = send(f"{address.rstrip('/')}/readyz", "")
        status = response.json()
    except (FirsthandError, ValueError):
        why = f"{service} does not answer at {address}"
        raise CheckUnavailable(f"{why}; start it, or correct its address") from None
    if response.status != 200:
        why = (
            status.get("why", "no reason given") if isinstance(status, dict) else "no reason given"
        )
        raise FirsthandError(f"{service} is not ready: {why}; fix the reported cause")
    return f"ready at {address}"
