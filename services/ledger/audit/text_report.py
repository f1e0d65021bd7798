"""Audit report as text for people, and as JSON for programs. Every line names its depth."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import orjson

from services.ledger.audit.findings import (
    CHECKED,
    DEPTH,
    DEPTHS,
    Finding,
    Report,
    Unchecked,
)
from shared.terminal import printable

WIDTH = max(map(len, DEPTHS))
ONE = {"entries": "entry", "people": "person"}  # irregular singulars; others drop the s


def audit_json(report: Report) -> Iterator[str]:
    """Yield one JSON object with the same figures as the text."""
    members = {
        "entries": report.entries,
        "people": report.subjects,
        "logs": report.logs,
        "verdicts": dict(sorted(report.verdicts.items())),
        "depths": {depth: _depth(report, depth) for depth in DEPTHS},
        "authorship": authorship(report),
        "course": {"step": report.course.step, "counts": report.course.bars()},
        "found": report.totals.total(),
        "findings": [{"depth": depth_of(row), **asdict(row)} for row in report.findings],
    }
    yield orjson.dumps(members).decode()


def _depth(report: Report, depth: str) -> dict[str, Any]:
    return {
        "checked": {name: report.compared[name] for name in CHECKED[depth]},
        "findings": report.total_at(depth),
        "unchecked": [
            {"count": part.count, "says": part.says}
            for part in report.unchecked
            if part.depth == depth
        ],
    }


def authorship(report: Report) -> dict[str, Any]:
    """Return the authorship of lines, as JSON."""
    lines = report.authorship
    vouched = [
        {"issuer": issuer, "via": via, "lines": count}
        for (issuer, via), count in lines.vouched.most_common()
    ]
    return {
        "lines": lines.lines,
        "vouched": vouched,
        "accepted_proposals": lines.proposals,
        "denied": lines.denied,
        "nobodys": lines.nobodys,
    }


def depth_of(row: Finding) -> str:
    """Return the depth of a finding; for `unchecked`, the depth that was not checked."""
    return row.field if row.code == "unchecked" else DEPTH[row.code]


def audit_text(report: Report) -> Iterator[str]:
    """Yield the lines of the report: findings, what was checked at every depth, what was not."""
    yield f"{headline(report)}: {count(report.totals.total(), 'finding', 'findings')}."
    yield from (_line(depth_of(row), finding(row)) for row in report.findings)
    if more := report.totals.total() - len(report.findings):
        yield f"… and {more:,} more findings."
    for depth in DEPTHS:
        yield _line(depth, summary(report, depth))
        if depth == "opened" and report.authorship.lines:
            yield _line(depth, in_words(report))
    yield "Not checked:"
    yield from (_line(part.depth, left_out(part)) for part in unchecked(report))


def headline(report: Report) -> str:
    """Return a sentence that states what was audited."""
    refused = report.entries - report.verdicts["accepted"]
    where = ", ".join(str(log["origin"]) or "a log without a name" for log in report.logs[:3])
    more = f" and {len(report.logs) - 3} more" if len(report.logs) > 3 else ""
    return (
        f"Audited {where or 'nothing'}{more}: "
        f"{count(report.entries, 'entry', 'entries')}, {refused:,} of them refused"
    )


def summary(report: Report, depth: str) -> str:
    """Return what was checked of a depth, and the number of findings."""
    checked = [
        count(report.compared[name], ONE.get(name, name[:-1]), name) for name in CHECKED[depth]
    ]
    findings = count(report.total_at(depth), "finding", "findings")
    return f"checked {', '.join(checked)}: {findings}"


def in_words(report: Report) -> str:
    """Return the authorship of lines in a sentence."""
    totals = report.authorship
    vouched = [
        f"{lines:,} vouched for by {issuer} through {via}"
        for (issuer, via), lines in totals.vouched.most_common(5)
    ]
    if rest := totals.vouched.total() - sum(n for _, n in totals.vouched.most_common(5)):
        vouched.append(f"{rest:,} by others")
    parts = [
        *(vouched or ["0 vouched for"]),
        count(totals.proposals, "accepted proposal", "accepted proposals"),
        f"{totals.denied:,} denied",
        f"{totals.nobodys:,} nobody's",
    ]
    return f"{count(totals.lines, 'line', 'lines')}: {', '.join(parts)}"


def finding(row: Finding) -> str:
    """Return a finding as text: code, position, problem. Control characters are removed."""
    position = [
        *([f"log {row.log}"] if row.log is not None else []),
        *([f"entry {row.index}"] if row.index is not None else []),
        *([row.person] if row.person else []),
        *([f"version {row.version}"] if row.version is not None else []),
        row.field,
    ]
    return shortened(f"{row.code}: {', '.join(position)}: {row.detail}")


def shortened(text: str) -> str:
    """Return a text without control characters, truncated."""
    return printable(text[:600])


def unchecked(report: Report) -> Iterator[Unchecked]:
    """Yield what was not checked, by depth."""
    for depth in DEPTHS:
        yield from (part for part in report.unchecked if part.depth == depth)


def left_out(part: Unchecked) -> str:
    """Return one part that was not checked, as text."""
    return f"{part.count:,} {part.says}" if part.count is not None else part.says


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def _line(depth: str, says: str) -> str:
    return f"{depth:<{WIDTH}}  {says}"
