"""An audit's report: as text for people, and as JSON for programs. Each line names its depth."""

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
ONE = {"entries": "entry", "people": "person"}  # of others the letter s is left out


def audit_json(report: Report) -> Iterator[str]:
    """One JSON object; the same figures as the text."""
    told = {
        "entries": report.entries,
        "people": report.subjects,
        "logs": report.logs,
        "verdicts": dict(sorted(report.verdicts.items())),
        "depths": {depth: _depth(report, depth) for depth in DEPTHS},
        "authorship": authorship(report),
        "course": {"step": report.course.step, "counts": report.course.bars()},
        "found": report.found.total(),
        "findings": [{"depth": depth_of(each), **asdict(each)} for each in report.findings],
    }
    yield orjson.dumps(told).decode()


def _depth(report: Report, depth: str) -> dict[str, Any]:
    return {
        "checked": {name: report.compared[name] for name in CHECKED[depth]},
        "findings": report.found_at(depth),
        "unchecked": [
            {"count": each.count, "says": each.says}
            for each in report.unchecked
            if each.depth == depth
        ],
    }


def authorship(report: Report) -> dict[str, Any]:
    """Whose the lines are, as JSON."""
    told = report.authorship
    vouched = [
        {"issuer": issuer, "via": via, "lines": count}
        for (issuer, via), count in told.vouched.most_common()
    ]
    return {
        "lines": told.lines,
        "vouched": vouched,
        "accepted_proposals": told.proposals,
        "denied": told.denied,
        "nobodys": told.nobodys,
    }


def depth_of(each: Finding) -> str:
    """The depth of a finding; of an `unchecked` one, that of what was not."""
    return each.field if each.code == "unchecked" else DEPTH[each.code]


def audit_text(report: Report) -> Iterator[str]:
    """What was audited, the findings, what was checked at each depth, and what was not."""
    yield f"{headline(report)}: {count(report.found.total(), 'finding', 'findings')}."
    yield from (_line(depth_of(each), finding(each)) for each in report.findings)
    if more := report.found.total() - len(report.findings):
        yield f"… and {more:,} findings more."
    for depth in DEPTHS:
        yield _line(depth, summary(report, depth))
        if depth == "opened" and report.authorship.lines:
            yield _line(depth, in_words(report))
    yield "Not checked:"
    yield from (_line(each.depth, left_out(each)) for each in unchecked(report))


def headline(report: Report) -> str:
    """What was audited, in one sentence."""
    refused = report.entries - report.verdicts["accepted"]
    where = ", ".join(str(each["origin"]) or "a log without a name" for each in report.logs[:3])
    more = f" and {len(report.logs) - 3} more" if len(report.logs) > 3 else ""
    return (
        f"Audited {where or 'nothing'}{more}: "
        f"{count(report.entries, 'entry', 'entries')}, {refused:,} of them refused"
    )


def summary(report: Report, depth: str) -> str:
    """What was checked of a depth, and how much was found."""
    checked = [
        count(report.compared[name], ONE.get(name, name[:-1]), name) for name in CHECKED[depth]
    ]
    found = count(report.found_at(depth), "finding", "findings")
    return f"checked {', '.join(checked)}: {found}"


def in_words(report: Report) -> str:
    """Whose the lines are, in a sentence."""
    told = report.authorship
    vouched = [
        f"{lines:,} vouched for by {issuer} through {via}"
        for (issuer, via), lines in told.vouched.most_common(5)
    ]
    if rest := told.vouched.total() - sum(n for _, n in told.vouched.most_common(5)):
        vouched.append(f"{rest:,} by others")
    parts = [
        *(vouched or ["0 vouched for"]),
        count(told.proposals, "accepted proposal", "accepted proposals"),
        f"{told.denied:,} denied",
        f"{told.nobodys:,} nobody's",
    ]
    return f"{count(told.lines, 'line', 'lines')}: {', '.join(parts)}"


def finding(each: Finding) -> str:
    """A finding: code, place, what is wrong. What a file holds cannot move the cursor."""
    place = [
        *([f"log {each.log}"] if each.log is not None else []),
        *([f"entry {each.index}"] if each.index is not None else []),
        *([each.person] if each.person else []),
        *([f"version {each.version}"] if each.version is not None else []),
        each.field,
    ]
    return shortened(f"{each.code}: {', '.join(place)}: {each.detail}")


def shortened(text: str) -> str:
    """A text without control characters, and not too long."""
    return printable(text[:600])


def unchecked(report: Report) -> Iterator[Unchecked]:
    """What was not checked, by depth."""
    for depth in DEPTHS:
        yield from (each for each in report.unchecked if each.depth == depth)


def left_out(each: Unchecked) -> str:
    """One thing that was not checked."""
    return f"{each.count:,} {each.says}" if each.count is not None else each.says


def count(number: int, one: str, many: str) -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else many}"


def _line(depth: str, says: str) -> str:
    return f"{depth:<{WIDTH}}  {says}"
