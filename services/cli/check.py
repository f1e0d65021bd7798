"""Commands that check a ledger."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.base import DATA, FINDINGS, JSON, KEPT, UNAVAILABLE, fail, say, show

if TYPE_CHECKING:
    from services.doctor.checks import Result
    from services.ledger.steps import Step

COLOURS = {"ok": "green", "odd": "yellow", "wrong": "red", "unknown": "cyan"}


@click.command()
@click.argument("service", type=click.Choice(["intake", "ledger", "worker"]))
@DATA
def healthy(service: str) -> None:
    """Ask a service on this machine whether it is well."""
    from services.health import check_heartbeat, check_ready

    if service == "worker":
        from shared.settings import Settings

        check_heartbeat(Settings.load().heartbeat)
    else:
        check_ready(service)
    click.echo(f"{service} is well.")


@click.command()
@click.argument("person", required=False)
@click.option("--all", "everybody", is_flag=True, help="Every log, from the first entry.")
@click.option("--step", is_flag=True, help="Go through PERSON's entries one by one.")
@JSON
@DATA
def replay(person: str | None, everybody: bool, step: bool, as_json: bool) -> None:
    """Fold entries again, and compare with what is stored.

    With --step, show what each entry of PERSON said and changed: on a terminal one at a time (Enter
    goes on, b back, q ends it), else all of them; with --json a line each.
    """
    if bool(person) == everybody or (everybody and step):
        raise click.UsageError("Name one PERSON, or say --all.")
    from services.ledger import run

    if person is not None and step:
        from shared.problems import SealBroken

        try:
            _step(run.steps(person), as_json=as_json)
        except SealBroken as fault:
            fail(str(fault), FINDINGS)
    else:
        sys.exit(FINDINGS if run.replay(person, as_json=as_json) else 0)


def _step(steps: "Iterator[Step]", *, as_json: bool) -> None:
    """Show steps: all of them, or on a terminal a key at a time."""
    waits = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    seen: list[str] = []
    for told, text in steps:
        shown = json.dumps(told, ensure_ascii=False) if as_json else "\n".join([*text, ""])
        show([shown], as_json=as_json)
        if waits:
            seen.append(shown)
            if not _goes_on(seen):
                return


def _goes_on(seen: list[str]) -> bool:
    """Wait for keys: Enter goes on, b shows the step before, q ends it."""
    place = len(seen) - 1
    while place < len(seen):
        key = click.getchar()
        if key in ("q", "\x04", "\x1b"):
            return False
        place = max(place - 1, 0) if key == "b" else place + 1
        if place < len(seen):
            say(seen[place])
    return True


@click.command()
@click.argument("export", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--vkey", "vkeys", multiple=True, help="Keys of the log, or their file, from who runs it."
)
@click.option("--witness", "witnesses", multiple=True, help="Keys of witnesses, or their file.")
@click.option("--quorum", type=int, help="How many of them must have cosigned (default: all).")
@KEPT
@click.option(
    "--require",
    type=click.Choice(["log", "opened", "vault"]),
    help="What is not checked up to this depth is a finding.",
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page, too.")
@JSON
@DATA
def audit(
    export: Path | None,
    vkeys: tuple[str, ...],
    kept: tuple[Path, ...],
    require: str | None,
    html: Path | None,
    as_json: bool,
    **cosigned: Any,
) -> None:
    """Check a whole ledger, entry by entry: the live one, or an EXPORT (folder or .tar.gz)."""
    from services.ledger.audit import given, run, told

    keys, policy = given.given_keys("--vkey", vkeys), given.given_policy(**cosigned)
    if html:
        run.check_page(html)
    if export is None:
        from services.ledger.config import LedgerSettings

        report = run.audit_store(LedgerSettings.load(), keys, list(kept), policy)
    else:
        report = run.audit_export(export, keys, list(kept), policy)
    if require:
        report.require(require)
    if html:
        run.write_page(report, html, str(export or "the live ledger"))
    show(told.audit_json(report) if as_json else told.audit_text(report), as_json=as_json)
    sys.exit(FINDINGS if report.found else 0)


@click.command()
@JSON
@DATA
def doctor(as_json: bool) -> None:
    """Say whether everything is set as it must be; change nothing."""
    results = []
    for each in _examined():
        results.append(each)
        click.echo(json.dumps(asdict(each)) if as_json else _line(each))
    counts = {state: sum(each.state == state for each in results) for state in COLOURS}
    if not as_json:
        click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + ".")
    down = any(each.down for each in results)
    sys.exit(FINDINGS if counts["wrong"] else UNAVAILABLE if down else 0)


def _examined() -> "Iterator[Result]":
    from services.doctor.checks import Result, addresses, examine
    from services.doctor.ground import Ground
    from services.intake.app import IntakeSettings
    from services.ledger.config import LedgerSettings
    from shared.problems import SettingsError

    try:
        settings, limit = LedgerSettings.load(), IntakeSettings.load().inbox_limit
    except SettingsError as fault:
        yield Result("settings", "wrong", str(fault), "set what is named; see docs/reference")
        return
    yield Result("settings", "ok", "every FIRSTHAND_* variable can be read")
    yield from examine(Ground(settings, addresses(settings.data), inbox_limit=limit))


def _line(each: "Result") -> str:
    """State, check, what was found, and the remedy, aligned."""
    state = click.style(f"{each.state:<8}", fg=COLOURS[each.state], bold=each.state == "wrong")
    remedy = f"; {each.remedy}" if each.remedy else ""
    return f"{state} {each.check:<19} {each.told}{remedy}"
