"""Health checks of the services on this machine, for a container's health check.

Intake and the read API report their state in `/readyz`. The worker serves no such endpoint: its
sweeper touches a file after each sweep, and a hanging drain delays the sweep.
"""

import time
from pathlib import Path

from services.client.http import address, send
from shared.errors import PreconditionFailed, SettingsError

PORTS = {"intake": 8081, "ledger": 8082}
SILENCE = 90  # seconds; a batch may wait 30 s for a lock and 60 s for a statement


def check_ready(service: str) -> None:
    """Check that intake or the read API is ready; raise PreconditionFailed or NoResponse if not."""
    response = send(f"{address(service, PORTS[service])}/readyz", "")
    if response.status != 200:
        status = response.json()
        why = status.get("why") if isinstance(status, dict) else None
        raise PreconditionFailed(f"{service} is not ready: {why or f'status {response.status}'}")


def check_heartbeat(file: Path | None) -> None:
    """Check that the worker touched its file recently. Raises PreconditionFailed if not."""
    if file is None:
        raise SettingsError("FIRSTHAND_HEARTBEAT is not set; set it for the worker, too")
    try:
        age = time.time() - file.stat().st_mtime
    except OSError:
        raise PreconditionFailed(
            f"the worker has not finished a sweep yet: {file} does not exist"
        ) from None
    if age > SILENCE:
        raise PreconditionFailed(f"the worker has not finished a sweep for {age:.0f} s")
