"""`firsthand demo`: a story, posted over HTTP to a private ledger, which is removed at the end.

It ends with 0 if everything went as `services/story.py` tells it, with 1 if anything was
different, with 3 if a service does not come up.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import click

from services.client import Answer, complete, post, send
from services.ledger.config import LedgerSettings, now
from services.ledger.make import init
from services.ledger.run import replay
from services.standalone import Everything, free_port
from services.story import Step, steps
from services.welcome import command, history_line
from shared.callers import local_token
from shared.event import timestamp
from shared.problems import Unsafe

SPEAKERS = {"ada": "person:ada", "sam": "partner:sam"}
NAMES = {"partner:sam": "Sam (nurse)"}
PATIENCE, WIDTH = 20, 80  # seconds for a verdict; columns of text


def tell(*, keep: bool) -> int:
    """Tell the story; the exit status. Nothing is left behind, unless asked to keep it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder = Path(tempfile.mkdtemp(prefix="firsthand-demo-"))
    try:
        with _private(folder):
            init(settings := LedgerSettings.load())
            with Everything(settings, intake_port=free_port(), ledger_port=free_port()) as house:
                return 1 if _Teller(house).differences() else 0
    finally:
        if keep:
            names = f"FIRSTHAND_NAMES={folder / 'names.json'}"
            click.echo(f"\nKept. To go on with it:\n{names} {command()} up --data {folder}")
        else:
            shutil.rmtree(folder)


@contextmanager
def _private(folder: Path) -> Iterator[None]:
    """The story's own settings, and nobody else's: no other queue, database or keys."""
    before, names = dict(os.environ), folder / "names.json"
    names.write_text(json.dumps(NAMES))
    ours = {"DATA": str(folder), "NAMES": str(names), "LOG_LEVEL": "warning"}
    for name in [each for each in before if each.startswith("FIRSTHAND_")]:
        del os.environ[name]
    os.environ.update({f"FIRSTHAND_{name}": value for name, value in ours.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Teller:
    """Posts the story step by step, and compares what comes back with what was told."""

    def __init__(self, house: Everything) -> None:
        keys = house.settings.key_folder
        self._house = house
        self._tokens = {who: local_token(keys, name) for who, name in SPEAKERS.items()}
        self._verdicts: list[str] = []
        self._differences = 0

    def differences(self) -> int:
        """Tell all of it; how many things were different."""
        names = {each: str(uuid5(NAMESPACE_OID, each)) for each in ("grant", "walks", "class")}
        names |= {"seen": str(uuid5(NAMESPACE_OID, "seen"))}
        click.echo("A story, posted event by event over HTTP to a private ledger on this machine.")
        click.echo("Before each event stands what the ledger said to it.")
        for step in steps(names | {"soon": timestamp(now() + timedelta(days=14))}):
            self._take(step)
        self._plan()
        self._history()
        self._title("A replay folds it all again, from the entries and the keys alone:")
        self._expect(replay(None, as_json=False), False, "the replay")
        return self._differences

    def _take(self, step: Step) -> None:
        """Post a step's event, and say what became of it. A refusal leaves the plan as it was."""
        if step.event is None:
            self._title(step.text)
            return
        before = self._read("plan").headers.get("ETag") if self._verdicts else None
        event = complete({"subject": SPEAKERS["ada"], **step.event}, SPEAKERS[step.author])
        answer = post(self._house.intake, self._tokens[step.author], event, wait=PATIENCE)
        if answer.status == 202:
            raise Unsafe(f"the worker recorded nothing within {PATIENCE} s")
        told = answer.json()
        verdict = str(told.get("verdict") or told.get("code") or told["title"])
        because = "" if answer.status == 201 else f" {told['detail']}"
        label = "accepted" if answer.status == 201 else "refused"
        text = f"  {label:<10}{step.text}{because}"
        click.echo(textwrap.fill(text, WIDTH, subsequent_indent=" " * 12))
        self._expect(verdict, step.verdict, step.event["type"])
        if verdict != "accepted" and before:
            self._expect(self._read("plan").headers.get("ETag"), before, "the plan after a refusal")
        self._verdicts.append(verdict)

    def _plan(self) -> None:
        answer = self._read("plan", accept="text/plain")
        self._title("What Ada reads in her plan:")
        click.echo(textwrap.indent(answer.body.decode().rstrip(), "  "))
        self._expect(answer.status, 200, "reading the plan")

    def _history(self) -> None:
        """Every attempt has its sentence, and what was refused keeps no words."""
        entries = self._read("history").json()["entries"]
        self._title("What Ada reads in her history:")
        for each in entries:
            click.echo(textwrap.indent(history_line(each, SPEAKERS["ada"]), "  "))
        verdicts = [each.get("refusal", each["verdict"]) for each in entries]
        self._expect(verdicts, self._verdicts, "the history")
        kept = [each["index"] for each in entries if "refusal" in each and "words" in each]
        self._expect(kept, [], "words of refused entries")

    def _read(self, what: str, accept: str = "application/json") -> Answer:
        url = f"{self._house.ledger}/people/{SPEAKERS['ada']}/{what}"
        return send(url, self._tokens["ada"], headers={"Accept": accept})

    def _title(self, text: str) -> None:
        click.echo(f"\n{text}\n")

    def _expect(self, got: object, wanted: object, what: str) -> None:
        if got != wanted:
            self._differences += 1
            click.echo(f"  Different: {what}: {got}; the story says {wanted}", err=True)
