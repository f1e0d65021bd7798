"""Commands that check a ledger."""

import sys

import click

from services.cli.base import DATA, FINDINGS, JSON


@click.command()
@click.argument("service", type=click.Choice(["intake", "ledger", "worker"]))
@DATA
def healthy(service: str) -> None:
    """Ask a service on this machine whether it is well."""
    from services.health import check_heartbeat, check_ready

    if service == "worker":
        from shared.settings import Settings

        check_heartbeat(Settings.load().heartbeat)
    else:
        check_ready(service)
    click.echo(f"{service} is well.")


@click.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every log, from the first entry.")
@JSON
@DATA
def replay(person: str | None, everybody: bool, as_json: bool) -> None:
    """Fold entries again, and compare with what is stored."""
    if bool(person) == everybody:
        raise click.UsageError("Name one PERSON, or say --all.")
    from services.ledger.run import replay as run

    sys.exit(FINDINGS if run(person, as_json=as_json) else 0)
