"""Rule twice on random events, by `decide` and by the model: build/authorship.json.

    python -m tests.authorship.run                        300,000 decisions, a minute or two
    python -m tests.authorship.run --seed 7               other ones
    python -m tests.authorship.run --decisions 20000      fewer, and proportional counts

Every decision is compared, and so are the plan's version, who spoke for the person, and a replay of
every history. A refused event must leave every byte of the plan as it was, and an accepted one of
anybody but the person, or of a representative of theirs, every line. Then each broken rule of
tests/authorship/broken.py must be detected. Prints a table, and ends with status 1 on a
difference, a count that was not reached, or a broken rule that was not detected.
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

PLACE = Path("build/authorship.json")
WHOLE = 300_000  # decisions in which the counts below must be reached
LEAST_ACCEPTED, LEAST_EARNED = 500, 200
MOST_BROKEN = 200_000  # decisions in which a broken rule must be detected
CODES = [code for code in Code if code is not Code.OUR_FAULT]  # that one is not for decide to say
GENERAL = {*NO_STANDING, Code.ID_REUSED, Code.VERSION_CONFLICT, Code.PLAN_FULL}  # of any type


@dataclass
class Outcome:
    """What a run met, and what is wrong with it."""

    seed: int
    decisions: int
    counts: Counts = field(default_factory=Counts)
    difference: Difference | None = None
    seconds: float = 0.0

    def least(self, whole: int) -> int:
        """How often something must be met in a run of this length."""
        return whole * min(self.decisions, WHOLE) // WHOLE

    def missing(self) -> Iterator[str]:
        """What was not met as often as it must be."""
        for kind in CATALOGUE:
            if self.counts.accepted[kind] < self.least(LEAST_ACCEPTED):
                yield f"{kind} was accepted {self.counts.accepted[kind]} times"
        for code in CODES:
            if self.counts.codes[code] < self.least(LEAST_EARNED):
                yield f"{code} was earned {self.counts.codes[code]} times"

    def pairs(self) -> tuple[list[str], list[str]]:
        """Refusals of the reference that no event earned; earned ones that it doesn't list."""
        listed = {(kind, str(code)) for kind, row in CATALOGUE.items() for code in row.refusals}
        earned = {pair for pair in self.counts.pairs if pair[1] not in GENERAL}
        return [*map(" ".join, sorted(listed - earned))], [*map(" ".join, sorted(earned - listed))]


def run(seed: int, decisions: int) -> Outcome:
    """Compare so many decisions; the outcome."""
    outcome, began, before = Outcome(seed, decisions), time.perf_counter(), 0
    with bar("Ruling twice", decisions) as tick:
        for found in histories(seed, decisions):
            if isinstance(found, Difference):
                outcome.difference = found
                break
            outcome.counts = found
            tick(found.decisions - before)
            before = found.decisions
    outcome.seconds = time.perf_counter() - began
    return outcome


def as_line(event: Event) -> dict[str, Any]:
    """An event, as a line of a history."""
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
    """Print what was met."""
    counts = outcome.counts
    rate = counts.decisions / outcome.seconds
    click.echo(f"{'accepted':>9}  type")
    for kind in CATALOGUE:
        click.echo(f"{counts.accepted[kind]:>9,}  {kind}")
    click.echo(f"{'earned':>9}  refusal")
    for code in CODES:
        click.echo(f"{counts.codes[code]:>9,}  {code}")
    for check, times in counts.checks.items():
        click.echo(f"{times:>9,}  {check}")
    click.echo(f"{counts.decisions:,} decisions, seed {outcome.seed}, {rate:,.0f} a second")


def detect(seed: int) -> list[dict[str, Any]]:
    """Detect every broken rule; print after how many decisions, and by what."""
    found = []
    click.echo(f"{'detected':>9}  broken rule")
    with bar("Breaking rules", len(EVERY)) as tick:
        for broken in EVERY:
            decisions, difference = broken.detected(seed, MOST_BROKEN)
            shown = difference is not None and broken.is_shown_by(difference)
            by = f"{difference.model} -> {difference.rules}" if difference else "nothing"
            where = difference.events[-1].type if difference else ""
            click.echo(f"{decisions if shown else 'NO':>9}  {broken.says} ({where}: {by})")
            line = {"rule": broken.says, "detected": shown, "decisions": decisions}
            found.append(line | {"type": where, "by": by})
            tick(1)
    return found


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
    undetected = [each["rule"] for each in detected if not each["detected"]]
    for each in (*missing, *(f"{pair}: not in the reference" for pair in unlisted)):
        click.echo(f"MISSING: {each}")
    click.echo(
        f"{outcome.counts.decisions:,} decisions: {int(bool(difference))} differences, "
        f"{len(missing)} counts not reached, {len(unmet)} listed refusals not met, "
        f"{len(undetected)} of {len(detected)} broken rules not detected"
    )
    PLACE.parent.mkdir(exist_ok=True)
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
    PLACE.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    raise SystemExit(bool(difference or missing or unlisted or undetected))


if __name__ == "__main__":
    main()
