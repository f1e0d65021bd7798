"""Stream checks: the second pass decrypts, decides and folds entries person by person."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from services.ledger.audit.entry_checks import OF_THE_PLAN, SealedPart, StreamChecks, seal_of
from services.ledger.audit.findings import Finding, Report
from services.ledger.fold import PersonState
from services.ledger.log import entry
from services.ledger.plan.decide import RULES, Accepted, decide
from services.ledger.plan.evolve import evolve
from services.ledger.plan.model import Plan
from services.ledger.vault import KeyUnwrapError
from shared.errors import DecryptionError
from shared.events.event import Event, Json
from shared.events.refusals import Code
from shared.events.type_names import KINDS

AFTER_A_FINDING = "follow one of the same person that could not be decrypted or decided"
SEALED = "stay encrypted: opened.jsonl lacks them, or one before them"
NO_WORDS = "are refusals without words; only the ledger's vault can decrypt them"
OUR_FAULT = "were refused for an internal error, which cannot be decided again"
SPOKE = "in which another party spoke for the person: whether it was named as representative"
NO_SEAL = SealedPart("", b"", b"", b"")


class CannotOpen(Exception):
    """An entry that the auditor cannot decrypt. The text is one of the above."""


class EventOpener(Protocol):
    """An opener of events, which also checks the data derived from them."""

    code: str  # of findings about decrypted events
    compared: Counter[str]

    def begin(self, log: int, people: Iterable[str], /) -> None:
        """Prepare for these people."""

    def open(self, members: Json, seal: SealedPart, line: bytes, /) -> tuple[bytes, str | None]:
        """Return the event's canonical bytes, or the part without words, and the digest if known.

        Raises CannotOpen, DecryptionError or KeyUnwrapError.
        """

    def column_differences(self, line: bytes, /) -> Iterable[tuple[str, str]]:
        """Return (field, detail) of columns that differ from the entry."""

    def check_stored_plans(
        self, person: PersonState, recorded: str, /
    ) -> Iterable[tuple[str, str, str]]:
        """Return (code, field, detail) of wrong plans stored at the person's sequence."""

    def check_person_row(self, person: PersonState, /) -> Iterable[tuple[str, str, str]]:
        """Return (code, field, detail) of wrong rows at the end of the person's stream."""


@dataclass(slots=True)
class StreamAudit:
    """A person in the second pass. `broken` is why their later entries are skipped."""

    person: PersonState
    checks: StreamChecks = field(default_factory=StreamChecks)
    broken: str = ""
    drift: int = 0  # difference between the entries' plan versions and the folded plan's
    wrote: dict[str, tuple[str, str, int, bool]] = field(default_factory=dict)
    disagreed: list[tuple[str, str]] = field(default_factory=list)


class PersonChecks:
    """Checks of people's entries, one after another.

    `first` maps ids that occur more than once in the log to their first index.
    """

    def __init__(self, report: Report, opening: EventOpener, *, keep: bool = False) -> None:
        self._report = report
        self._opening = opening
        self._keep = keep

    def begin(self, log: int, people: Iterable[str], first: Mapping[int, int]) -> None:
        """Start with these people, without state."""
        self._log, self._first = log, first
        self._people: dict[str, StreamAudit] = {}
        self._digests: set[tuple[int, str]] = set()
        self._done: defaultdict[str, int] = defaultdict(int)
        self._opening.begin(log, people)

    def check(self, index: int, leaf: bytes, line: bytes) -> None:
        """Check the next entry of one of the people; its format is valid."""
        members = orjson.loads(leaf)
        stream = self._people.get(members["subject"])
        if stream is None:
            stream = self._people[members["subject"]] = StreamAudit(
                PersonState(Plan(members["subject"]))
            )
        seal = self._check_clear_members(stream, index, members, line)
        reused = bool(self._first) and self._reused(stream, index, members)
        try:
            if stream.broken:
                self._undecided(stream, index, members, seal, line)
            else:
                self._entry(stream, index, members, seal, line, reused)
        except CannotOpen as sealed:
            self._skip(members, str(sealed))
            if "sequence" in members:
                stream.broken = SEALED
        except (DecryptionError, KeyUnwrapError) as fault:
            stream.broken = AFTER_A_FINDING
            self._find(self._opening.code, stream, index, self._opening.code, str(fault))
        except Exception as fault:  # noqa: BLE001 - tampering must not stop the audit of others
            stream.broken = AFTER_A_FINDING
            why = f"{type(fault).__name__} while deciding it; later ones are skipped"
            self._find("verdict", stream, index, "verdict", f"{members['verdict']}; {why}")

    def _undecided(
        self, stream: StreamAudit, index: int, members: Json, seal: SealedPart, line: bytes
    ) -> None:
        """Skip an entry after one that could not be decrypted; check its opened event, if any."""
        no_words = stream.broken == SEALED and "sequence" not in members
        self._skip(members, NO_WORDS if no_words else stream.broken)
        if line and self._opening.code == "opened":
            self._event(stream, index, members, seal, line)

    def _skip(self, members: Json, why: str) -> None:
        self._report.skipped[why] += 1
        self._report.skipped[SPOKE] += "onbehalfof" in members

    def _check_clear_members(
        self, stream: StreamAudit, index: int, members: Json, line: bytes
    ) -> SealedPart:
        """Check the columns and clear members of an entry; return its encrypted part."""
        for name, detail in self._opening.column_differences(line) if line else ():
            self._find("column", stream, index, name, detail)
        try:
            seal = seal_of(members, stream.checks.kid)
        except ValueError as fault:
            self._find("entry", stream, index, "sealed", str(fault))
            seal, stream.broken = NO_SEAL, stream.broken or AFTER_A_FINDING
        if members["rules"] > RULES:
            detail = f"{members['rules']}; this version knows rules up to {RULES}"
            self._find("entry", stream, index, "rules", detail)
        for code, name, detail in stream.checks.check(members, seal.kid):
            self._find(code, stream, index, name, detail)
        return seal

    def _reused(self, stream: StreamAudit, index: int, members: Json) -> bool:
        name = hash((members["author"], members["id"]))
        first = self._first.get(name)
        if first is None:
            return False
        if (name, members["digest"]) in self._digests:
            self._find("twice", stream, index, "id", f"event {members['id']} was recorded before")
        self._digests.add((name, members["digest"]))
        return index > first

    def _entry(
        self,
        stream: StreamAudit,
        index: int,
        members: Json,
        seal: SealedPart,
        line: bytes,
        reused: bool,
    ) -> None:
        """Decrypt, decide and fold one entry, and check the plans stored at its sequence."""
        event = self._event(stream, index, members, seal, line)
        if event is None:
            return
        self._verdict(stream, index, members, event, reused)
        person = stream.person
        if members["verdict"] == entry.ACCEPTED:
            evolve(person.plan, event)
            self._remember(stream, index, members, event)
        if "sequence" not in members:
            return
        person.sequence += 1
        if (drift := members["planversion"] - person.plan.version) != stream.drift:
            stream.drift = drift  # reported once per difference
            detail = f"{members['planversion']}; the folded plan's is {person.plan.version}"
            self._find("fold", stream, index, "planversion", detail)
        for code, name, detail in self._opening.check_stored_plans(person, members["recorded"]):
            self._find(code, stream, None, name, detail)

    def _event(
        self, stream: StreamAudit, index: int, members: Json, seal: SealedPart, line: bytes
    ) -> Event | None:
        """Decrypt an entry; compare digest, id, subject and kind; return None if it is unusable."""
        posted, digest = self._opening.open(members, seal, line)
        if digest is not None:
            self._done["digests"] += 1
            if digest != members["digest"]:
                self._find("digest", stream, index, "digest", "not the digest of the event")
                if self._opening.code == "opened":
                    stream.broken = AFTER_A_FINDING
                    return None
        event = Event.from_canonical(
            posted,
            author=members["author"],
            via=members["via"],
            issuer=members["issuer"],
            received=members["received"],
        )
        if (event.id, event.subject) != (members["id"], members["subject"]) or (
            KINDS.get(event.type) != members["kind"]
        ):
            detail = "the event has another id, subject or kind than the entry"
            self._find(self._opening.code, stream, index, self._opening.code, detail)
        return event

    def _remember(self, stream: StreamAudit, index: int, members: Json, event: Event) -> None:
        """Record what the end of the stream needs: authors of lines, and disagreements."""
        if members["kind"] in OF_THE_PLAN:
            theirs = members["author"] == members["subject"] or "onbehalfof" in members
            stream.wrote[event.id] = members["issuer"], members["via"], index, theirs
        elif event.type == "disagreement.stated":
            stream.disagreed.append((event.data["entry"], event.id))

    def _verdict(
        self, stream: StreamAudit, index: int, members: Json, event: Event, reused: bool
    ) -> None:
        """Decide the event again, with the same rules."""
        if members["rules"] != RULES:
            detail = f"rules {members['rules']} are not in this version"
            self._find("verdict", stream, index, "rules", detail)
            return
        code = members.get("refusal")
        if code is not None and code == Code.OUR_FAULT:
            self._report.skipped[OUR_FAULT] += 1
            return
        self._done["verdicts"] += 1
        verdict = decide(stream.person.plan, event, reused=reused)
        if isinstance(verdict, Accepted):
            refusal, warnings = None, list(verdict.warnings) or None
        else:
            refusal, warnings = verdict.code, None
        represented = members["subject"] if verdict.represented else None
        if (
            refusal != code
            or members.get("onbehalfof") != represented
            or members.get("warnings") != warnings
        ):
            for name, value in (
                ("refusal", refusal and refusal.value),
                ("onbehalfof", represented),
                ("warnings", warnings),
            ):
                if members.get(name) != value:
                    detail = f"{members.get(name)}; the rules yield {value}"
                    self._find("verdict", stream, index, name, detail)

    def end(self) -> None:
        """Check what requires the whole streams of these people."""
        report = self._report
        for stream in self._people.values():
            report.subjects += stream.person.sequence > 0
            if self._keep:
                report.people[stream.person.plan.subject] = stream.person
            if stream.broken:
                continue
            self._lines(stream)
            self._disagreements(stream)
            for code, name, detail in self._opening.check_person_row(stream.person):
                self._find(code, stream, None, name, detail)
        report.compared.update(self._done)

    def _lines(self, stream: StreamAudit) -> None:
        """Count and check the authorship of lines: own, vouched for, or an accepted proposal."""
        totals, plan = self._report.authorship, stream.person.plan
        totals.lines += len(plan.lines)
        self._done["lines"] += len(plan.lines)
        for key, line in plan.lines.items():
            name = line["origin"]["entry"]
            for origin in {name, line["ended"]["entry"]} if "ended" in line else (name,):
                self._check_author(stream, key, origin)
            wrote = stream.wrote.get(name)
            if wrote is None or not wrote[3]:
                totals.nobodys += 1
            elif name in plan.denied:
                totals.denied += 1
            elif "proposal" in line["origin"]:
                totals.proposals += 1
            else:
                totals.vouched[wrote[:2]] += 1

    def _check_author(self, stream: StreamAudit, key: str, name: str) -> None:
        wrote = stream.wrote.get(name)
        if wrote is None or not wrote[3]:
            detail = f"written by entry {name}, whose author is not the person"
            self._find("fold", stream, wrote[2] if wrote else None, f"lines.{key}", detail)

    def _disagreements(self, stream: StreamAudit) -> None:
        self._done["disagreements"] += len(stream.disagreed)
        for target, name in missing_disagreements(stream.person.plan, stream.disagreed):
            detail = f"{name} is missing from it"
            self._find("fold", stream, None, f"disagreements.{target}", detail)

    def _find(
        self, code: str, stream: StreamAudit, index: int | None, name: str, detail: str
    ) -> None:
        person = stream.person
        version = person.plan.version if person.sequence else stream.checks.version
        subject = person.plan.subject
        self._report.add(Finding(code, self._log, index, subject, version, name, detail))


def missing_disagreements(
    plan: Plan, disagreed: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return those (entry, disagreement with it) that the plan does not link."""
    return [
        (target, name)
        for target, name in disagreed
        if all(row["entry"] != name for row in plan.disagreements.get(target, ()))
    ]
