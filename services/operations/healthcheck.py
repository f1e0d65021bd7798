"""Health checks of the services on this machine, for a container's health check.

Intake and the read API serve /readyz. The worker serves /livez beside its metrics.
"""

from services.client.http import address, send
from services.ledger.config import LedgerSettings
from shared.errors import PreconditionFailed, SettingsError

PORTS = {"intake": 8081, "ledger": 8082}


def check_health(service: str) -> None:
    """Check a service; raise PreconditionFailed or NoResponse if it is unhealthy."""
    response = send(_url(service), "")
    if response.status != 200:
        members = response.json()
        why = members.get("why") if isinstance(members, dict) else None
        raise PreconditionFailed(f"{service} is not ready: {why or f'status {response.status}'}")


def _url(service: str) -> str:
    if service != "worker":
        return f"{address(service, PORTS[service])}/readyz"
    settings = LedgerSettings.load()
    if not settings.metrics_port:
        raise SettingsError("FIRSTHAND_METRICS_PORT names no port; start the worker with it, too")
    host = settings.metrics_host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.metrics_port}/livez"
