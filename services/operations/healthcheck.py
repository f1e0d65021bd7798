"""Whether a service on this machine is well: what a container's health check asks.

Intake and the read API say it themselves, in `/readyz`. The worker listens to nobody; its sweeper
touches a file after each sweep, and a sweep waits for a drain that hangs.
"""

import time
from pathlib import Path

from services.client.http import address, send
from shared.errors import PreconditionFailed, SettingsError

PORTS = {"intake": 8081, "ledger": 8082}
SILENCE = 90  # seconds; a sound batch may wait 30 s for the head's lock and 60 s for a statement


def check_ready(service: str) -> None:
    """Return if intake or the read API is ready; Unsafe or NoAnswer says why it is not."""
    answer = send(f"{address(service, PORTS[service])}/readyz", "")
    if answer.status != 200:
        told = answer.json()
        why = told.get("why") if isinstance(told, dict) else None
        raise PreconditionFailed(f"{service} is not ready: {why or f'status {answer.status}'}")


def check_heartbeat(place: Path | None) -> None:
    """Return if the worker touched its file lately; Unsafe if not."""
    if place is None:
        raise SettingsError("FIRSTHAND_HEARTBEAT names no file; start the worker with it, too")
    try:
        silent = time.time() - place.stat().st_mtime
    except OSError:
        raise PreconditionFailed(
            f"the worker has not finished a sweep yet: there is no {place}"
        ) from None
    if silent > SILENCE:
        raise PreconditionFailed(f"the worker has not finished a sweep for {silent:.0f} s")
