"""Health check command, which a container's health check runs."""

import click

from services.cli.options import DATA
from services.operations.healthcheck import check_heartbeat, check_ready
from shared.settings import Settings


@click.command()
@click.argument("service", type=click.Choice(["intake", "ledger", "worker"]))
@DATA
def healthy(service: str) -> None:
    """Ask a service on this machine whether it is well."""
    if service == "worker":
        check_heartbeat(Settings.load().heartbeat)
    else:
        check_ready(service)
    click.echo(f"{service} is well.")
