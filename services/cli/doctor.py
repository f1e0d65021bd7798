"""The `firsthand doctor` command: check settings, keys, queue, store and services."""

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
    """Check settings, keys, queue, store and services; change nothing."""
    results = []
    for result in _examined():
        results.append(result)
        click.echo(json.dumps(asdict(result)) if as_json else _line(result))
    counts = {state: sum(result.state == state for result in results) for state in COLOURS}
    if not as_json:
        click.echo(", ".join(f"{count} {state}" for state, count in counts.items()) + ".")
    down = any(result.down for result in results)
    sys.exit(FINDINGS if counts["error"] else UNAVAILABLE if down else 0)


def _examined() -> Iterator[Result]:
    try:
        settings, limit = LedgerSettings.load(), IntakeSettings.load().inbox_limit
    except SettingsError as fault:
        yield Result("settings", "error", str(fault), "correct this setting; see docs/reference")
        return
    yield Result("settings", "ok", "every FIRSTHAND_* variable can be read")
    yield from examine(DoctorContext(settings, addresses(settings.data), inbox_limit=limit))


def _line(result: Result) -> str:
    """Return state, check, detail and remedy as an aligned line."""
    state = click.style(
        f"{result.state:<8}", fg=COLOURS[result.state], bold=result.state == "error"
    )
    remedy = f"; {result.remedy}" if result.remedy else ""
    return f"{state} {result.check:<19} {result.detail}{remedy}"
