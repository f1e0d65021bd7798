"""Health check command, which a container's health check runs."""

import click

from services.cli.options import DATA
from services.operations.healthcheck import check_health


@click.command()
@click.argument("service", type=click.Choice(["intake", "ledger", "worker"]))
@DATA
def healthcheck(service: str) -> None:
    """Check whether a service on this machine is healthy."""
    check_health(service)
    click.echo(f"{service} is well.")
