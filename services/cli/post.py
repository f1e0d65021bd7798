"""Post commands: print a token, post events, and inspect the outbox."""

import json
import os
import sys
from hashlib import sha256
from typing import Any

import click

from services.cli.options import (
    AS,
    DATA,
    FINDINGS,
    ID,
    JSON,
    TOKEN,
    fail,
    local_bearer,
    say,
    speaker,
)
from services.cli.progress import bar
from services.client.http import (
    ADDRESSES,
    ServiceClient,
    address,
    body_of,
    complete,
    events_in,
    subject_of,
)
from services.client.outbox import Outbox
from services.client.sender import Sender, delivery_line
from shared.errors import FirsthandError
from shared.settings import Settings

_TTL = click.IntRange(1, 24 * 3600)


def _seconds(_context: click.Context, _option: click.Parameter, value: float) -> float:
    """Return a finite number of seconds; click's FloatRange would accept NaN, which never ends."""
    if not 0 <= value < float("inf"):
        raise click.BadParameter("must be 0 or more, and a number.")
    return value


@click.command()
@click.argument("subject", type=ID)
@click.option("--role", help="Role (default: the part of SUBJECT before the colon).")
@click.option(
    "--scope", help="Scopes (default: read write share leave log; with --act read write)."
)
@click.option("--act", type=ID, metavar="SERVICE", help="Service that acts for SUBJECT (RFC 8693).")
@click.option("--ttl", type=_TTL, default=3600, show_default=True, help="Lifetime in seconds.")
@DATA
def token(subject: str, role: str | None, scope: str | None, act: str | None, ttl: int) -> None:
    """Print a bearer token for SUBJECT (such as person:ada)."""
    scopes = None if scope is None else scope.split()
    click.echo(local_bearer(subject, role=role, scopes=scopes, act=act, ttl=ttl))


@click.command()
@click.argument("file", required=False, type=click.File("r", encoding="utf-8"))
@click.option("--resume", is_flag=True, help="Send what an earlier run left in the outbox.")
@click.option(
    "--wait", type=click.IntRange(0, 30), default=0, help="Seconds to wait for a verdict."
)
@click.option(
    "--retry-for", type=float, callback=_seconds, default=30, help="Seconds to try an event again."
)
@AS
@TOKEN
@JSON
@DATA
def post(file: Any, **options: Any) -> None:
    """Post events from FILE (or -), as JSON or NDJSON; missing attributes are filled in.

    An event stays in the outbox until its receipt has arrived.
    """
    if (file is None) != options["resume"]:
        raise click.UsageError("Name a FILE (or - for standard input), or pass --resume.")
    services = ServiceClient(address("intake", 8081)), ServiceClient(address("ledger", 8082))
    outbox, bearer = _outbox(), speaker(options["author"], options["token"])
    try:
        mine = subject_of(bearer), os.environ.get(ADDRESSES["intake"], "")
        if file and not outbox.add(*mine, *_read(file, mine[0])):
            click.echo("This input is in the outbox already; continuing with it.", err=True)
    except (ValueError, RecursionError) as fault:
        raise click.UsageError(f"{file.name if file else 'token'}: {fault}") from None
    sender = Sender(bearer, *services, options["wait"], options["retry_for"])
    with outbox.locked(lambda: click.echo("Another post is running; waiting for it.", err=True)):
        sys.exit(FINDINGS if _send(sender, outbox, mine, as_json=options["as_json"]) else 0)


def _send(sender: Sender, outbox: Outbox, mine: tuple[str, str], *, as_json: bool) -> bool:
    """Send waiting events and print their results; True if any was refused or invalid."""
    verdicts, events = set(), outbox.waiting(*mine)
    try:
        with bar("Posting", len(events)) as step:
            for delivery in sender.run(outbox, events, step):
                verdicts.add(delivery.status)
                say(json.dumps(delivery.body) if as_json else delivery_line(delivery))
    except FirsthandError as fault:
        left = len(outbox.waiting(*mine))
        more = f"{fault} ({left} in the outbox; 'firsthand post --resume' continues)"
        raise type(fault)(more) from None
    return not verdicts.isdisjoint(("refused", "invalid"))


def _outbox() -> Outbox:
    return Outbox(Settings.load().data / "outbox")


def _read(file: Any, author: str) -> tuple[list[tuple[str, bytes]], str]:
    """Return a file's completed events as (id, bytes), and a digest that names this input."""
    text = file.read()
    events = [complete(event, author) for event in events_in(text)]
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return [(str(event["id"]), body_of(event)) for event in events], digest


@click.command()
@click.option("--forget", metavar="ID", help="Event to remove, whether or not it was sent.")
@JSON
@DATA
def outbox(forget: str | None, as_json: bool) -> None:
    """List the outbox of this folder: events waiting to be sent, and events set aside."""
    rows = [row for row in _outbox().rows() if forget in (None, row.id)]
    if forget is not None:
        if not rows:
            fail(f"no event {forget} in the outbox", FINDINGS)
        _outbox().remove(row.number for row in rows)
        return
    for row in rows:
        state = f"set aside: {row.aside}" if row.aside else "waiting"
        where = f" for {row.service}" if row.service else ""
        line = {"id": row.id, "author": row.author, "for": row.service, "aside": row.aside}
        say(json.dumps(line) if as_json else f"{row.id}  {row.author}{where}  {state}")
