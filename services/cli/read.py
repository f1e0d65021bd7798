"""Read commands: query the ledger's API with a token."""

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from services.cli.options import AS, DATA, FINDINGS, JSON, PERSON, TOKEN, USAGE, fail, say, speaker
from services.client.http import address, send
from shared.terminal import safe_text

TRIES = 5  # retries after 429 Too Many Requests
_VERSION = click.option("--version", type=int, help="Version of the plan.")
_AS_OF = click.option("--as-of", metavar="MOMENT", help="Moment up to which events were recorded.")


def _show(
    path: str, author: str | None, token: str | None, person: str, accept: str, absent: str = ""
) -> Any:
    bearer = speaker(author, token, person)
    url = f"{address('ledger', 8082)}/people/{person}/{path}"
    response = send(url, bearer, headers={"Accept": accept})
    for _ in range(TRIES):
        if response.status != 429:
            break
        time.sleep(response.retry_after or 1)  # a long history may exceed the rate limit
        response = send(url, bearer, headers={"Accept": accept})
    if response.status == 404 and absent:
        fail(absent, FINDINGS)
    if response.status != 200:
        problem = response.json()
        if not isinstance(problem, dict):
            problem = {"detail": f"status {response.status}"}
        lines = [problem["detail"], *(error["detail"] for error in problem.get("errors", ()))]
        fail(" ".join(lines), USAGE if response.status == 422 else FINDINGS)
    return response


def _look(path: str, parameters: dict[str, Any], options: dict[str, Any]) -> None:
    """Print a view of a person's plan, as text or as JSON."""
    query = {name: value for name, value in parameters.items() if value is not None}
    accept = "application/json" if options["as_json"] else "text/plain"
    point = "".join(f" --{name} {value}" for name, value in query.items())
    absent = (
        f"No plan of {options['person']}{point and ' at' + point}, or this token may not read it."
    )
    path = f"{path}?{urlencode(query)}"
    response = _show(path, options["author"], options["token"], options["person"], accept, absent)
    if options["as_json"]:
        click.echo(response.body)
    else:
        say(response.body.decode(errors="replace"), nl=False)


@click.command()
@PERSON
@_VERSION
@_AS_OF
@click.option("--true-at", metavar="MOMENT", help="Moment up to which events had happened.")
@AS
@TOKEN
@JSON
@DATA
def plan(version: int | None, as_of: str | None, true_at: str | None, **options: Any) -> None:
    """Show the plan of PERSON (such as person:ada), now or at an earlier point.

    --as-of shows the plan as recorded by that moment. --true-at shows what had happened by that
    moment, even if it was recorded later; --as-of then limits what was recorded. A MOMENT is RFC
    3339, such as 2026-05-03T10:00:00Z.
    """
    _look("plan", {"version": version, "as-of": as_of, "true-at": true_at}, options)


@click.command()
@PERSON
@click.option("--from", "start", required=True, metavar="POINT", help="First point.")
@click.option("--to", "end", metavar="POINT", help="Second point (default: now).")
@AS
@TOKEN
@JSON
@DATA
def diff(start: str, end: str | None, **options: Any) -> None:
    """Show what changed in the plan of PERSON between two points.

    A POINT is a version, such as 3 (0: before the plan was started), or a moment (RFC 3339): the
    plan as recorded by then.
    """
    _look("diff", {"from": start, "to": end}, options)


@click.command()
@PERSON
@_VERSION
@_AS_OF
@AS
@TOKEN
@JSON
@DATA
def origins(version: int | None, as_of: str | None, **options: Any) -> None:
    """Show which event the words of each line in the plan of PERSON come from."""
    _look("origins", {"version": version, "as-of": as_of}, options)


def _drawable(_: Any, __: Any, where: str | None) -> str | None:
    """Return the output path, after checking that its format is supported."""
    if where not in (None, "-") and Path(str(where)).suffix.lower() not in (".svg", ".png"):
        raise click.BadParameter(f"{where}: must end in .svg or .png, or be - for the terminal.")
    return where


@click.command()
@PERSON
@click.argument("event_id")
@click.option(
    "--qr",
    metavar="FILE|-",
    callback=_drawable,
    help="Output as QR codes: FILE (.svg, .png; several are numbered) or - (terminal).",
)
@AS
@TOKEN
@DATA
def receipt(
    person: str, event_id: str, qr: str | None, author: str | None, token: str | None
) -> None:
    """Print the receipt of an event about PERSON: an inclusion proof for verify.py."""
    path = f"events/{quote(event_id, safe='')}/receipt"
    response = _show(path, author, token, person, "application/json")
    if qr is None:
        click.echo(response.body)
    else:
        _draw(response.json(), qr)


def _draw(receipt: dict[str, Any], where: str) -> None:
    """Draw a receipt's codes in the terminal, or save them to files and print the paths."""
    from services.cli.qr import drawn  # noqa: PLC0415 - slow to import, and seldom needed

    codes = drawn(receipt)
    for number, code in enumerate(codes, 1):
        if where == "-":
            code.terminal(out=sys.stdout, compact=True)
            sys.stdout.flush()
            continue
        path = Path(where)
        if len(codes) > 1:
            path = path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            code.save(str(path), scale=4)
        except OSError as fault:
            fail(f"{path}: {fault.strerror}. Choose a file in a writable folder.", USAGE)
        click.echo(path)


@click.command()
@PERSON
@AS
@TOKEN
@JSON
@DATA
def history(person: str, author: str | None, token: str | None, as_json: bool) -> None:
    """Show the history of PERSON in sentences, including refused events."""
    cursor = -1
    while cursor is not None:
        query = f"history?limit=500&cursor={cursor}" if cursor >= 0 else "history?limit=500"
        page = _show(query, author, token, person, "application/json").json()
        for entry in page["entries"]:
            say(json.dumps(entry) if as_json else history_line(entry))
        cursor = page.get("next")


def history_line(entry: dict[str, Any]) -> str:
    """Return a history entry as text, dated by the event's `time` if its author gave one."""
    words = f" “{safe_text(entry['words'])}”" if "words" in entry else ""
    recorded = entry["recorded"][:16].replace("T", " ")
    date = f"for {entry['time'][:10]}" if "time" in entry else recorded
    lines = [f"{date:<16}  {entry['sentence']}{words}"]
    lines += [f"{'':<18}{note}" for note in entry.get("notes", ())]
    return "\n".join(lines)
