"""How this program is called, and the first screen of `firsthand up`."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from shared.auth.issuers import ROLES
from shared.auth.tokens import local_token
from shared.settings import Settings

TOKEN_SECONDS = 12 * 3600
_NAMES = {
    "person": "ada",
    "partner": "sam",
    "service": "bot",
    "auditor": "kim",
    "operator": "lee",
}


def command() -> str:
    """How this program is called, from any folder, as a shell understands it."""
    program = Path(sys.executable).with_name("firsthand")
    if program.exists():
        return shlex.quote(str(program))
    return f"{shlex.quote(sys.executable)} -m services.cli"


def welcome(settings: Settings, intake: str, ledger: str, worker: str | None) -> Iterator[str]:
    """URLs, a token for each role, and three lines to paste that tell a story."""
    yield "Firsthand is running, for this machine only."
    yield ""
    yield f"  intake  {intake}  takes events: POST /events"
    yield f"  ledger  {ledger}  shows plans: GET /people/<id>/plan, /history"
    if worker is not None:
        yield f"  worker  {worker}  counts what it records: GET /metrics"
    yield f"  data    {settings.data.absolute()}"
    yield ""
    yield "A token for each role, good for 12 hours:"
    yield ""
    for role in ROLES:
        who = f"{role}:{_NAMES[role]}"
        bearer = local_token(
            settings.key_folder, who, ttl=TOKEN_SECONDS, audience=settings.audience
        )
        yield f"  {who:<12}  {bearer}"
    yield ""
    yield "Paste these three lines into another shell. Ada starts her plan and says what she wants;"
    yield "Sam tries to change her words, and is refused; Ada reads her plan, and in her history"
    yield "that he tried:"
    yield ""
    yield from _story(settings)
    yield ""
    yield "Ctrl-C stops everything. Started again on the same folder, it goes on."


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
