"""Findings of an audit or a replay. Every finding has a code, and every code has a depth.

A depth states how much must be decrypted to detect a finding:

- **log**: nothing. Entries against tiles, root, signature and all checkpoints; the clear members.
- **opened**: the events, from `opened.jsonl` of an export or with the vault's keys. All verdicts,
  refusals included, are decided again, and all plans folded again from their first entry.
- **vault**: the keys, and the data that the store derives from entries.

The codes are stable:

    log     file         a file of an export is missing, truncated, or not part of an export
            manifest     manifest.json does not match the files
            vkey         the keys are missing, invalid, or not the expected ones
            checkpoint   not signed by the log's key, or not of these entries
            tile         a tile has other hashes than the entries
            entry        the bytes are not an entry of this format, or its rules are newer than ours
            order        an index of the log is missing, duplicate, or another log's
            clock        received or recorded more than five minutes after the auditor's clock
            place        sequence or planversion is not the next in the person's stream
            authorship   accepted or decided although kind and author have no right to it
            twice        an event is recorded twice, or an id accepted twice
    opened  opened       a line of opened.jsonl is not the event of its entry
            digest       the digest is not the event's
            verdict      the rules yield another verdict
            fold         planversion differs from the folded plan's; a line that its person neither
                         wrote nor accepted; a disagreement that is missing from its entry
    vault   sealed       the event cannot be decrypted, or is another one
            column       a column of an entry differs from its bytes
            plan         a stored plan or snapshot differs from the folded one
            person       a row of people differs from the folded stream, or is missing
            head         the log's head differs from its entries, or is missing
            ledger       a table, the type of a column's values, the row of the ledger, or the
                         append-only guards are missing or modified
    any     unchecked    part of the depth that --require names was not checked

A finding names log, index, person, version (the plan's) and field, as far as known. If an entry
cannot be decrypted or decided, that person's later entries are skipped too; the report counts them
as not checked.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from services.ledger.audit.time_histogram import TimeHistogram
from services.ledger.fold import PersonState
from shared.terminal import printable

DEPTHS = ("log", "opened", "vault")
_CODES = {
    "log": "file manifest vkey checkpoint tile entry order clock place authorship twice",
    "opened": "opened digest verdict fold",
    "vault": "sealed column plan person head ledger",
}
DEPTH = {code: depth for depth, codes in _CODES.items() for code in codes.split()}
CHECKED = {
    "log": ("entries", "tiles", "checkpoints"),
    "opened": ("digests", "verdicts", "lines", "disagreements"),
    "vault": ("seals", "columns", "plans", "snapshots", "people", "heads"),
}
KEPT = 1_000  # findings listed in a report; all are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference from what the entries state. `version` is the plan's, if known."""

    code: str
    log: int | None
    index: int | None
    person: str | None
    version: int | None
    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A part that was not checked: `count` items, or None if a number has no meaning.

    `weighs` is True if --require turns it into a finding.
    """

    depth: str
    count: int | None
    says: str
    weighs: bool = False


@dataclass(slots=True)
class Lines:
    """Authorship of the lines of all folded plans; `vouched` counts by (issuer, via)."""

    lines: int = 0
    vouched: Counter[tuple[str, str]] = field(default_factory=Counter)
    proposals: int = 0
    denied: int = 0
    nobodys: int = 0


@dataclass(slots=True)
class Report:
    """The result of an audit: what was checked, findings, and what was not checked.

    `people` is filled for a replay only.
    """

    entries: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    subjects: int = 0
    people: dict[str, PersonState] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)  # (depth, code)
    unchecked: list[Unchecked] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    authorship: Lines = field(default_factory=Lines)
    course: TimeHistogram = field(default_factory=TimeHistogram)

    def add(self, finding: Finding, depth: str | None = None) -> None:
        """Add a finding. Pass `depth` only for the code `unchecked`."""
        self.totals[depth or DEPTH[finding.code], finding.code] += 1
        if len(self.findings) < KEPT:
            person = finding.person and printable(finding.person)
            name, detail = printable(finding.field), printable(finding.detail)
            self.findings.append(replace(finding, person=person, field=name, detail=detail))

    def total_at(self, depth: str) -> int:
        """Return the number of findings of a depth."""
        return sum(count for (at, _), count in self.totals.items() if at == depth)

    def leave_out(self, depth: str, count: int | None, says: str, *, weighs: bool = False) -> None:
        """Add something that was not checked, unless its count is 0."""
        if count is None or count:
            self.unchecked.append(Unchecked(depth, count, says, weighs and bool(count)))

    def require(self, depth: str) -> None:
        """Add findings for parts that were not checked, of this depth and the ones before it."""
        for part in self.unchecked:
            if part.weighs and DEPTHS.index(part.depth) <= DEPTHS.index(depth):
                detail = f"{part.count:,} {part.says}"
                self.add(Finding("unchecked", None, None, None, None, part.depth, detail), depth)
