"""The `firsthand` command: thin, one function a command.

Exit status: 0 clean, 1 findings or refusals, 2 usage or settings, 3 a service is unavailable.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

FINDINGS, USAGE, UNAVAILABLE = 1, 2, 3
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the ledger (default: FIRSTHAND_DATA or ./.firsthand).",
    expose_value=False,
    callback=lambda _, __, given: given and os.environ.update(FIRSTHAND_DATA=str(given)),
    is_eager=True,
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_AS = click.option(
    "--as", "author", metavar="SUBJECT", help="Speak as SUBJECT, with a token of the local key."
)
_TOKEN = click.option("--token", envvar="FIRSTHAND_TOKEN", help="Bearer token to send.")


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


@click.group(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
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
        command = click.option("--host", default="127.0.0.1", show_default=True)(command)
        command = click.option("--port", type=int, default=port, show_default=True)(command)
        return _DATA(command)

    return add


@main.command()
@_DATA
def init() -> None:
    """Make keys, tables, roles and logs; changes nothing that is there."""
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
@click.option("--intake-port", type=int, default=8081, show_default=True)
@click.option("--ledger-port", type=int, default=8082, show_default=True)
@_DATA
def up(intake_port: int, ledger_port: int) -> None:
    """Run everything on this machine until Ctrl-C."""
    from services.ledger.config import LedgerSettings
    from services.ledger.make import init as make
    from services.standalone import Everything
    from services.welcome import welcome

    settings = LedgerSettings.load()
    os.environ.setdefault("FIRSTHAND_LOG_LEVEL", "warning")
    make(settings)
    with Everything(settings, intake_port=intake_port, ledger_port=ledger_port) as everything:
        for line in welcome(settings, everything.intake, everything.ledger):
            click.echo(line)
        everything.wait()
        click.echo("Stopping …", err=True)


@main.command()
@click.argument("subject")
@click.option("--role", help="The role (default: what stands before the colon).")
@click.option("--scope", default="read write share", show_default=True)
@click.option("--ttl", type=click.IntRange(1, 86_400), default=3600, show_default=True)
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


def _address(service: str, default: int) -> str:
    """Where a service answers: FIRSTHAND_<SERVICE>_URL, what `up` wrote, or the usual port."""
    from shared.settings import Settings

    given = os.environ.get(f"FIRSTHAND_{service.upper()}_URL")
    place = Settings.load().data / "up.json"
    if not given and place.exists():
        given = str(json.loads(place.read_text())[service])
    return (given or f"http://127.0.0.1:{default}").rstrip("/")


def _events(file: Any) -> Iterator[dict[str, Any]]:
    """One JSON event, a JSON list of them, or one a line."""
    text = file.read()
    try:
        whole = json.loads(text)
        listed = whole if isinstance(whole, list) else [whole]
    except ValueError:
        listed = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    listed.append(json.loads(line))
                except ValueError as fault:
                    raise click.UsageError(f"line {number} is not JSON: {fault}") from None
    for event in listed:
        if not isinstance(event, dict):
            raise click.UsageError("an event is a JSON object")
        yield event


@main.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--wait", type=click.IntRange(0, 30), default=0, help="Seconds to wait for the fate.")
@_AS
@_TOKEN
@_JSON
@_DATA
def post(file: Any, wait: int, author: str | None, token: str | None, as_json: bool) -> None:
    """Post events from FILE (or -): JSON or NDJSON. What is missing is filled in."""
    from services.client import complete
    from services.client import post as send
    from services.welcome import told

    bearer, refused = _speaker(author, token), False
    for event in _events(file):
        whole = complete(event, author or "")
        answer = send(_address("intake", 8081), bearer, whole, wait=wait)
        refused |= answer.status >= 400
        click.echo(json.dumps(answer.json()) if as_json else told(whole, answer))
    sys.exit(FINDINGS if refused else 0)


def _show(path: str, author: str | None, token: str | None, person: str, accept: str) -> Any:
    from services.client import send

    bearer = _speaker(author, token, person)
    url = f"{_address('ledger', 8082)}/people/{person}/{path}"
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
    """Tell the history of PERSON: every change and every attempt, in sentences."""
    from services.welcome import history_line

    cursor = -1
    while cursor is not None:
        query = f"history?limit=500&cursor={cursor}" if cursor >= 0 else "history?limit=500"
        page = _show(query, author, token, person, "application/json").json()
        for each in page["entries"]:
            click.echo(json.dumps(each) if as_json else history_line(each, person))
        cursor = page.get("next")


@main.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every log, from the first entry.")
@_JSON
@_DATA
def replay(person: str | None, everybody: bool, as_json: bool) -> None:
    """Fold again from entries and keys alone, and compare with what is stored."""
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
