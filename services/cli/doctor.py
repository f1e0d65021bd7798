"""`firsthand doctor`: run every check of keys, queue, store and services, and print results."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

import click

from services.cli.options import DATA, FINDINGS, JSON, UNAVAILABLE
from services.intake.app import IntakeSettings
from services.ledger.config import LedgerSettings
from services.operations.doctor.checks import Result, addresses, examine
from services.operations.doctor.context import DoctorContext
from shared.errors import SettingsError

COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "cyan"}


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
    sys.exit(FINDINGS if counts["error"] else UNAVAILABLE if down else 0)


def _examined() -> Iterator[Result]:
    try:
        settings, limit = LedgerSettings.load(), IntakeSettings.load().inbox_limit
    except SettingsError as fault:
        yield Result("settings", "error", str(fault), "set what is named; see docs/reference")
        return
    yield Result("settings", "ok", "every FIRSTHAND_* variable can be read")
    yield from examine(DoctorContext(settings, addresses(settings.data), inbox_limit=limit))


def _line(each: Result) -> str:
    """State, check, what was found, and the remedy, aligned."""
    state = click.style(f"{each.state:<8}", fg=COLOURS[each.state], bold=each.state == "error")
    remedy = f"; {each.remedy}" if each.remedy else ""
    return f"{state} {each.check:<19} {each.detail}{remedy}"
