"""Reading a person's things: the plan now and as it was, and the history of every attempt.

`version=n` is the plan up to the last entry with that planversion; `as-of=T` what was known at
T: the entries recorded at or before it. Whatever shows an entry shows what is said of it
(services/ledger/against.py), also what was said later; in a view of the past `since` names that.
"""

from dataclasses import dataclass

import orjson

from services.ledger.against import Against
from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.proof import Proof, inclusion
from services.ledger.people import Person, fold_one, take, unwrap_keys, usable_plan
from services.ledger.plan.model import Plan
from services.ledger.receipts import Recorded, fate, receipt
from services.ledger.sentences import YOU, Names, name_of, sentence, spoken_of
from services.ledger.store import reads
from services.ledger.store.engine import Connection
from services.ledger.store.tiles import nodes
from services.ledger.vault import Vault
from services.ledger.watermark import Published
from shared.catalogue import CATALOGUE
from shared.event import Json
from shared.refusals import WARNINGS


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one ledger, over one connection, for one person at a time."""

    connection: Connection
    vault: Vault
    log: int
    subject: str

    def plan(self, *, version: int | None = None, as_of: str | None = None) -> Plan | None:
        """The plan now, at a version, or as of a moment; None where there was none."""
        return self.plan_until(version=version, as_of=as_of)[0]

    def plan_until(
        self, *, version: int | None = None, as_of: str | None = None
    ) -> tuple[Plan | None, str | None]:
        """The same, and the moment at which it ceased to be the plan; None: it is the plan."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        if version is None and as_of is None:
            plan, until = self.now(), None
        else:
            person, until = self._past(version, as_of)
            plan = person.plan
        found = plan.state == "started" and (version is None or plan.version == version)
        return (plan if found else None), until

    def _past(self, version: int | None, as_of: str | None) -> tuple[Person, str | None]:
        row = reads.snapshot_before(self.connection, self.subject, version=version, recorded=as_of)
        person = Person(Plan(self.subject))
        if row is not None and (plan := usable_plan(self.vault, row)) is not None:
            person = Person(plan, row["sequence"])
        rows = reads.entries_in_sequence(
            self.connection, self.log, self.subject, after=person.sequence
        )
        for each in rows:
            later = version is not None and each["planversion"] > version
            if later or (as_of is not None and each["recorded"] > as_of):
                return person, as_of or entry.read(each["leaf"]).received
            take(self.vault, person, entry.read(each["leaf"]))
        return person, as_of

    def now(self) -> Plan:
        """The plan as it is now, started or not."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        return fold_one(self.connection, self.vault, self.log, self.subject).plan

    def history(self, names: Names, *, after: int, limit: int) -> list[Json]:
        """Entries about the person past a place in the log, each told in a sentence."""
        against = Against(self.now())
        rows = reads.entries_of(self.connection, self.log, self.subject, after=after, limit=limit)
        told = (self._told(names, entry.read(each["leaf"]), each["index"]) for each in rows)
        return [self._with_notes(names, each, against) for each in told]

    def fates(self, name: str, published: Published) -> list[Json]:
        """What became of the events about the person that bear an id, oldest first; as far as
        the log was published.
        """
        return [fate(each, self.vault) for each in self._recorded(name, published)]

    def receipts(self, name: str, published: Published) -> list[Json]:
        """The same, each with its proof in the published checkpoint."""
        node = nodes(self.connection, self.log, published.size)
        found = []
        for each in self._recorded(name, published):
            path = tuple(inclusion(node, each.index, published.size))
            proof = Proof(each.index, path, published.checkpoint)
            found.append(receipt(each, self.vault, proof))
        return found

    def _recorded(self, name: str, published: Published) -> list[Recorded]:
        unwrap_keys(self.connection, self.vault, [self.subject])
        rows = reads.entry_of(self.connection, self.log, self.subject, name)
        told = (Recorded(self.log, row["index"], entry.read(row["leaf"])) for row in rows)
        return [each for each in told if each.index < published.size]

    def _told(self, names: Names, each: Entry, index: int) -> Json:
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
            "sentence": sentence(
                names, event, each.refusal, represented=each.onbehalfof is not None
            ),
        }
        for name in ("onbehalfof", "refusal", "sequence", "planversion", "warnings"):
            value = getattr(each, name)
            if value not in (None, ()):
                told[name] = value
        if row.words is not None and row.words in event.data:
            told["words"] = event.data[row.words]
        if when := orjson.loads(event.canonical).get("time"):
            told["time"] = when
        return told

    def _with_notes(self, names: Names, told: Json, against: Against) -> Json:
        """What is said of the entry stands with it: as data, and as `notes` to read."""
        if told["verdict"] != entry.ACCEPTED:
            return told
        pinned = against.of(told["id"])
        notes = list(spoken_of({**names, self.subject: YOU}, pinned))
        if "struck" in pinned:
            through = name_of(names, told["via"])
            notes.append(f"It came through {through}; {told['issuer']} vouched for who wrote it.")
        warned = (WARNINGS[each] for each in told.get("warnings", ()))
        notes += [f"{each.replace('the person', 'You')}." for each in warned]
        return {**told, **pinned, **({"notes": notes} if notes else {})}
