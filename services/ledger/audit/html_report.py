"""Audit report as one self-contained HTML page: nothing is fetched, everything is escaped."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.ledger.audit.findings import CHECKED, DEPTHS, Report
from services.ledger.audit.text_report import (
    authorship,
    depth_of,
    headline,
    in_words,
    left_out,
    shortened,
    unchecked,
)

SAYS = {
    "log": "Nothing decrypted: entries, tree, signatures, checkpoints, and clear members",
    "opened": "Events decrypted: every verdict decided again, every plan folded again",
    "vault": "Keys and store: encryption, columns, stored plans, and heads",
}
MOST_BARS = 48
_FOLDER = Path(__file__).parent / "templates"
_FULL = "0001-01-01T00:00"


@dataclass(frozen=True, slots=True)
class Bar:
    """What was recorded in one interval; positions and heights as fractions of the plot."""

    since: str
    entries: int
    refused: int
    left: float
    width: float
    height: float
    refused_height: float


def page(report: Report, *, what: str, now: datetime, version: str) -> str:
    """Return the page as HTML; `what` was audited, at `now`, by this `version`."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = shortened
    environment.filters["base64"] = root_as_written
    plot = bars(report)
    return environment.get_template("audit.html").render(
        style=(_FOLDER / "audit.css").read_text(),
        report=report,
        what=what,
        now=now.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC"),
        version=version,
        headline=headline(report),
        depths=[
            (depth, SAYS[depth], CHECKED[depth], was_checked(report, depth)) for depth in DEPTHS
        ],
        found=report.totals.total(),
        findings=[(depth_of(row), row) for row in report.findings],
        authorship=authorship(report),
        in_words=in_words(report),
        unchecked=[(part.depth, left_out(part)) for part in unchecked(report)],
        bars=plot,
        most=max((bar.entries for bar in plot), default=0),
        refused=report.entries - report.verdicts["accepted"],
    )


def was_checked(report: Report, depth: str) -> bool:
    """Return whether anything was checked at a depth; a count of 0 findings says nothing else."""
    return any(report.compared[name] for name in CHECKED[depth])


def root_as_written(root: str) -> str:
    """Return a root hash in base64, as checkpoints and exports hold it.

    >>> root_as_written("00" * 32)
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return b64encode(bytes.fromhex(root)).decode()


def bars(report: Report) -> list[Bar]:
    """Return entries and refusals over time, in at most `MOST_BARS` equal intervals."""
    counts = report.course.bars()
    if not counts:
        return []
    step = {"minute": 60, "hour": 3_600}.get(report.course.step, 86_400)
    begin, end = (_moment(counts[position][0]) for position in (0, -1))
    span = int((end - begin).total_seconds()) // step + 1
    number = min(MOST_BARS, span)
    length = span * step / number
    entries, refused = [0] * number, [0] * number
    for moment, count, no in counts:
        position = int((_moment(moment) - begin).total_seconds() / length)
        entries[position] += count
        refused[position] += no
    most = max(entries)
    return [
        Bar(
            since=f"{begin + timedelta(seconds=position * length):%Y-%m-%d %H:%M}",
            entries=count,
            refused=no,
            left=position / number,
            width=1 / number,
            height=count / most,
            refused_height=no / most,
        )
        for position, (count, no) in enumerate(zip(entries, refused, strict=True))
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text + _FULL[len(text) :])
