"""What the command says to people: the first screen of `up`, and answers in plain words."""

import shlex
import sys
from collections.abc import Iterator
from typing import Any

from services.client import Answer
from shared.callers import ROLES, local_token
from shared.settings import Settings

_NAMES = {
    "person": "ada",
    "partner": "sam",
    "service": "bot",
    "auditor": "kim",
    "operator": "lee",
}


def command() -> str:
    """How this program is called, as a shell understands it."""
    return shlex.quote(sys.argv[0] if sys.argv[0].endswith("firsthand") else "firsthand")


def welcome(settings: Settings, intake: str, ledger: str) -> Iterator[str]:
    """URLs, a token for each role, and three lines to paste that tell a story."""
    yield f"Intake   {intake}    (POST /events)"
    yield f"Ledger   {ledger}    (GET /people/<id>/plan, /history)"
    yield f"Data     {settings.data.absolute()}"
    yield ""
    yield "A token for each role, good for 12 hours:"
    for role in ROLES:
        bearer = local_token(
            settings.key_folder, f"{role}:{_NAMES[role]}", ttl=43_200, audience=settings.audience
        )
        yield f"  {role}:{_NAMES[role]:<4} {bearer}"
    yield ""
    yield "Three lines to paste into another shell: Ada states what she wants, Sam tries to change"
    yield "her words, Ada reads her plan and what happened."
    yield ""
    yield from _story(settings)
    yield ""
    yield "Ctrl-C stops everything."


def _story(settings: Settings) -> Iterator[str]:
    where = f"--data {shlex.quote(str(settings.data.absolute()))}"
    call = command()
    ada = (
        '{"type":"plan.started","data":{"name_to_use":"Ada","language":"en"}}',
        '{"type":"aspiration.stated","data":{"id":"sea","words":"Walk to the sea again."}}',
    )
    sam = (
        '{"type":"aspiration.reworded","subject":"person:ada",'
        '"data":{"aspiration":"sea","words":"Lose weight."}}'
    )
    events = " ".join(f"'{event}'" for event in ada)
    yield f"printf '%s\\n' {events} | {call} post - --as person:ada --wait 5 {where}"
    yield f"echo '{sam}' | {call} post - --as partner:sam --wait 5 {where}"
    yield f"{call} plan person:ada {where} && {call} history person:ada {where}"


def told(event: dict[str, Any], answer: Answer) -> str:
    """What became of a posted event, in a line."""
    name, body = f"{event.get('type')} {event['id']}", answer.json()
    if answer.status in (200, 201):
        again = " (it was there already)" if answer.status == 200 else ""
        return f"accepted  {name}: entry {body['index']} of log {body['log']}{again}"
    if answer.status == 202:
        return f"safe      {name}: {body['durability']}; its fate will be at {body['ledger']}"
    if not isinstance(body, dict):
        return f"failed    {name}: status {answer.status}"
    lines = [f"{'refused' if body.get('recorded') else 'invalid':<9} {name}: {body['detail']}"]
    lines += [
        f"          {each['pointer'] or '/'}: {each['detail']}" for each in body.get("errors", ())
    ]
    return "\n".join(lines)


def history_line(each: dict[str, Any]) -> str:
    """An entry of the history, as a person reads it."""
    words = f" “{each['words']}”" if "words" in each else ""
    lines = [f"{each['recorded'][:16].replace('T', ' ')}  {each['sentence']}{words}"]
    lines += [
        f"                  {against['author']} disagreed: “{against['words']}”"
        for against in each.get("disagreements", ())
    ]
    return "\n".join(lines)
