"""Replay: fold every entry again, from entries and keys alone, and compare with what is stored.

Each verdict is decided again, refusals too; each plan is folded again from its first entry; the
tree is built again. Then come the comparisons: the columns beside each entry, stored plans and
snapshots byte for byte, where people's streams stand, and the head with its signature. What is
not stored is not compared, and the report says so.

A finding names log, index, person, version and field. Its codes are stable:

    entry      the bytes are no entry of this format          column   a column differs from them
    order      a place in the log is missing or taken twice   sealed   it does not open
    digest     the digest is not the event's                  verdict  the rules say otherwise
    place      sequence or planversion is not the next one    plan     a stored plan differs
    person     a row of people differs                        head     the log's head differs
    tile       a kept tile differs
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.note import read_checkpoint
from services.ledger.people import Person, open_plan, unwrap_keys
from services.ledger.plan.changes import evolve
from services.ledger.plan.model import Plan, dump
from services.ledger.plan.rules import RULES, Accepted, Refusal, decide
from services.ledger.retiling import Retiling
from services.ledger.store import compare, reads
from services.ledger.store.engine import Connection, Row
from services.ledger.vault import Vault, VaultClosed
from shared.event import Event
from shared.problems import SealBroken
from shared.refusals import Code


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the entries say. `version` is the plan's, where there is one."""

    code: str
    log: int
    index: int | None
    person: str | None
    version: int | None
    field: str
    detail: str


@dataclass(slots=True)
class Report:
    """What a replay found."""

    entries: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    people: dict[str, Person] = field(default_factory=dict)
    logs: list[dict[str, Any]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    skipped: int = 0


class Replay:
    """Replays logs into one report."""

    def __init__(self, connection: Connection, vault: Vault, vkeys: list[list[str]]) -> None:
        self.report = Report()
        self._connection = connection
        self._vault = vault
        self._vkeys = vkeys
        self._known: set[str] = set()
        self._broken: set[str] = set()

    def everything(self, tick: Callable[[int], None] = lambda _: None) -> None:
        """Replay every log, its tree and head too. `tick` hears of progress."""
        for log in range(len(self._vkeys)):
            self._whole(log, tick)
        for table, subject, log in compare.elsewhere(self._connection, len(self._vkeys)):
            code = {"entries": "order", "people": "person"}.get(table, "plan")
            detail = f"{log}; this ledger has {len(self._vkeys)} log(s)"
            self._find(code, None, f"{table}.log", detail, self._person(subject))

    def _whole(self, log: int, tick: Callable[[int], None]) -> None:
        tree, told, following, recorded = Frontier(), sha256(), 0, None
        tiles = Retiling(self._connection, log)
        self._begin(log, None)
        for row in reads.entries_in_order(self._connection, log):
            if row["index"] != following:
                self._find("order", row, "index", f"{following} was next")
            following, recorded = row["index"] + 1, row["recorded"]
            leaf = leaf_hash(row["leaf"])
            tree.append(leaf)
            self._log_findings("tile", tiles.add(leaf))
            self._row(row)
            told.update(f"{row['index']} {row['verdict']} {row['refusal'] or ''}\n".encode())
            tick(1)
        self._end(None)
        self._log_findings("tile", tiles.end())
        self.report.compared["tiles"] += tiles.compared
        self._log_findings("head", self._head(log, tree, recorded))
        root = {"root": tree.root().hex(), "verdicts_sha256": told.hexdigest()}
        self.report.logs.append({"log": log, "size": tree.size, **root})

    def person(self, log: int, subject: str) -> None:
        """Replay one person's entries; their log's tree is not looked at."""
        self._begin(log, subject)
        for row in reads.entries_of(self._connection, log, subject):
            self._row(row)
        self._end(subject)

    def _begin(self, log: int, subject: str | None) -> None:
        self._log = log
        self._twice = compare.names_twice(self._connection, log)
        self._stored = compare.stored_plans(self._connection, log, subject)

    def _row(self, row: Row) -> None:
        self.report.entries += 1
        try:
            each = entry.read(row["leaf"])
        except (ValueError, KeyError, TypeError) as fault:
            self._find("entry", row, "leaf", f"not an entry: {fault}")
            return
        for name, value in each.columns().items():
            if row[name] != value:
                self._find("column", row, name, f"{row[name]!r}; the entry says {value!r}")
        self.report.verdicts[each.refusal or each.verdict] += 1
        if each.subject in self._broken:
            self.report.skipped += 1
            return
        try:
            self._entry(row, each)
        except (SealBroken, VaultClosed) as fault:
            self._broken.add(each.subject)
            self._find("sealed", row, "sealed", f"{fault}; this person's later entries are skipped")
        except Exception as fault:  # noqa: BLE001 - no tampering may end the replay of the others
            self._broken.add(each.subject)
            why = f"{type(fault).__name__}: no such event can have had it; later ones are skipped"
            self._find("verdict", row, "verdict", f"{each.verdict}; {why}")

    def _entry(self, row: Row, each: Entry) -> None:
        """Open, decide and fold one entry, and compare what is stored of the person there."""
        if each.subject not in self._known:
            self._known.add(each.subject)
            unwrap_keys(self._connection, self._vault, [each.subject])
        event = each.open(self._vault.find(each.subject))
        person = self.report.people.setdefault(each.subject, Person(Plan(each.subject)))
        self._digest(row, each, event)
        self._verdict(row, each, event, person)
        if each.verdict == entry.ACCEPTED:
            evolve(person.plan, event)
        if each.sequence is None:
            return
        person.sequence += 1
        wanted = {"sequence": person.sequence, "planversion": person.plan.version}
        for name, value in wanted.items():
            if getattr(each, name) != value:
                self._find("place", row, name, f"{getattr(each, name)}; {value} was next")
        for table in self._stored.pop((each.subject, person.sequence), ()):
            self._plan(table, person, each.recorded)

    def _digest(self, row: Row, each: Entry, event: Event) -> None:
        """The digest of what is sealed; of an entry without words the event is not there."""
        key = self._vault.person(each.subject)
        if each.sequence is None or key is None:
            return
        salt = entry.salt_of(key, each.author, each.id)
        if entry.digest_of(salt, event.canonical) != each.digest:
            self._find("digest", row, "digest", "not the digest of the sealed event")

    def _verdict(self, row: Row, each: Entry, event: Event, person: Person) -> None:
        """Decide again, by the rules that ruled."""
        reused = row["index"] > self._twice.get((each.author, each.id), row["index"])
        if each.rules != RULES:
            self._find("verdict", row, "rules", f"rules {each.rules} are not in this version")
        elif each.refusal != Code.OUR_FAULT:
            verdict = decide(person.plan, event, reused=reused)
            warnings = list(verdict.warnings) if isinstance(verdict, Accepted) else []
            wanted = {
                "refusal": verdict.code.value if isinstance(verdict, Refusal) else None,
                "onbehalfof": each.subject if verdict.represented else None,
                "warnings": warnings or None,
            }
            for name, value in wanted.items():
                if getattr(each, name) != value:
                    detail = f"{getattr(each, name)}; the rules say {value}"
                    self._find("verdict", row, name, detail)
        if (each.verdict == entry.ACCEPTED) != (each.refusal is None):
            self._find("verdict", row, "verdict", f"{each.verdict}, with refusal {each.refusal}")

    def _plan(self, table: str, person: Person, recorded: str) -> None:
        """Compare a stored plan with the folded one; one of other rules only has to open."""
        row = compare.stored_plan(self._connection, table, person.plan.subject, person.sequence)
        self.report.compared[table] += 1
        wanted = {"recorded": recorded} if "recorded" in row else {}
        self._compare(table, row, person, wanted)
        try:
            same, why = dump(open_plan(self._vault, row)) == dump(person.plan), "differs"
        except SealBroken as fault:
            self._find("plan", None, f"{table}.plan", f"does not open: {fault}", person)
            return
        except (ValueError, KeyError, TypeError) as fault:
            same, why = False, f"is none: {fault}"
        if not same and row["rules"] == RULES:
            self._find("plan", None, f"{table}.plan", why, person)

    def _compare(self, table: str, row: Row, person: Person, wanted: dict[str, Any]) -> None:
        code = "person" if table == "people" else "plan"
        wanted = {"log": self._log, "planversion": person.plan.version, **wanted}
        for name, value in wanted.items():
            if row[name] != value:
                detail = f"{row[name]}; the entries say {value}"
                self._find(code, None, f"{table}.{name}", detail, person)

    def _end(self, subject: str | None) -> None:
        """What is stored of nobody, and where people's streams stand."""
        for (name, sequence), tables in self._stored.items():
            if name not in self._broken:
                detail = f"stored at sequence {sequence}, which no entry reaches"
                self._find("plan", None, f"{tables[0]}.sequence", detail, self._person(name))
        there = compare.people_rows(self._connection, self._log, subject)
        for row in there:
            person = self._person(row["subject"])
            if row["subject"] not in self._broken:
                self.report.compared["people"] += 1
                wanted = {"sequence": person.sequence}
                self._compare("people", row, person, wanted)

    def _person(self, subject: str) -> Person:
        return self.report.people.get(subject) or Person(Plan(subject))

    def _head(self, log: int, tree: Frontier, recorded: str | None) -> Iterator[tuple[str, str]]:
        head = reads.head(self._connection, log)
        if head is None:
            return
        self.report.compared["heads"] += 1
        wanted = {"size": tree.size, "frontier": tree.to_bytes(), "root": tree.root()}
        for name, value in {**wanted, "recorded": recorded or head.recorded}.items():
            if getattr(head, name) != value:
                yield f"heads.{name}", "differs from what the entries say"
        try:
            if read_checkpoint(head.checkpoint, *self._vkeys[log]) != (tree.size, tree.root()):
                yield "heads.checkpoint", "signs another head"
        except ValueError as fault:
            yield "heads.checkpoint", f"not a checkpoint of this log: {fault}"

    def _log_findings(self, code: str, found: Iterable[tuple[str, str]]) -> None:
        for name, detail in found:
            self.report.findings.append(Finding(code, self._log, None, None, None, name, detail))

    def _find(
        self,
        code: str,
        row: Row | None,
        name: str,
        detail: str,
        person: Person | None = None,
    ) -> None:
        subject = row["subject"] if row else person.plan.subject if person else None
        person = person or self.report.people.get(str(subject))
        found = Finding(
            code,
            self._log,
            row["index"] if row else None,
            subject,
            person.plan.version if person else None,
            name,
            detail,
        )
        self.report.findings.append(found)
