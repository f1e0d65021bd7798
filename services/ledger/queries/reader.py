"""Reader of a person's data: the plan now and in the past, and the history with refused events.

Entries are shown with their annotations (services/ledger/presentation/annotations.py), including
later ones; in a view of the past, `since` lists the later ones.
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

PART = 50  # entries read at once
PAGE_BYTES = 1_000_000  # limit on the size of a page
MOST_OF_ONE_ID = 100  # entries in a response about one id


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a history with their sentences, and the next page's cursor, None at the end."""

    entries: list[Json]
    following: int | None


class Backwards(Exception):
    """The first plan of a diff is later than the second."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads of one person's data, over one connection."""

    connection: Connection
    vault: Vault
    log: int
    subject: str
    cache: ReadCache = field(default_factory=ReadCache)

    @property
    def past(self) -> PlanHistory:
        """Return the person's plans, and load their key into the vault's memory."""
        unwrap_keys(self.connection, self.vault, [self.subject])
        return PlanHistory(self.connection, self.vault, self.log, self.subject, self.cache)

    def plan(self, when: PlanSelector = NOW) -> Plan | None:
        """Return the plan now, at a version or at a moment; None if it was not started."""
        return self.plan_until(when)[0]

    def plan_until(self, when: PlanSelector) -> tuple[Plan | None, str | None]:
        """Return the plan, and the moment at which it was replaced; None if it is current."""
        if when.true_at is not None:
            plan = self.past.true(when.true_at, when.as_of)
            until: str | None = min(when.true_at, when.as_of or when.true_at)
        else:
            person, until = self.past.person(when)
            plan = person.plan
        matches = plan.state == "started" and when.version in (None, plan.version)
        return (plan if matches else None), until

    def now(self) -> Plan:
        """Return the current plan, started or not."""
        return self.past.now().plan

    def history(self, names: DisplayNames, *, after: int, limit: int) -> Page:
        """Return entries after an index, with sentences: up to `limit`, fewer if they are long."""
        formatter, annotations = self._formatting(names)
        page: list[Json] = []
        size = 0
        for row in self._entries(after, limit):
            page.append(formatter.format(entry.parse(row["leaf"]), row["index"], annotations))
            size += len(row["leaf"])
            if size >= PAGE_BYTES:
                break
        is_last = len(page) < limit and size < PAGE_BYTES
        return Page(page, None if is_last else page[-1]["index"])

    def _entries(self, after: int, limit: int) -> Iterator[Row]:
        """Yield a page's rows, read in parts, so that rows beyond the page's size are not read."""
        while limit > 0:
            count = min(PART, limit)
            rows = list(
                reads.entries_of(self.connection, self.log, self.subject, after=after, limit=count)
            )
            yield from rows
            if len(rows) < count:
                return
            after, limit = rows[-1]["index"], limit - count

    def difference(
        self, names: DisplayNames, start: PlanSelector, end: PlanSelector
    ) -> tuple[PlanDiff, Plan, Plan]:
        """Return the diff of two plans, and the plans. Raises Backwards if the first is later."""
        past, first = self.past, self.past.person(start)[0]
        last = past.person(end)[0]
        if first.sequence > last.sequence:
            raise Backwards
        difference = PlanDiff(*self._formatting(names))
        replay = EntryReplay(self.vault, first.plan, first.sequence)
        rows = past.rows(first.sequence, last.sequence)
        difference.take(replay.apply(row["index"], row["leaf"]) for row in rows)
        return difference, first.plan, last.plan

    def origins(self, names: DisplayNames, when: PlanSelector) -> tuple[Provenance, Plan]:
        """Return the provenance of a plan's lines, and the plan."""
        past, person = self.past, self.past.person(when)[0]
        origins, replay = (
            Provenance(*self._formatting(names)),
            EntryReplay(self.vault, Plan(self.subject)),
        )
        origins.take(
            replay.apply(row["index"], row["leaf"]) for row in past.rows(0, person.sequence)
        )
        return origins, person.plan

    def _formatting(self, names: DisplayNames) -> tuple[HistoryFormatter, Annotations]:
        """Return the formatter of the person's entries, and the current annotations."""
        return HistoryFormatter(self.vault, names, self.subject), Annotations(self.now())

    def fates(self, name: str, reader: str, published: PublishedHead) -> list[Json]:
        """Return the outcomes of the published events with an id, oldest first.

        The person gets all events about them; other readers get their own.
        """
        return [outcome(located, self.vault) for located in self._recorded(name, reader, published)]

    def receipts(self, name: str, reader: str, published: PublishedHead) -> list[Json]:
        """Return the outcomes, each with its inclusion proof in the published checkpoint."""
        node = nodes(self.connection, self.log, published.size)
        results = []
        for located in self._recorded(name, reader, published):
            path = tuple(inclusion(node, located.index, published.size))
            proof = Proof(located.index, path, published.checkpoint)
            results.append(receipt(located, self.vault, proof))
        return results

    def _recorded(self, name: str, reader: str, published: PublishedHead) -> list[LocatedEntry]:
        """Return the entries with an id that this reader may see.

        The person's key is unwrapped only if there are any: response times must not reveal whether
        the person has a key.
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
