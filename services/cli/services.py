"""Service commands: `firsthand intake`, `worker`, `ledger`, and `up`, which runs all of them."""

import os
import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.cli.options import DATA
from shared.process import check_port, exit_on, raise_file_limit

if TYPE_CHECKING:
    from shared.http.rsgi import RsgiApp

IDLE_SECONDS = 10  # time limit for a connection to send the headers of a request
MOST_CONNECTIONS = 8_192
OTHER_FILES = 256  # open files of a service besides connections
_PORT = click.IntRange(1, 65535)


def _server(module: str, host: str, port: int, threads: int, *, patience: int) -> None:
    """Serve a module's application until SIGTERM; then finish open requests within `patience`
    seconds.

    Start-up errors are raised here, where they become one line; the server's child process would
    print a stack trace.
    """
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    files = raise_file_limit()
    connections = min(MOST_CONNECTIONS, max(files - OTHER_FILES, files // 2))
    import_module(module).check()
    Granian(
        module,
        address=check_port(host, port),
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # in mode "auto" a connection that sends nothing has no time-out
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000),
        backpressure=connections,
        workers=1,
        log_level="error",  # type: ignore[arg-type]  # an enum of strings
        workers_kill_timeout=patience,
        websockets=False,
    ).serve(
        target_loader=partial(_load, threads)  # type: ignore[arg-type]  # an object with __rsgi__
    )


def _load(threads: int, module: str) -> "RsgiApp":
    """Create a module's application, in the process that serves it."""
    from shared.http.rsgi import RsgiApp

    return RsgiApp(import_module(module).from_environment(), threads)


def _serve_options(port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(command: Callable[..., None]) -> Callable[..., None]:
        host_help, port_help = "Address to listen on.", "Port to listen on."
        command = click.option("--host", default="127.0.0.1", show_default=True, help=host_help)(
            command
        )
        command = click.option(
            "--port", type=_PORT, default=port, show_default=True, help=port_help
        )(command)
        return DATA(command)

    return add


@click.command()
@_serve_options(8081)
def intake(host: str, port: int) -> None:
    """Run intake, which accepts events over HTTP."""
    from services.intake.app import IntakeSettings
    from services.intake.routes import MAX_WAIT

    threads, patience = IntakeSettings.load().threads, MAX_WAIT + 5
    _server("services.intake.app", host, port, threads, patience=patience)


@click.command()
@_serve_options(8082)
def ledger(host: str, port: int) -> None:
    """Run the ledger's read API."""
    _server("services.ledger.api.app", host, port, 16, patience=10)


@click.command()
@click.option(
    "--sweeper/--no-sweeper",
    default=True,
    help="Periodic scan for partitions whose doorbell was lost.",
)
@click.option("--rq/--no-rq", default=True, help="RQ worker that answers doorbells.")
@DATA
def worker(sweeper: bool, rq: bool) -> None:
    """Run the worker, which records events in the ledger."""
    if not (sweeper or rq):
        raise click.UsageError("At least one of --rq and --sweeper is needed to record events.")
    from services.ledger.writer.main import run_worker

    raise_file_limit()
    run_worker(sweeper=sweeper, rq=rq)


@click.command()
@click.option("--intake-port", type=_PORT, default=8081, show_default=True, help="Port of intake.")
@click.option(
    "--ledger-port", type=_PORT, default=8082, show_default=True, help="Port of the ledger's API."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=8083,
    show_default=True,
    envvar="FIRSTHAND_METRICS_PORT",
    help="Port of the worker's metrics; 0 disables them.",
)
@click.option(
    "--queue-server",
    type=click.Path(path_type=Path),
    help="Program of the embedded queue (default: FIRSTHAND_QUEUE_SERVER, or the wheel's Valkey).",
)
@DATA
def up(queue_server: Path | None, **ports: int) -> None:
    """Run all services on this machine until Ctrl-C."""
    from services.cli.banner import welcome
    from services.ledger.config import LedgerSettings
    from services.ledger.maintenance.init import init as initialize
    from services.operations.supervisor import LocalStack

    settings = LedgerSettings.load(queue_server=queue_server)
    os.environ.setdefault("FIRSTHAND_LOG_LEVEL", "warning")
    exit_on(signal.SIGTERM, status=0)  # until wait() installs its handler
    initialize(settings)
    with LocalStack(settings, **ports) as stack:
        for line in welcome(settings, stack.intake, stack.ledger, stack.worker):
            click.echo(line)
        stack.wait()
        click.echo("Stopping …", err=True)
