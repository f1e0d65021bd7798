"""Reading a person's things: the plan now and as it was, and the history of every attempt.

Whatever shows an entry shows what is said of it (services/ledger/presentation/annotations.py), also
what was said later; in a view of the past `since` names that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from services.ledger.checkpoints.published_view import PublishedHead
from services.ledger.fold import unwrap_keys
from services.ledger.log import entry
from services.ledger.log.proofs import Proof, inclusion
from services.ledger.plan.model import Plan
from services.ledger.presentation.annotations import Annotations
from services.ledger.presentation.sentences import DisplayNames
from services.ledger.queries.diff import PlanDiff
from services.ledger.queries.entry_replay import EntryReplay
from services.ledger.queries.history_entry import HistoryFormatter
from services.ledger.queries.provenance import Provenance
from services.ledger.queries.read_cache import ReadCache
from services.ledger.queries.time_travel import NOW, PlanHistory, PlanSelector
from services.ledger.receipts import LocatedEntry, outcome, receipt
from services.ledger.store import reads
from services.ledger.store.database import Connection, Row
from services.ledger.store.tile_store import nodes
from services.ledger.vault import Vault
from shared.events.event import Json

PART = 50  # entries that are read at once
PAGE_BYTES = 1_000_000  # after which a page takes no further entry
MOST_OF_ONE_ID = 100  # entries in an answer about one id


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a history, each with its sentence, and the cursor of the next page; None: there is
    no next page.
    """

    entries: list[Json]
    following: int | None


class Backwards(Exception):
    """A difference goes from a plan to a later one, and was asked for the other way round."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one ledger, over one connection, for one person at a time."""

    connection: Connection
    vault: Vault
    log: int
    subject: str
    kept: ReadCache = field(default_factory=ReadCache)

    @property
    def past(self) -> PlanHistory:
        """The person's plans, now and before; their key is brought into the vault's memory."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        return PlanHistory(self.connection, self.vault, self.log, self.subject, self.kept)

    def plan(self, when: PlanSelector = NOW) -> Plan | None:
        """The plan now, at a version, or of a moment; None where there was none."""
        return self.plan_until(when)[0]

    def plan_until(self, when: PlanSelector) -> tuple[Plan | None, str | None]:
        """The same, and the moment at which it ceased to be the plan; None: it is the plan."""
        if when.true_at is not None:
            plan = self.past.true(when.true_at, when.as_of)
            until: str | None = min(when.true_at, when.as_of or when.true_at)
        else:
            person, until = self.past.person(when)
            plan = person.plan
        found = plan.state == "started" and when.version in (None, plan.version)
        return (plan if found else None), until

    def now(self) -> Plan:
        """The plan as it is now, started or not."""
        return self.past.now().plan

    def history(self, names: DisplayNames, *, after: int, limit: int) -> Page:
        """Entries about the person past a place in the log, each with a sentence: `limit` at most,
        and fewer where they are long.
        """
        telling, against = self._telling(names)
        page: list[Json] = []
        size = 0
        for row in self._entries(after, limit):
            page.append(telling.format(entry.parse(row["leaf"]), row["index"], against))
            size += len(row["leaf"])
            if size >= PAGE_BYTES:
                break
        ends = len(page) < limit and size < PAGE_BYTES
        return Page(page, None if ends else page[-1]["index"])

    def _entries(self, after: int, limit: int) -> Iterator[Row]:
        """A page's rows, read in parts, so that long ones are not read for nothing."""
        while limit > 0:
            asked = min(PART, limit)
            part = list(
                reads.entries_of(self.connection, self.log, self.subject, after=after, limit=asked)
            )
            yield from part
            if len(part) < asked:
                return
            after, limit = part[-1]["index"], limit - asked

    def difference(
        self, names: DisplayNames, start: PlanSelector, end: PlanSelector
    ) -> tuple[PlanDiff, Plan, Plan]:
        """What changed from one plan to another, and the two; Backwards if the first is later."""
        past, first = self.past, self.past.person(start)[0]
        last = past.person(end)[0]
        if first.sequence > last.sequence:
            raise Backwards
        difference = PlanDiff(*self._telling(names))
        walk = EntryReplay(self.vault, first.plan, first.sequence)
        rows = past.rows(first.sequence, last.sequence)
        difference.take(walk.past(row["index"], row["leaf"]) for row in rows)
        return difference, first.plan, last.plan

    def origins(self, names: DisplayNames, when: PlanSelector) -> tuple[Provenance, Plan]:
        """Where the words of the lines of a plan come from, and the plan."""
        past, person = self.past, self.past.person(when)[0]
        origins, walk = (
            Provenance(*self._telling(names)),
            EntryReplay(self.vault, Plan(self.subject)),
        )
        origins.take(walk.past(row["index"], row["leaf"]) for row in past.rows(0, person.sequence))
        return origins, person.plan

    def _telling(self, names: DisplayNames) -> tuple[HistoryFormatter, Annotations]:
        """What tells the person's entries, and what is said of them now."""
        return HistoryFormatter(self.vault, names, self.subject), Annotations(self.now())

    def fates(self, name: str, reader: str, published: PublishedHead) -> list[Json]:
        """What became of the events about the person that bear an id, oldest first, as far as the
        log was published: for the person all of them, for anybody else their own.
        """
        return [outcome(each, self.vault) for each in self._recorded(name, reader, published)]

    def receipts(self, name: str, reader: str, published: PublishedHead) -> list[Json]:
        """The same, each with its proof in the published checkpoint."""
        node = nodes(self.connection, self.log, published.size)
        found = []
        for each in self._recorded(name, reader, published):
            path = tuple(inclusion(node, each.index, published.size))
            proof = Proof(each.index, path, published.checkpoint)
            found.append(receipt(each, self.vault, proof))
        return found

    def _recorded(self, name: str, reader: str, published: PublishedHead) -> list[LocatedEntry]:
        """The entries with an id that this reader may hear of. The person's key is unwrapped only
        where there are some: the time of an answer must not tell whether the person has one.
        """
        rows = [
            row
            for row in reads.entry_of(self.connection, self.log, self.subject, name)
            if reader in (self.subject, row["author"]) and row["index"] < published.size
        ]
        if rows:
            unwrap_keys(self.connection, self.vault, [self.subject])
        return [
            LocatedEntry(self.log, row["index"], entry.parse(row["leaf"]))
            for row in rows[:MOST_OF_ONE_ID]
        ]
