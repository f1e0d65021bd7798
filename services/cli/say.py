"""Commands that say something: a token to say it with, and the post."""

import json
import sys
from typing import Any

import click

from services.cli.base import AS, DATA, FINDINGS, JSON, TOKEN, local_bearer, speaker

_TTL = click.IntRange(1, 24 * 3600)


@click.command()
@click.argument("subject")
@click.option("--role", help="The role (default: what stands before the colon).")
@click.option(
    "--scope", help="What it may do (default: read write share leave log; with --act read write)."
)
@click.option("--act", metavar="SERVICE", help="The service that acts for SUBJECT (RFC 8693).")
@click.option("--ttl", type=_TTL, default=3600, show_default=True, help="Seconds it is good for.")
@DATA
def token(subject: str, role: str | None, scope: str | None, act: str | None, ttl: int) -> None:
    """Print a token for SUBJECT (as person:ada), and nothing else."""
    scopes = None if scope is None else scope.split()
    click.echo(local_bearer(subject, role=role, scopes=scopes, act=act, ttl=ttl))


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--wait", type=click.IntRange(0, 30), default=0, help="Seconds to wait for the fate.")
@AS
@TOKEN
@JSON
@DATA
def post(file: Any, wait: int, author: str | None, token: str | None, as_json: bool) -> None:
    """Post events from FILE (or -): JSON or NDJSON. What is missing is filled in."""
    from services.client import address, complete, events_in
    from services.client import post as send
    from services.welcome import told

    bearer, refused, intake = speaker(author, token), False, address("intake", 8081)
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
