"""A replay's report: as text for people, and as JSON for programs."""

from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256

import orjson

from services.ledger.audit.findings import Finding, Report
from services.ledger.audit.folding import AFTER_A_FINDING
from services.ledger.plan.model import dump

COMPARED = ("heads", "people", "plans", "snapshots", "tiles")


def report_json(report: Report) -> Iterator[str]:
    """One JSON object: counts, logs, findings, and every person's plan as its stored bytes."""
    people = [
        {
            "subject": subject,
            "sequence": person.sequence,
            "version": person.plan.version,
            "sha256": sha256(dump(person.plan)).hexdigest(),
            "plan": orjson.Fragment(dump(person.plan)),
        }
        for subject, person in sorted(report.people.items())
        if person.sequence
    ]
    whole = {
        "entries": report.entries,
        "logs": report.logs,
        "verdicts": dict(sorted(report.verdicts.items())),
        "people": people,
        "compared": {name: report.compared[name] for name in COMPARED},
        "skipped": report.skipped[AFTER_A_FINDING],
        "findings": [asdict(each) for each in report.findings],
    }
    yield orjson.dumps(whole).decode()


def report_text(report: Report) -> Iterator[str]:
    """The findings, a line each, then what was replayed, compared, and not compared."""
    yield from (_line(each) for each in report.findings)
    people = sum(1 for person in report.people.values() if person.sequence)
    refused = report.entries - report.verdicts["accepted"]
    yield (
        f"Replayed {_count(report.entries, 'entry', 'entries')} ({refused:,} refused) "
        f"of {_count(people, 'person', 'people')} in {_count(len(report.logs), 'log', 'logs')}: "
        f"{_count(len(report.findings), 'finding', 'findings')}."
    )
    yield "Compared: " + ", ".join(f"{report.compared[each]:,} {each}" for each in COMPARED) + "."
    missing = [each for each in COMPARED if not report.compared[each]]
    if missing:
        yield f"Not compared, since nothing is stored or asked for: {', '.join(missing)}."
    if skipped := report.skipped[AFTER_A_FINDING]:
        yield f"Not replayed: {skipped:,} entries of people whose seal was broken."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _line(each: Finding) -> str:
    place = f"log {each.log}" + (f", entry {each.index}" if each.index is not None else "")
    who = f", {each.person}" if each.person else ""
    version = f", version {each.version}" if each.version is not None else ""
    return f"{each.code}: {place}{who}{version}, {each.field}: {each.detail}"
