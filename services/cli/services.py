"""`firsthand intake`, `worker`, `ledger`, each a process; and `up`, which runs them all."""

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

IDLE_SECONDS = 10  # until a connection is closed that sends no request, or not all of its headers
MOST_CONNECTIONS = 8_192
OTHER_FILES = 256  # that a service may have open besides connections
_PORT = click.IntRange(1, 65535)


def _server(module: str, host: str, port: int, threads: int, *, patience: int) -> None:
    """Serve a module's application until SIGTERM; then no new request is taken, and those in
    hand have `patience` seconds to be answered.

    What keeps it from starting is found here, where it becomes one line; the server's child would
    only leave a stack trace.
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
    """Make a module's application, in the process that serves it."""
    from shared.http.rsgi import RsgiApp

    return RsgiApp(import_module(module).from_environment(), threads)


def _serve_options(port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(command: Callable[..., None]) -> Callable[..., None]:
        where, which = "Address to listen on.", "Port to listen on."
        command = click.option("--host", default="127.0.0.1", show_default=True, help=where)(
            command
        )
        command = click.option("--port", type=_PORT, default=port, show_default=True, help=which)(
            command
        )
        return DATA(command)

    return add


@click.command()
@_serve_options(8081)
def intake(host: str, port: int) -> None:
    """Run intake: takes events over HTTP."""
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
@click.option("--sweeper/--no-sweeper", default=True, help="Look for forgotten bells.")
@click.option("--rq/--no-rq", default=True, help="Answer RQ's bells.")
@DATA
def worker(sweeper: bool, rq: bool) -> None:
    """Run the worker: records events in the ledger."""
    if not (sweeper or rq):
        raise click.UsageError("Without RQ and without the sweeper nothing would be recorded.")
    from services.ledger.writer.main import run_worker

    raise_file_limit()
    run_worker(sweeper=sweeper, rq=rq)


@click.command()
@click.option(
    "--intake-port", type=_PORT, default=8081, show_default=True, help="Where events are posted."
)
@click.option(
    "--ledger-port", type=_PORT, default=8082, show_default=True, help="Where plans are read."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=8083,
    show_default=True,
    envvar="FIRSTHAND_METRICS_PORT",
    help="Where the worker's figures are read; 0: nowhere.",
)
@click.option(
    "--queue-server",
    type=click.Path(path_type=Path),
    help="Program of the embedded queue (default: FIRSTHAND_QUEUE_SERVER, or the wheel's Valkey).",
)
@DATA
def up(queue_server: Path | None, **ports: int) -> None:
    """Run everything on this machine until Ctrl-C."""
    from services.cli.banner import welcome
    from services.ledger.config import LedgerSettings
    from services.ledger.maintenance.init import init as make
    from services.operations.supervisor import LocalStack

    settings = LedgerSettings.load(queue_server=queue_server)
    os.environ.setdefault("FIRSTHAND_LOG_LEVEL", "warning")
    exit_on(signal.SIGTERM, status=0)  # until wait() takes it over
    make(settings)
    with LocalStack(settings, **ports) as everything:
        for line in welcome(settings, everything.intake, everything.ledger, everything.worker):
            click.echo(line)
        everything.wait()
        click.echo("Stopping …", err=True)
