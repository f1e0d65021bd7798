"""What an audit, and a replay, can find. Each finding has a code, and each code its depth.

A depth says how much must be opened for a finding to be seen:

- **log**: nothing. Entries against tiles, root, signature and every checkpoint; the clear fields.
- **opened**: the events, from `opened.jsonl` of an export or with the vault's keys. Each verdict is
  decided again, refusals too, and each plan folded again from its first entry.
- **vault**: the keys, and what the store keeps beside the entries.

The codes are stable:

    log     file         a file of an export is missing, cut off, or no part of one
            manifest     manifest.json does not say what is there
            vkey         the keys are none, or not those that were given
            checkpoint   not signed by the log's key, or not of these entries
            tile         a tile holds other hashes than the entries have
            entry        the bytes are no entry of this format, or ruled by rules newer than ours
            order        a place in the log is missing, taken twice, or another log's
            clock        received or recorded more than five minutes after the auditor's now
            place        sequence or planversion is not the next in the person's stream
            authorship   accepted or weighed, though not theirs to say: seen from kind and author
            twice        an event is recorded twice, or an id accepted twice
    opened  opened       what stands in opened.jsonl is not the event of its entry
            digest       the digest is not the event's
            verdict      the rules say otherwise
            fold         planversion is not the folded plan's; a line that its person neither wrote
                         nor accepted; a disagreement that is not pinned to what it is about
    vault   sealed       the seal does not open, or opens to another event
            column       a column beside an entry differs from its bytes
            plan         a stored plan or snapshot differs from the folded one
            person       a row of people differs from the folded stream, or is missing
            head         the log's head differs from its entries, or is missing
            ledger       a table, what a column holds, the row of the ledger, or what guards the
                         entries is not as it was made
    any     unchecked    something of the depth that --require named was not checked

A finding names log, index, person, version (the plan's) and field, where there are such. Where an
entry cannot be opened or decided, that person's later entries are not decided either; they are
counted among what was not checked.
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
KEPT = 1_000  # findings kept in a report; all are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the entries say. `version` is the plan's, where there is one."""

    code: str
    log: int | None
    index: int | None
    person: str | None
    version: int | None
    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Something that was not checked. `count` is how many, None where that says nothing;
    `weighs` if --require makes a finding of it.
    """

    depth: str
    count: int | None
    says: str
    weighs: bool = False


@dataclass(slots=True)
class Lines:
    """Whose the lines of all folded plans are, and who vouched for it: (issuer, via) -> lines."""

    lines: int = 0
    vouched: Counter[tuple[str, str]] = field(default_factory=Counter)
    proposals: int = 0
    denied: int = 0
    nobodys: int = 0


@dataclass(slots=True)
class Report:
    """What was checked, found, and not checked. `people` are kept for a replay alone."""

    entries: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    subjects: int = 0
    people: dict[str, PersonState] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)  # (depth, code)
    unchecked: list[Unchecked] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # why an entry was not decided
    authorship: Lines = field(default_factory=Lines)
    course: TimeHistogram = field(default_factory=TimeHistogram)

    def add(self, finding: Finding, depth: str | None = None) -> None:
        """Write down a finding. `depth` is for `unchecked` alone, which has none of its own."""
        self.found[depth or DEPTH[finding.code], finding.code] += 1
        if len(self.findings) < KEPT:
            person = finding.person and printable(finding.person)
            name, detail = printable(finding.field), printable(finding.detail)
            self.findings.append(replace(finding, person=person, field=name, detail=detail))

    def found_at(self, depth: str) -> int:
        """How many findings a depth has."""
        return sum(count for (at, _), count in self.found.items() if at == depth)

    def leave_out(self, depth: str, count: int | None, says: str, *, weighs: bool = False) -> None:
        """Write down what was not checked, unless that is nothing."""
        if count is None or count:
            self.unchecked.append(Unchecked(depth, count, says, weighs and bool(count)))

    def require(self, depth: str) -> None:
        """Make findings of what was not checked of this depth, and of those above it."""
        for each in self.unchecked:
            if each.weighs and DEPTHS.index(each.depth) <= DEPTHS.index(depth):
                detail = f"{each.count:,} {each.says}"
                self.add(Finding("unchecked", None, None, None, None, each.depth, detail), depth)
