"""The second pass: person by person, each entry opened, decided again and folded again."""

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

AFTER_A_FINDING = "come after one of the same person that could not be opened or decided"
SEALED = "stay sealed: opened.jsonl does not hold them, or not all before them"
NO_WORDS = "are refusals that keep no words; only the ledger's own vault opens them"
OUR_FAULT = "were refused for a fault of the ledger's own, which cannot be decided again"
SPOKE = "in which somebody spoke for the person: whether they were named as representative"
NO_SEAL = SealedPart("", b"", b"", b"")


class CannotOpen(Exception):
    """An entry that whoever audits cannot open. The text is one of the above."""


class EventOpener(Protocol):
    """How events are opened, and what is kept beside them."""

    code: str  # of a finding about what was opened
    compared: Counter[str]

    def begin(self, log: int, people: Iterable[str], /) -> None:
        """Get ready for these people."""

    def open(self, told: Json, seal: SealedPart, line: bytes, /) -> tuple[bytes, str | None]:
        """The event's canonical bytes, or what is left of them, and their digest, if it can be
        known; raises StaysSealed, SealBroken, VaultClosed.
        """

    def beside(self, line: bytes, /) -> Iterable[tuple[str, str]]:
        """(field, detail) of columns beside the entry that differ from it."""

    def at(self, person: PersonState, recorded: str, /) -> Iterable[tuple[str, str, str]]:
        """(code, field, detail) of plans stored of a person who has come so far."""

    def end(self, person: PersonState, /) -> Iterable[tuple[str, str, str]]:
        """The same, of what is stored of a person at the end of their stream."""


@dataclass(slots=True)
class StreamAudit:
    """A person in the pass. `broken` says why nothing more of them is decided."""

    person: PersonState
    stream: StreamChecks = field(default_factory=StreamChecks)
    broken: str = ""
    drift: int = 0  # between the versions that entries name and the folded plan's
    wrote: dict[str, tuple[str, str, int, bool]] = field(default_factory=dict)
    disagreed: list[tuple[str, str]] = field(default_factory=list)


class PersonChecks:
    """Folds people's entries. `first` says where a name that stands twice in the log came first."""

    def __init__(self, report: Report, opening: EventOpener, *, keep: bool = False) -> None:
        self._report = report
        self._opening = opening
        self._keep = keep

    def begin(self, log: int, people: Iterable[str], first: Mapping[int, int]) -> None:
        """Start with these people, and with nothing known of them."""
        self._log, self._first = log, first
        self._people: dict[str, StreamAudit] = {}
        self._digests: set[tuple[int, str]] = set()
        self._done: defaultdict[str, int] = defaultdict(int)
        self._opening.begin(log, people)

    def take(self, index: int, leaf: bytes, line: bytes) -> None:
        """The next entry of one of them; its form was found good."""
        told = orjson.loads(leaf)
        one = self._people.get(told["subject"])
        if one is None:
            one = self._people[told["subject"]] = StreamAudit(PersonState(Plan(told["subject"])))
        seal = self._in_clear(one, index, told, line)
        reused = bool(self._first) and self._reused(one, index, told)
        try:
            if one.broken:
                self._undecided(one, index, told, seal, line)
            else:
                self._entry(one, index, told, seal, line, reused)
        except CannotOpen as sealed:
            self._skip(told, str(sealed))
            if "sequence" in told:
                one.broken = SEALED
        except (DecryptionError, KeyUnwrapError) as fault:
            one.broken = AFTER_A_FINDING
            self._find(self._opening.code, one, index, self._opening.code, str(fault))
        except Exception as fault:  # noqa: BLE001 - no tampering may end the audit of the others
            one.broken = AFTER_A_FINDING
            why = f"{type(fault).__name__}: no such event can have had it; later ones are skipped"
            self._find("verdict", one, index, "verdict", f"{told['verdict']}; {why}")

    def _undecided(
        self, one: StreamAudit, index: int, told: Json, seal: SealedPart, line: bytes
    ) -> None:
        """An entry after one that could not be opened: what an export opens of it must be it."""
        wordless = one.broken == SEALED and "sequence" not in told
        self._skip(told, NO_WORDS if wordless else one.broken)
        if line and self._opening.code == "opened":
            self._event(one, index, told, seal, line)

    def _skip(self, told: Json, why: str) -> None:
        self._report.skipped[why] += 1
        self._report.skipped[SPOKE] += "onbehalfof" in told

    def _in_clear(self, one: StreamAudit, index: int, told: Json, line: bytes) -> SealedPart:
        """Check the columns beside an entry, and its clear fields; what seals it."""
        for name, detail in self._opening.beside(line) if line else ():
            self._find("column", one, index, name, detail)
        try:
            seal = seal_of(told, one.stream.kid)
        except ValueError as fault:
            self._find("entry", one, index, "sealed", str(fault))
            seal, one.broken = NO_SEAL, one.broken or AFTER_A_FINDING
        if told["rules"] > RULES:
            detail = f"{told['rules']}; this version knows none after {RULES}"
            self._find("entry", one, index, "rules", detail)
        for code, name, detail in one.stream.take(told, seal.kid):
            self._find(code, one, index, name, detail)
        return seal

    def _reused(self, one: StreamAudit, index: int, told: Json) -> bool:
        name = hash((told["author"], told["id"]))
        first = self._first.get(name)
        if first is None:
            return False
        if (name, told["digest"]) in self._digests:
            self._find("twice", one, index, "id", f"event {told['id']} was recorded before")
        self._digests.add((name, told["digest"]))
        return index > first

    def _entry(
        self, one: StreamAudit, index: int, told: Json, seal: SealedPart, line: bytes, reused: bool
    ) -> None:
        """Open, decide and fold one entry, and compare what is stored of the person there."""
        event = self._event(one, index, told, seal, line)
        if event is None:
            return
        self._verdict(one, index, told, event, reused)
        person = one.person
        if told["verdict"] == entry.ACCEPTED:
            evolve(person.plan, event)
            self._note(one, index, told, event)
        if "sequence" not in told:
            return
        person.sequence += 1
        if (drift := told["planversion"] - person.plan.version) != one.drift:
            one.drift = drift  # said once, and again when it differs by something else
            detail = f"{told['planversion']}; the folded plan's is {person.plan.version}"
            self._find("fold", one, index, "planversion", detail)
        for code, name, detail in self._opening.at(person, told["recorded"]):
            self._find(code, one, None, name, detail)

    def _event(
        self, one: StreamAudit, index: int, told: Json, seal: SealedPart, line: bytes
    ) -> Event | None:
        """Open an entry, and compare digest, id, subject and kind; None if it may be any event."""
        posted, digest = self._opening.open(told, seal, line)
        if digest is not None:
            self._done["digests"] += 1
            if digest != told["digest"]:
                self._find("digest", one, index, "digest", "not the digest of the event")
                if self._opening.code == "opened":
                    one.broken = AFTER_A_FINDING
                    return None
        event = Event.from_canonical(
            posted,
            author=told["author"],
            via=told["via"],
            issuer=told["issuer"],
            received=told["received"],
        )
        if (event.id, event.subject) != (told["id"], told["subject"]) or (
            KINDS.get(event.type) != told["kind"]
        ):
            detail = "it is not the event whose id, subject and kind stand in clear"
            self._find(self._opening.code, one, index, self._opening.code, detail)
        return event

    def _note(self, one: StreamAudit, index: int, told: Json, event: Event) -> None:
        """Keep what is asked at the end: who wrote lines, and what was disagreed with."""
        if told["kind"] in OF_THE_PLAN:
            theirs = told["author"] == told["subject"] or "onbehalfof" in told
            one.wrote[event.id] = told["issuer"], told["via"], index, theirs
        elif event.type == "disagreement.stated":
            one.disagreed.append((event.data["entry"], event.id))

    def _verdict(
        self, one: StreamAudit, index: int, told: Json, event: Event, reused: bool
    ) -> None:
        """Decide again, by the rules that ruled."""
        if told["rules"] != RULES:
            detail = f"rules {told['rules']} are not in this version"
            self._find("verdict", one, index, "rules", detail)
            return
        code = told.get("refusal")
        if code is not None and code == Code.OUR_FAULT:
            self._report.skipped[OUR_FAULT] += 1
            return
        self._done["verdicts"] += 1
        verdict = decide(one.person.plan, event, reused=reused)
        if isinstance(verdict, Accepted):
            wanted, warnings = None, list(verdict.warnings) or None
        else:
            wanted, warnings = verdict.code, None
        behalf = told["subject"] if verdict.represented else None
        if wanted != code or told.get("onbehalfof") != behalf or told.get("warnings") != warnings:
            for name, value in (
                ("refusal", wanted and wanted.value),
                ("onbehalfof", behalf),
                ("warnings", warnings),
            ):
                if told.get(name) != value:
                    detail = f"{told.get(name)}; the rules say {value}"
                    self._find("verdict", one, index, name, detail)

    def end(self) -> None:
        """What can be said of these people only now."""
        report = self._report
        for one in self._people.values():
            report.subjects += one.person.sequence > 0
            if self._keep:
                report.people[one.person.plan.subject] = one.person
            if one.broken:
                continue
            self._lines(one)
            self._disagreements(one)
            for code, name, detail in self._opening.end(one.person):
                self._find(code, one, None, name, detail)
        report.compared.update(self._done)

    def _lines(self, one: StreamAudit) -> None:
        """Whose each line is: the person's own, vouched for, or an accepted proposal."""
        told, plan = self._report.authorship, one.person.plan
        told.lines += len(plan.lines)
        self._done["lines"] += len(plan.lines)
        for key, line in plan.lines.items():
            name = line["origin"]["entry"]
            for origin in {name, line["ended"]["entry"]} if "ended" in line else (name,):
                self._is_theirs(one, key, origin)
            wrote = one.wrote.get(name)
            if wrote is None or not wrote[3]:
                told.nobodys += 1
            elif name in plan.denied:
                told.denied += 1
            elif "proposal" in line["origin"]:
                told.proposals += 1
            else:
                told.vouched[wrote[:2]] += 1

    def _is_theirs(self, one: StreamAudit, key: str, name: str) -> None:
        wrote = one.wrote.get(name)
        if wrote is None or not wrote[3]:
            detail = f"written by entry {name}, in which its person did not speak"
            self._find("fold", one, wrote[2] if wrote else None, f"lines.{key}", detail)

    def _disagreements(self, one: StreamAudit) -> None:
        self._done["disagreements"] += len(one.disagreed)
        for target, name in unpinned(one.person.plan, one.disagreed):
            detail = f"{name} is not pinned to it"
            self._find("fold", one, None, f"disagreements.{target}", detail)

    def _find(self, code: str, one: StreamAudit, index: int | None, name: str, detail: str) -> None:
        person = one.person
        version = person.plan.version if person.sequence else one.stream.version
        subject = person.plan.subject
        self._report.add(Finding(code, self._log, index, subject, version, name, detail))


def unpinned(plan: Plan, disagreed: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of these (entry, disagreement with it), the ones that the plan does not hold together."""
    return [
        (target, name)
        for target, name in disagreed
        if all(each["entry"] != name for each in plan.disagreements.get(target, ()))
    ]
