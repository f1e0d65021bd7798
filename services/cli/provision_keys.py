"""Key commands: create, provision and rotate keys."""

from pathlib import Path

import click

from services.cli.options import DATA
from services.ledger.config import LedgerSettings
from services.ledger.maintenance import key_rotation
from services.ledger.maintenance.init import init as initialize
from services.operations.provision import provision_secrets as fill_folders


@click.command()
@DATA
def init() -> None:
    """Create missing keys, tables and logs; leave existing ones unchanged."""
    settings = LedgerSettings.load()
    click.echo(f"Ledger {initialize(settings)} is ready in {settings.data}.")


@click.command("provision-secrets")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--queue", default="valkey:6379", show_default=True, help="Host and port.")
@click.option(
    "--database", default="postgres:5432/firsthand", show_default=True, help="Host, port, name."
)
@DATA
def provision_secrets(folder: Path, queue: str, database: str) -> None:
    """Create keys and passwords, and copy to each container its own.

    FOLDER contains one folder each for intake, worker, ledger, valkey and postgres. Run it again
    after a change in the key folder.
    """
    settings = LedgerSettings.load()
    for who, count in fill_folders(settings, folder, queue=queue, database=database).items():
        click.echo(f"{who}: {count} files")


@click.command()
@click.option(
    "--log", type=click.IntRange(0), default=0, show_default=True, help="Number of the log."
)
@click.option("--complete", is_flag=True, help="Retire the old key: only the new one signs.")
@DATA
def rotate_log_key(log: int, complete: bool) -> None:
    """Add a new signing key to a log; then restart the worker and the ledger."""
    for vkey in key_rotation.rotate_log_key(LedgerSettings.load(), log, finish=complete).vkeys:
        click.echo(vkey)


@click.command()
@click.option("--complete", is_flag=True, help="Remove the old key.")
@click.option(
    "--skip-queue-check",
    is_flag=True,
    help="Skip checking the queue for messages encrypted with the old key.",
)
@click.option(
    "--mark-lost", metavar="KID", default="", help="Give up the messages encrypted with KID."
)
@DATA
def rotate_transit_key(complete: bool, skip_queue_check: bool, mark_lost: str) -> None:
    """Add a new transit key before the old one; workers and intakes reload it themselves."""
    if mark_lost and complete:
        raise click.UsageError("A key is either dropped or given up as lost.")
    settings = LedgerSettings.load()
    for key in key_rotation.rotate_transit_key(
        settings, finish=complete, ask=not skip_queue_check, lost=mark_lost
    ).keys:
        click.echo(key.kid)
