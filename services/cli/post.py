"""Commands that say something: a token to say it with, and the post."""

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
from services.client.sender import Sender
from services.client.sender import delivery_line as told_fate
from shared.errors import FirsthandError
from shared.settings import Settings

_TTL = click.IntRange(1, 24 * 3600)


def _seconds(_context: click.Context, _option: click.Parameter, given: float) -> float:
    """Seconds; a range of floats would take NaN, which never ends."""
    if not 0 <= given < float("inf"):
        raise click.BadParameter("must be 0 or more, and a number.")
    return given


@click.command()
@click.argument("subject", type=ID)
@click.option("--role", help="The role (default: what stands before the colon).")
@click.option(
    "--scope", help="What it may do (default: read write share leave log; with --act read write)."
)
@click.option(
    "--act", type=ID, metavar="SERVICE", help="The service that acts for SUBJECT (RFC 8693)."
)
@click.option("--ttl", type=_TTL, default=3600, show_default=True, help="Seconds it is good for.")
@DATA
def token(subject: str, role: str | None, scope: str | None, act: str | None, ttl: int) -> None:
    """Print a token for SUBJECT (as person:ada), and nothing else."""
    scopes = None if scope is None else scope.split()
    click.echo(local_bearer(subject, role=role, scopes=scopes, act=act, ttl=ttl))


@click.command()
@click.argument("file", required=False, type=click.File("r", encoding="utf-8"))
@click.option("--resume", is_flag=True, help="Send what an earlier run left in the outbox.")
@click.option("--wait", type=click.IntRange(0, 30), default=0, help="Seconds to wait for a fate.")
@click.option(
    "--retry-for", type=float, callback=_seconds, default=30, help="Seconds to try an event again."
)
@AS
@TOKEN
@JSON
@DATA
def post(file: Any, **told: Any) -> None:
    """Post events from FILE (or -): JSON or NDJSON. What is missing is filled in.

    Each rests in the outbox until its receipt has come.
    """
    if (file is None) != told["resume"]:
        raise click.UsageError("Name a FILE (or - for standard input), or say --resume.")
    services = ServiceClient(address("intake", 8081)), ServiceClient(address("ledger", 8082))
    outbox, bearer = _outbox(), speaker(told["author"], told["token"])
    try:
        mine = subject_of(bearer), os.environ.get(ADDRESSES["intake"], "")
        if file and not outbox.add(*mine, *_read(file, mine[0])):
            click.echo("This input waits in the outbox already; going on with it.", err=True)
    except (ValueError, RecursionError) as fault:
        raise click.UsageError(f"{file.name if file else 'token'}: {fault}") from None
    errand = Sender(bearer, *services, told["wait"], told["retry_for"])
    with outbox.locked(lambda: click.echo("Another post is sending; waiting for it.", err=True)):
        sys.exit(FINDINGS if _send(errand, outbox, mine, as_json=told["as_json"]) else 0)


def _send(errand: Sender, outbox: Outbox, mine: tuple[str, str], *, as_json: bool) -> bool:
    """Send what waits, and say what became of it; whether anything was refused or invalid."""
    said, events = set(), outbox.waiting(*mine)
    try:
        with bar("Posting", len(events)) as step:
            for fate in errand.run(outbox, events, step):
                said.add(fate.status)
                say(json.dumps(fate.body) if as_json else told_fate(fate))
    except FirsthandError as fault:
        left = len(outbox.waiting(*mine))
        more = f"{fault} ({left} in the outbox; 'firsthand post --resume' goes on)"
        raise type(fault)(more) from None
    return not said.isdisjoint(("refused", "invalid"))


def _outbox() -> Outbox:
    return Outbox(Settings.load().data / "outbox")


def _read(file: Any, author: str) -> tuple[list[tuple[str, bytes]], str]:
    """Events (id, bytes) of a file, completed, and what names this input."""
    text = file.read()
    events = [complete(event, author) for event in events_in(text)]
    named = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return [(str(event["id"]), body_of(event)) for event in events], named


@click.command()
@click.option("--forget", metavar="ID", help="Take an event out, whatever became of it.")
@JSON
@DATA
def outbox(forget: str | None, as_json: bool) -> None:
    """Show what rests in the outbox of this folder: what waits, and what was set aside."""
    kept = [each for each in _outbox().rows() if forget in (None, each.id)]
    if forget is not None:
        if not kept:
            fail(f"there is no event {forget} in the outbox", FINDINGS)
        _outbox().remove(each.number for each in kept)
        return
    for each in kept:
        state = f"set aside: {each.aside}" if each.aside else "waits"
        where = f" for {each.service}" if each.service else ""
        line = {"id": each.id, "author": each.author, "for": each.service, "aside": each.aside}
        say(json.dumps(line) if as_json else f"{each.id}  {each.author}{where}  {state}")
