"""Commands that look something up through the API, with a token."""

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

TRIES = 5  # after an answer that says too fast
_VERSION = click.option("--version", type=int, help="The plan at this version.")
_AS_OF = click.option("--as-of", metavar="MOMENT", help="The plan as it was known at this moment.")


def _show(
    path: str, author: str | None, token: str | None, person: str, accept: str, absent: str = ""
) -> Any:
    bearer = speaker(author, token, person)
    url = f"{address('ledger', 8082)}/people/{person}/{path}"
    answer = send(url, bearer, headers={"Accept": accept})
    for _ in range(TRIES):
        if answer.status != 429:
            break
        time.sleep(answer.retry_after or 1)  # a long history may take more than there is at once
        answer = send(url, bearer, headers={"Accept": accept})
    if answer.status == 404 and absent:
        fail(absent, FINDINGS)
    if answer.status != 200:
        told = answer.json()
        if not isinstance(told, dict):
            told = {"detail": f"status {answer.status}"}
        lines = [told["detail"], *(each["detail"] for each in told.get("errors", ()))]
        fail(" ".join(lines), USAGE if answer.status == 422 else FINDINGS)
    return answer


def _look(path: str, asked: dict[str, Any], told: dict[str, Any]) -> None:
    """Print what is at a path below the person's: their text, or JSON."""
    given = {name: value for name, value in asked.items() if value is not None}
    accept = "application/json" if told["as_json"] else "text/plain"
    at = "".join(f" --{name} {value}" for name, value in given.items())
    absent = f"There is no plan of {told['person']}{at and ' at' + at}, or it is not yours to read."
    path = f"{path}?{urlencode(given)}"
    answer = _show(path, told["author"], told["token"], told["person"], accept, absent)
    if told["as_json"]:
        click.echo(answer.body)
    else:
        say(answer.body.decode(errors="replace"), nl=False)


@click.command()
@PERSON
@_VERSION
@_AS_OF
@click.option("--true-at", metavar="MOMENT", help="The plan as it was true at this moment.")
@AS
@TOKEN
@JSON
@DATA
def plan(version: int | None, as_of: str | None, true_at: str | None, **told: Any) -> None:
    """Show the plan of PERSON (as person:ada), now or as it was.

    With --true-at, what had happened by that moment, whenever it was recorded; with --as-of too, so
    far as that was known then. A MOMENT is RFC 3339, as 2026-05-03T10:00:00Z.
    """
    _look("plan", {"version": version, "as-of": as_of, "true-at": true_at}, told)


@click.command()
@PERSON
@click.option("--from", "start", required=True, metavar="POINT", help="Where to begin.")
@click.option("--to", "end", metavar="POINT", help="Where to end (default: now).")
@AS
@TOKEN
@JSON
@DATA
def diff(start: str, end: str | None, **told: Any) -> None:
    """Tell what changed in the plan of PERSON between two points.

    A POINT is a version, as 3 (0: before there was a plan), or a moment (RFC 3339): the plan as it
    was known then.
    """
    _look("diff", {"from": start, "to": end}, told)


@click.command()
@PERSON
@_VERSION
@_AS_OF
@AS
@TOKEN
@JSON
@DATA
def origins(version: int | None, as_of: str | None, **told: Any) -> None:
    """Tell where the words of each line in the plan of PERSON come from."""
    _look("origins", {"version": version, "as-of": as_of}, told)


def _drawable(_: Any, __: Any, where: str | None) -> str | None:
    """Where codes are drawn to, if they can be."""
    if where not in (None, "-") and Path(str(where)).suffix.lower() not in (".svg", ".png"):
        raise click.BadParameter(f"{where}: name a file that ends in .svg or .png, or - for here.")
    return where


@click.command()
@PERSON
@click.argument("event_id")
@click.option(
    "--qr",
    metavar="FILE|-",
    callback=_drawable,
    help="Draw it as QR codes: into FILE (.svg, .png; several are numbered), or here (-).",
)
@AS
@TOKEN
@DATA
def receipt(
    person: str, event_id: str, qr: str | None, author: str | None, token: str | None
) -> None:
    """Print the receipt of an event about PERSON: proof, for verify.py, that it is on record."""
    path = f"events/{quote(event_id, safe='')}/receipt"
    answer = _show(path, author, token, person, "application/json")
    if qr is None:
        click.echo(answer.body)
    else:
        _draw(answer.json(), qr)


def _draw(told: dict[str, Any], where: str) -> None:
    """Draw a receipt's codes in the terminal or into files; says which."""
    from services.cli.qr import drawn  # noqa: PLC0415 - slow to import, and seldom needed

    codes = drawn(told)
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
            fail(f"{path}: {fault.strerror}. Name a file in a folder that you may write to.", USAGE)
        click.echo(path)


@click.command()
@PERSON
@AS
@TOKEN
@JSON
@DATA
def history(person: str, author: str | None, token: str | None, as_json: bool) -> None:
    """Tell the history of PERSON in sentences, attempts too."""
    cursor = -1
    while cursor is not None:
        query = f"history?limit=500&cursor={cursor}" if cursor >= 0 else "history?limit=500"
        page = _show(query, author, token, person, "application/json").json()
        for each in page["entries"]:
            say(json.dumps(each) if as_json else history_line(each))
        cursor = page.get("next")


def history_line(each: dict[str, Any]) -> str:
    """An entry of a person's history, as they read it; `for` a day is what its author says."""
    words = f" “{safe_text(each['words'])}”" if "words" in each else ""
    recorded = each["recorded"][:16].replace("T", " ")
    told = f"for {each['time'][:10]}" if "time" in each else recorded
    lines = [f"{told:<16}  {each['sentence']}{words}"]
    lines += [f"{'':<18}{note}" for note in each.get("notes", ())]
    return "\n".join(lines)
