"""`firsthand demo`: a story, posted over HTTP to a private ledger, which is removed at the end.

It ends with 0 if everything went as `services/operations/demo_story.yaml` tells it, with 1 if
anything was different, with 3 if a service does not come up.
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

from services.cli.banner import command
from services.cli.options import show
from services.cli.read import history_line
from services.cli.replay import replay_stored, report_json, report_text
from services.client.http import HttpResponse, ServiceClient, body_of, complete, deliver, send
from services.ledger.config import LedgerSettings, utc_now
from services.ledger.maintenance.init import init
from services.ledger.presentation.sentences import format_day
from services.operations.demo_story import Step, references, steps
from services.operations.supervisor import LocalStack, free_port
from shared.auth.tokens import local_token
from shared.errors import PreconditionFailed
from shared.events.event import timestamp
from shared.process import exit_on

ADA, BEA, SAM, REED = "person:ada", "person:bea", "partner:sam", "partner:reed"
SPEAKERS = {"ada": ADA, "bea": BEA, "sam": SAM, "reed": REED}
NAMES = {SAM: "Sam (nurse)", REED: "Dr Reed", BEA: "Bea (sister)"}
HEAD = """\
A month with Ada, posted event by event over HTTP to a private ledger on this
machine. Each event follows the ledger's verdict on it. The days are those of
the events; the ledger records all of them today."""
PATIENCE, WIDTH = 20, 80  # seconds for a verdict; columns of text
SOON, MONTH = -14, -30  # days ago: they are ahead


@click.command()
@click.option("--keep", is_flag=True, help="Keep the ledger, and print its folder.")
def demo(keep: bool) -> None:
    """Run an example story over HTTP on a private ledger."""
    sys.exit(tell(keep=keep))


def tell(*, keep: bool) -> int:
    """Run the story and return the exit status; remove the ledger unless `keep`."""
    exit_on(signal.SIGTERM)
    folder = Path(tempfile.mkdtemp(prefix="firsthand-demo-"))
    try:
        with _private(folder):
            init(settings := LedgerSettings.load())
            with LocalStack(settings, intake_port=free_port(), ledger_port=free_port()) as stack:
                return 1 if _StoryRunner(stack).differences() else 0
    finally:
        if keep:
            names = f"FIRSTHAND_NAMES={folder / 'names.json'}"
            click.echo(f"\nKept. To go on with it:\n{names} {command()} up --data {folder}")
        else:
            shutil.rmtree(folder)


@contextmanager
def _private(folder: Path) -> Iterator[None]:
    """Replace the environment's settings by those of the story within the block."""
    before, names = dict(os.environ), folder / "names.json"
    names.write_text(json.dumps(NAMES))
    ours = {"DATA": str(folder), "NAMES": str(names), "LOG_LEVEL": "warning"}
    for name in [name for name in before if name.startswith("FIRSTHAND_")]:
        del os.environ[name]
    os.environ.update({f"FIRSTHAND_{name}": value for name, value in ours.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _StoryRunner:
    """Posts the story step by step, and compares the responses with the expected ones."""

    def __init__(self, stack: LocalStack) -> None:
        keys = stack.settings.key_folder
        self._stack, self._today = stack, utc_now()
        self._intake = ServiceClient(stack.intake)
        self._tokens = {who: local_token(keys, name) for who, name in SPEAKERS.items()}
        self._verdicts: list[str] = []
        self._differences = 0

    def differences(self) -> int:
        """Run every step; return the number of unexpected results."""
        click.echo(HEAD)
        for step in steps({name: self._reference(name) for name in references()}):
            self._take(step)
        self._plan()
        self._history()
        self._title("A replay folds it all again, from the entries and the keys alone:")
        report = replay_stored(None)
        show(report_json(report), report_text(report), as_json=False)
        self._expect(bool(report.findings), False, "the replay")
        return self._differences

    def _reference(self, name: str) -> str:
        """Return the value of a `$name`: a day, or the id of an event."""
        if name.startswith("day"):
            return self._day(int(name.removeprefix("day")))
        ahead = {"soon": SOON, "month": MONTH}.get(name)
        return str(uuid5(NAMESPACE_OID, name)) if ahead is None else self._day(ahead)

    def _day(self, ago: int) -> str:
        return timestamp(self._today - timedelta(days=ago))

    def _take(self, step: Step) -> None:
        """Post a step's event and print its verdict; check that a refusal changes nothing."""
        if step.event is None:
            self._title(f"{format_day(self._day(step.days_ago))}. {step.text}")
            return
        before = self._read("plan").headers.get("etag") if self._verdicts else None
        members = {"subject": ADA, "time": self._day(step.days_ago), **step.event}
        author = SPEAKERS[step.author]
        token, event = self._tokens[step.author], complete(members, author)
        answer = deliver(self._intake, token, body_of(event), wait=PATIENCE)
        if answer.status == 202:
            raise PreconditionFailed(f"the worker recorded nothing within {PATIENCE} s")
        body = answer.json()
        verdict = str(body.get("verdict") or body.get("code") or body["title"])
        because = "" if answer.status == 201 else f" {body['detail']}"
        self._say("accepted" if answer.status == 201 else "refused", step.text + because)
        for warning in body.get("warnings", ()):
            self._say("", f"{NAMES[author]} is warned: {warning['because']}.")
        got = "warned" if body.get("warnings") else verdict
        self._expect(got, step.verdict, step.event["type"])
        if verdict != "accepted" and before:
            self._expect(self._read("plan").headers.get("etag"), before, "the plan after a refusal")
        self._verdicts.append(verdict)

    def _say(self, label: str, text: str) -> None:
        self._wrap(f"{label:<10}{text}", 10)

    def _plan(self) -> None:
        answer = self._read("plan", accept="text/plain")
        self._title("What Ada reads in her plan, or has read to her:")
        for line in answer.body.decode().splitlines():
            self._wrap(line, len(line) - len(line.lstrip("- ")))
        self._expect(answer.status, 200, "reading the plan")

    def _history(self) -> None:
        """Print the refused and annotated entries; check that refusals without words have none."""
        entries = self._read("history").json()["entries"]
        shown = [entry for entry in entries if "refusal" in entry or "notes" in entry]
        more = f"These {len(shown)} were refused, or have annotations:"
        self._title(f"Her history has {len(entries)} entries. {more}")
        for entry in shown:
            for line in history_line(entry).splitlines():
                self._wrap(line, 18)
        verdicts = [entry.get("refusal", entry["verdict"]) for entry in entries]
        self._expect(verdicts, self._verdicts, "the history")
        with_words = [
            entry["index"] for entry in entries if "refusal" in entry and "words" in entry
        ]
        self._expect(with_words, [], "words of refused entries")

    def _wrap(self, line: str, hanging: int) -> None:
        click.echo(textwrap.fill(f"  {line}", WIDTH, subsequent_indent=" " * (hanging + 2)))

    def _read(self, what: str, accept: str = "application/json") -> HttpResponse:
        url = f"{self._stack.ledger}/people/{SPEAKERS['ada']}/{what}"
        return send(url, self._tokens["ada"], headers={"Accept": accept})

    def _title(self, text: str) -> None:
        click.echo(f"\n{textwrap.fill(text, WIDTH)}\n")

    def _expect(self, got: object, wanted: object, what: str) -> None:
        if got != wanted:
            self._differences += 1
            click.echo(f"  Different: {what}: {got}; expected {wanted}", err=True)
