"""Decide random events by `decide` and by the model: build/authorship.json.

    python -m tests.authorship.run                        300,000 decisions, a minute or two
    python -m tests.authorship.run --seed 7               other events
    python -m tests.authorship.run --decisions 20000      fewer, and proportional counts

Every decision is compared, and so are the plan's version, whether the author acted for the person,
and a replay of every history. A refused event must not change a byte of the plan. An accepted one
may change a line only if its author is the person or a representative. Then each broken rule of
tests/authorship/broken.py must be detected. Prints a table, and ends with status 1 on a difference,
a count that was not reached, or a broken rule that was not detected.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson

from services.cli.progress import bar
from shared.events.catalogue import CATALOGUE
from shared.events.event import Event
from shared.events.refusals import NO_STANDING, Code
from tests.authorship.broken import EVERY
from tests.authorship.compare import Counts, Difference, histories, shrunk

PATH = Path("build/authorship.json")
WHOLE = 300_000  # decisions in which the counts below must be reached
LEAST_ACCEPTED, LEAST_EARNED = 500, 200
MOST_BROKEN = 200_000  # decisions in which a broken rule must be detected
CODES = [code for code in Code if code is not Code.OUR_FAULT]  # `decide` never returns that one
GENERAL = {*NO_STANDING, Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_FULL}  # of any type


@dataclass
class Outcome:
    """The statistics of a run, and its findings."""

    seed: int
    decisions: int
    counts: Counts = field(default_factory=Counts)
    difference: Difference | None = None
    seconds: float = 0.0

    def least(self, whole: int) -> int:
        """Return how often each type or code must occur in a run of this length."""
        return whole * min(self.decisions, WHOLE) // WHOLE

    def missing(self) -> Iterator[str]:
        """Yield what did not occur often enough."""
        for kind in CATALOGUE:
            if self.counts.accepted[kind] < self.least(LEAST_ACCEPTED):
                yield f"{kind} was accepted {self.counts.accepted[kind]} times"
        for code in CODES:
            if self.counts.codes[code] < self.least(LEAST_EARNED):
                yield f"{code} occurred {self.counts.codes[code]} times"

    def pairs(self) -> tuple[list[str], list[str]]:
        """Return listed refusals that did not occur, and unlisted ones that did."""
        listed = {(kind, str(code)) for kind, row in CATALOGUE.items() for code in row.refusals}
        earned = {pair for pair in self.counts.pairs if pair[1] not in GENERAL}
        return [*map(" ".join, sorted(listed - earned))], [*map(" ".join, sorted(earned - listed))]


def run(seed: int, decisions: int) -> Outcome:
    """Compare so many decisions; return the outcome."""
    outcome, began, before = Outcome(seed, decisions), time.perf_counter(), 0
    with bar("Deciding twice", decisions) as tick:
        for result in histories(seed, decisions):
            if isinstance(result, Difference):
                outcome.difference = result
                break
            outcome.counts = result
            tick(result.decisions - before)
            before = result.decisions
    outcome.seconds = time.perf_counter() - began
    return outcome


def as_line(event: Event) -> dict[str, Any]:
    """Return an event as a line of a history."""
    line = {
        "author": event.author,
        "type": event.type,
        "data": event.data,
        "id": event.id,
        "received": event.received,
        "via": event.via,
    }
    return line | ({} if event.expectedversion is None else {"expects": event.expectedversion})


def show_difference(difference: Difference) -> dict[str, Any]:
    """Print a difference with the shortest history that shows it."""
    small = shrunk(difference)
    click.echo(f"DIFFERENCE in {small.says}, in a history that begins with {small.start}:")
    lines = [as_line(event) for event in small.events]
    for line in lines:
        click.echo(f"  {orjson.dumps(line).decode()}")
    click.echo(f"  the model: {small.model}; the rules: {small.rules}")
    both = {"model": small.model, "rules": small.rules}
    return {"says": small.says, "start": small.start, "events": lines, **both}


def show_counts(outcome: Outcome) -> None:
    """Print the statistics."""
    counts = outcome.counts
    rate = counts.decisions / outcome.seconds
    click.echo(f"{'accepted':>9}  type")
    for kind in CATALOGUE:
        click.echo(f"{counts.accepted[kind]:>9,}  {kind}")
    click.echo(f"{'refused':>9}  code")
    for code in CODES:
        click.echo(f"{counts.codes[code]:>9,}  {code}")
    for check, times in counts.checks.items():
        click.echo(f"{times:>9,}  {check}")
    click.echo(f"{counts.decisions:,} decisions, seed {outcome.seed}, {rate:,.0f} a second")


def detect(seed: int) -> list[dict[str, Any]]:
    """Detect every broken rule; print after how many decisions, and by which difference."""
    rows = []
    click.echo(f"{'detected':>9}  broken rule")
    with bar("Breaking rules", len(EVERY)) as tick:
        for broken in EVERY:
            decisions, difference = broken.detected(seed, MOST_BROKEN)
            shown = difference is not None and broken.is_shown_by(difference)
            by = f"{difference.model} -> {difference.rules}" if difference else "nothing"
            where = difference.events[-1].type if difference else ""
            click.echo(f"{decisions if shown else 'NO':>9}  {broken.says} ({where}: {by})")
            line = {"rule": broken.says, "detected": shown, "decisions": decisions}
            rows.append(line | {"type": where, "by": by})
            tick(1)
    return rows


@click.command()
@click.option("--decisions", default=WHOLE, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--broken/--no-broken", default=True, help="Detect the broken rules too.")
def main(decisions: int, seed: int, *, broken: bool) -> None:
    """Compare the rules with a model of them."""
    outcome = run(seed, decisions)
    show_counts(outcome)
    difference = show_difference(outcome.difference) if outcome.difference else None
    missing = [] if difference else list(outcome.missing())
    unmet, unlisted = outcome.pairs()
    detected = detect(seed) if broken else []
    undetected = [row["rule"] for row in detected if not row["detected"]]
    for message in (*missing, *(f"{pair}: not in the reference" for pair in unlisted)):
        click.echo(f"MISSING: {message}")
    click.echo(
        f"{outcome.counts.decisions:,} decisions: {int(bool(difference))} differences, "
        f"{len(missing)} counts not reached, {len(unmet)} listed refusals not met, "
        f"{len(undetected)} of {len(detected)} broken rules not detected"
    )
    PATH.parent.mkdir(exist_ok=True)
    whole = {
        "seed": seed,
        "decisions": outcome.counts.decisions,
        "seconds": round(outcome.seconds, 1),
        "accepted": {kind: outcome.counts.accepted[kind] for kind in CATALOGUE},
        "earned": {str(code): outcome.counts.codes[code] for code in CODES},
        "checks": dict(outcome.counts.checks),
        "difference": difference,
        "missing": missing,
        "unmet": unmet,
        "unlisted": unlisted,
        "broken": detected,
    }
    PATH.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    raise SystemExit(bool(difference or missing or unlisted or undetected))


if __name__ == "__main__":
    main()
