"""Start-up text of `firsthand up`, and the command line of this program."""

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
    """Return the shell command that runs this program from any folder."""
    program = Path(sys.executable).with_name("firsthand")
    if program.exists():
        return shlex.quote(str(program))
    return f"{shlex.quote(sys.executable)} -m services.cli"


def welcome(settings: Settings, intake: str, ledger: str, worker: str | None) -> Iterator[str]:
    """Yield service URLs, a token for each role, and three example commands."""
    yield "Firsthand is running, for this machine only."
    yield ""
    yield f"  intake  {intake}  accepts events: POST /events"
    yield f"  ledger  {ledger}  shows plans: GET /people/<id>/plan, /history"
    if worker is not None:
        yield f"  worker  {worker}  reports metrics: GET /metrics"
    yield f"  data    {settings.data.absolute()}"
    yield ""
    yield "A token for each role, valid for 12 hours:"
    yield ""
    for role in ROLES:
        who = f"{role}:{_NAMES[role]}"
        bearer = local_token(
            settings.key_folder, who, ttl=TOKEN_SECONDS, audience=settings.audience
        )
        yield f"  {who:<12}  {bearer}"
    yield ""
    yield "Paste these three lines into another shell: Ada starts her plan and says what she wants;"
    yield "Sam tries to change her words and is refused; Ada reads her plan and her history, which"
    yield "shows his attempt:"
    yield ""
    yield from _story(settings)
    yield ""
    yield "Ctrl-C stops all services. Run again with the same folder to continue."


def _story(settings: Settings) -> Iterator[str]:
    option = f"--data {shlex.quote(str(settings.data.absolute()))}"
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
    yield f"printf '%s\\n' {events} | {call} post - --as person:ada --wait 5 {option}"
    yield f"echo '{sam}' | {call} post - --as partner:sam --wait 5 {option}"
    yield f"{call} plan person:ada {option} && {call} history person:ada {option}"
