"""The `firsthand` command: thin, one function a command.

Exit status: 0 clean, 1 findings or refusals, 2 usage or settings, 3 a service is unavailable.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FINDINGS, USAGE, UNAVAILABLE = 1, 2, 3
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of keys and data (default: FIRSTHAND_DATA or ./.firsthand).",
    expose_value=False,
    callback=lambda _, __, given: given and os.environ.update(FIRSTHAND_DATA=str(given)),
    is_eager=True,
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_AS = click.option(
    "--as", "author", metavar="SUBJECT", help="Speak as SUBJECT, with a token of the local key."
)
_TOKEN = click.option(
    "--token", envvar="FIRSTHAND_TOKEN", help="Bearer token to send (default: FIRSTHAND_TOKEN)."
)
_SCOPE, _TTL = "read write share", click.IntRange(1, 24 * 3600)


class Command(click.Group):
    """Turns our errors into one line and an exit status, for every command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; no stack trace for what we raise on purpose."""
        from shared.problems import FirsthandError, SettingsError

        try:
            return super().invoke(ctx)
        except SettingsError as fault:
            _fail(str(fault), USAGE)
        except FirsthandError as fault:
            _fail(str(fault), UNAVAILABLE)


def _fail(why: str, status: int) -> None:
    click.echo(f"firsthand: {why}", err=True)
    sys.exit(status)


@click.group(
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Tab completion, in bash: eval "$(_FIRSTHAND_COMPLETE=bash_source firsthand)"',
)
@click.version_option(package_name="firsthand")
def main() -> None:
    """Keep a person's plan in that person's own hand."""


def _server(target: str, host: str, port: int, threads: int) -> None:
    """Serve a WSGI application until SIGTERM."""
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        blocking_threads=threads,
        log_level="error",  # type: ignore[arg-type]  # an enum of strings
        workers_kill_timeout=10,
        websockets=False,
    ).serve()


def _serve_options(port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def add(command: Callable[..., None]) -> Callable[..., None]:
        where, which = "Address to listen on.", "Port to listen on."
        command = click.option("--host", default="127.0.0.1", show_default=True, help=where)(
            command
        )
        command = click.option("--port", default=port, show_default=True, help=which)(command)
        return _DATA(command)

    return add


@main.command()
@_DATA
def init() -> None:
    """Make keys, tables and logs; change nothing that is there."""
    from services.ledger.config import LedgerSettings
    from services.ledger.make import init as make

    settings = LedgerSettings.load()
    click.echo(f"Ledger {make(settings)} is ready in {settings.data}.")


@main.command()
@_serve_options(8081)
def intake(host: str, port: int) -> None:
    """Run intake: takes events over HTTP."""
    from services.intake.app import IntakeSettings

    _server("services.intake.app:from_environment", host, port, IntakeSettings.load().threads)


@main.command()
@_serve_options(8082)
def ledger(host: str, port: int) -> None:
    """Run the ledger's read API."""
    _server("services.ledger.app:from_environment", host, port, 16)


@main.command()
@click.option("--sweeper/--no-sweeper", default=True, help="Look for forgotten bells.")
@click.option("--rq/--no-rq", default=True, help="Answer RQ's bells.")
@_DATA
def worker(sweeper: bool, rq: bool) -> None:
    """Run the worker: records events in the ledger."""
    if not (sweeper or rq):
        raise click.UsageError("Without RQ and without the sweeper nothing would be recorded.")
    from services.ledger.run import work

    work(sweeper=sweeper, rq=rq)


@main.command()
@click.option("--intake-port", default=8081, show_default=True, help="Where events are posted.")
@click.option("--ledger-port", default=8082, show_default=True, help="Where plans are read.")
@_DATA
def up(intake_port: int, ledger_port: int) -> None:
    """Run everything on this machine until Ctrl-C."""
    from services.ledger.config import LedgerSettings
    from services.ledger.make import init as make
    from services.standalone import Everything
    from services.welcome import welcome

    settings = LedgerSettings.load()
    os.environ.setdefault("FIRSTHAND_LOG_LEVEL", "warning")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until wait() takes it over
    make(settings)
    with Everything(settings, intake_port=intake_port, ledger_port=ledger_port) as everything:
        for line in welcome(settings, everything.intake, everything.ledger):
            click.echo(line)
        everything.wait()
        click.echo("Stopping …", err=True)


@main.command()
@click.argument("subject")
@click.option("--role", help="The role (default: what stands before the colon).")
@click.option("--scope", default=_SCOPE, show_default=True, help="What it may do.")
@click.option("--ttl", type=_TTL, default=3600, show_default=True, help="Seconds it is good for.")
@_DATA
def token(subject: str, role: str | None, scope: str, ttl: int) -> None:
    """Print a token for SUBJECT (as person:ada), and nothing else."""
    click.echo(_local_token(subject, role=role, scopes=scope.split(), ttl=ttl))


def _local_token(subject: str, **options: Any) -> str:
    from shared.callers import ROLES, local_token
    from shared.settings import Settings

    if subject.partition(":")[0] not in ROLES or not subject.partition(":")[2]:
        raise click.UsageError(
            f"SUBJECT is a role, a colon and an id, as person:ada; not {subject}"
        )
    settings = Settings.load()
    return local_token(settings.key_folder, subject, audience=settings.audience, **options)


def _speaker(author: str | None, token: str | None, default: str | None = None) -> str:
    """The token to send: the one given, or one of the local key."""
    if token:
        return token
    if author or default:
        return _local_token(str(author or default))
    raise click.UsageError("Say who speaks: --as person:ada, or --token (FIRSTHAND_TOKEN).")


@main.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--wait", type=click.IntRange(0, 30), default=0, help="Seconds to wait for the fate.")
@_AS
@_TOKEN
@_JSON
@_DATA
def post(file: Any, wait: int, author: str | None, token: str | None, as_json: bool) -> None:
    """Post events from FILE (or -): JSON or NDJSON. What is missing is filled in."""
    from services.client import address, complete, events_in
    from services.client import post as send
    from services.welcome import told

    bearer, refused, intake = _speaker(author, token), False, address("intake", 8081)
    try:
        events = events_in(file.read())
    except ValueError as fault:
        raise click.UsageError(f"{file.name}: {fault}") from None
    for event in events:
        whole = complete(event, author or "")
        answer = send(intake, bearer, whole, wait=wait)
        refused |= answer.status >= 400
        click.echo(json.dumps(answer.json()) if as_json else told(whole, answer))
    sys.exit(FINDINGS if refused else 0)


def _show(path: str, author: str | None, token: str | None, person: str, accept: str) -> Any:
    from services.client import address, send

    bearer = _speaker(author, token, person)
    url = f"{address('ledger', 8082)}/people/{person}/{path}"
    answer = send(url, bearer, headers={"Accept": accept})
    if answer.status != 200:
        told = answer.json()
        _fail(told["detail"] if isinstance(told, dict) else f"status {answer.status}", FINDINGS)
    return answer


@main.command()
@click.argument("person")
@click.option("--version", type=int, help="The plan at this version.")
@click.option("--as-of", help="The plan as it was known at this moment (RFC 3339).")
@_AS
@_TOKEN
@_JSON
@_DATA
def plan(
    person: str,
    version: int | None,
    as_of: str | None,
    author: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Show the plan of PERSON (as person:ada)."""
    from urllib.parse import urlencode

    asked = {"version": version, "as-of": as_of}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    accept = "application/json" if as_json else "text/plain"
    answer = _show(f"plan?{query}", author, token, person, accept)
    click.echo(answer.body, nl=as_json)


@main.command()
@click.argument("person")
@_AS
@_TOKEN
@_JSON
@_DATA
def history(person: str, author: str | None, token: str | None, as_json: bool) -> None:
    """Tell the history of PERSON in sentences, attempts too."""
    from services.welcome import history_line

    cursor = -1
    while cursor is not None:
        query = f"history?limit=500&cursor={cursor}" if cursor >= 0 else "history?limit=500"
        page = _show(query, author, token, person, "application/json").json()
        for each in page["entries"]:
            click.echo(json.dumps(each) if as_json else history_line(each))
        cursor = page.get("next")


@main.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every log, from the first entry.")
@_JSON
@_DATA
def replay(person: str | None, everybody: bool, as_json: bool) -> None:
    """Fold entries again, and compare with what is stored."""
    if bool(person) == everybody:
        raise click.UsageError("Name one PERSON, or say --all.")
    from services.ledger.run import replay as run

    sys.exit(FINDINGS if run(person, as_json=as_json) else 0)


@main.command()
@click.option("--keep", is_flag=True, help="Keep the ledger of the story, and say where.")
def demo(keep: bool) -> None:
    """Tell a true-to-life story over HTTP, on a private ledger."""
    from services.demo import tell

    sys.exit(tell(keep=keep))


if __name__ == "__main__":
    main()
