"""Commands that look something up through the API, with a token."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from services.cli.base import AS, DATA, FINDINGS, JSON, TOKEN, USAGE, fail, speaker


def _show(path: str, author: str | None, token: str | None, person: str, accept: str) -> Any:
    from services.client import address, send

    bearer = speaker(author, token, person)
    url = f"{address('ledger', 8082)}/people/{person}/{path}"
    answer = send(url, bearer, headers={"Accept": accept})
    if answer.status != 200:
        told = answer.json()
        fail(told["detail"] if isinstance(told, dict) else f"status {answer.status}", FINDINGS)
    return answer


@click.command()
@click.argument("person")
@click.option("--version", type=int, help="The plan at this version.")
@click.option("--as-of", help="The plan as it was known at this moment (RFC 3339).")
@AS
@TOKEN
@JSON
@DATA
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


@click.command()
@click.argument("person")
@click.argument("event_id")
@click.option(
    "--qr",
    metavar="FILE|-",
    help="Draw it as QR codes: into FILE (.svg, .png; several are numbered), or here (-).",
)
@AS
@TOKEN
@DATA
def receipt(
    person: str, event_id: str, qr: str | None, author: str | None, token: str | None
) -> None:
    """Print the receipt of an event about PERSON: proof, for verify.py, that it is on record."""
    from urllib.parse import quote

    path = f"events/{quote(event_id, safe='')}/receipt"
    answer = _show(path, author, token, person, "application/json")
    if qr is None:
        click.echo(answer.body)
    else:
        _draw(answer.json(), qr)


def _draw(told: dict[str, Any], where: str) -> None:
    """Draw a receipt's codes in the terminal or into files; says which."""
    from services.printed import drawn

    codes = drawn(told)
    for number, code in enumerate(codes, 1):
        if where == "-":
            code.terminal(out=sys.stdout, compact=True)
            continue
        path = Path(where)
        if len(codes) > 1:
            path = path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            code.save(str(path), scale=4)
        except (OSError, ValueError) as fault:
            fail(f"{path}: {fault}. Name a file that ends in .svg or .png.", USAGE)
        click.echo(path)


@click.command()
@click.argument("person")
@AS
@TOKEN
@JSON
@DATA
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
