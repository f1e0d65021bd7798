"""Reading a person's things: the plan now and as it was, and the history of every attempt.

`version=n` is the plan up to the last entry with that planversion; `as-of=T` what was known at
T: the entries recorded at or before it. Whatever shows a disputed entry shows what is said
against it, beside it, also what was said later; `since` names that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.people import Person, fold_one, take, unwrap_keys, usable_plan
from services.ledger.plan.model import Beside, Line, Plan
from services.ledger.receipts import Recorded, receipt
from services.ledger.sentences import Names, sentence
from services.ledger.store import reads
from services.ledger.store.engine import Connection
from services.ledger.vault import Vault
from shared.catalogue import CATALOGUE
from shared.event import Json
from shared.kinds import Type


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one ledger, over one connection, for one person at a time."""

    connection: Connection
    vault: Vault
    log: int
    subject: str

    def plan(self, *, version: int | None = None, as_of: str | None = None) -> Plan | None:
        """The plan now, at a version, or as of a moment; None where there was none."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        if version is None and as_of is None:
            plan = fold_one(self.connection, self.vault, self.log, self.subject).plan
        else:
            plan = self._past(version, as_of).plan
        found = plan.state == "started" and (version is None or plan.version == version)
        return plan if found else None

    def _past(self, version: int | None, as_of: str | None) -> Person:
        row = reads.snapshot_before(self.connection, self.subject, version=version, recorded=as_of)
        person = Person(Plan(self.subject))
        if row is not None and (plan := usable_plan(self.vault, row)) is not None:
            person = Person(plan, row["sequence"])
        rows = reads.entries_in_sequence(
            self.connection, self.log, self.subject, after=person.sequence
        )
        for each in rows:
            if version is not None and each["planversion"] > version:
                break
            if as_of is not None and each["recorded"] > as_of:
                break
            take(self.vault, person, entry.read(each["leaf"]))
        return person

    def disagreements(self) -> dict[str, list[Json]]:
        """What is said against each entry, as it stands now."""
        return fold_one(self.connection, self.vault, self.log, self.subject).plan.disagreements

    def history(self, names: Names, *, after: int, limit: int) -> list[Json]:
        """Entries about the person past a place in the log, each told in a sentence."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        pinned = self.disagreements()
        rows = reads.entries_of(self.connection, self.log, self.subject, after=after, limit=limit)
        return [self._told(names, entry.read(each["leaf"]), each["index"], pinned) for each in rows]

    def receipts(self, name: str) -> list[Json]:
        """The receipts of the entries about the person that bear an id, oldest first."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        head = reads.head(self.connection, self.log)
        return [
            receipt(
                Recorded(self.log, row["index"], entry.read(row["leaf"])),
                self.vault,
                head.checkpoint if head else "",
            )
            for row in reads.entry_of(self.connection, self.log, self.subject, name)
        ]

    def _told(self, names: Names, each: Entry, index: int, pinned: dict[str, list[Json]]) -> Json:
        event = each.open(self.vault.find(self.subject))
        row = CATALOGUE[event.type]
        told: Json = {
            "index": index,
            "id": each.id,
            "type": event.type,
            "author": each.author,
            "via": each.via,
            "issuer": each.issuer,
            "received": each.received,
            "recorded": each.recorded,
            "verdict": each.verdict,
            "sentence": sentence(names, event, each.refusal),
        }
        for name in ("refusal", "sequence", "planversion"):
            value = getattr(each, name)
            if value is not None:
                told[name] = value
        if row.words is not None and row.words in event.data:
            told["words"] = event.data[row.words]
        if each.verdict == entry.ACCEPTED and each.id in pinned:
            told["disagreements"] = pinned[each.id]
        return told


def view(plan: Plan, pinned: dict[str, list[Json]] | None = None) -> Json:
    """The plan as it is shown: its lines in the order they came, and what stands beside.

    `pinned`, for a view of the past, is what is said now against each entry.
    """
    lines = sorted(plan.lines.values(), key=lambda line: (line["since"], line["thing"]))
    against = plan.disagreements if pinned is None else pinned
    later = [
        each["entry"]
        for name in plan.entries
        for each in against.get(name, ())
        if each not in plan.disagreements.get(name, ())
    ]
    return {
        "subject": plan.subject,
        "version": plan.version,
        "lines": [_with_disagreements(against, line["origin"]["entry"], line) for line in lines],
        "beside": {
            "proposals": list(_shown(against, plan.beside, "proposal.made")),
            "observations": list(_shown(against, plan.beside, "observation.recorded")),
            "grants": list(_shown(against, plan.whose, "access.granted")),
        },
        **({"since": later} if later else {}),
    }


def _shown(against: dict[str, list[Json]], things: dict[str, Beside], kind: Type) -> Iterator[Json]:
    for name, each in sorted(things.items(), key=lambda item: (item[1]["received"], item[0])):
        if each["type"] == kind:
            yield _with_disagreements(against, name, {"entry": name, **each})


def _with_disagreements(
    against: dict[str, list[Json]], name: str, shown: Line | dict[str, Any]
) -> Json:
    told = against.get(name)
    return {**shown, **({"disagreements": told} if told else {})}
