"""Restore: a ledger whose database is an older copy goes forward to what an export holds.

The export is audited first, by this ledger's own keys: signatures, tree, form, and every
checkpoint that is known to have been published (the queue's watermark, those kept in the database
and in the export, those given). Then all logs go forward in one transaction: what the database
holds must be the export's beginning, entry by entry; what follows is appended exactly as it is;
derived tables are folded anew. A crash leaves the old or the new.

It refuses to stop behind what was published, or to write beside it. Keys are not in an export: a
person whose key the database lacks has entries that nobody reads any more. That is an incident, and
not an erasure: it is told.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.ledger.audit.engine import Audit
from services.ledger.audit.export_source import AuditExportSource
from services.ledger.audit.findings import Report
from services.ledger.checkpoints.known_checkpoints import Note
from services.ledger.checkpoints.witnesses import Policy
from services.ledger.fold import unwrap_keys
from services.ledger.log import entry
from services.ledger.log.entry import Entry
from services.ledger.log.merkle import Frontier, leaf_hash
from services.ledger.log.signed_note import Signer, read_checkpoint
from services.ledger.maintenance.rebuild import RebuildFinding, Rebuilding
from services.ledger.maintenance.rebuild_spool import Spool
from services.ledger.maintenance.rebuild_switch import put_in_place
from services.ledger.plan.decide import RULES
from services.ledger.store import writes
from services.ledger.store.checkpoint_archive import archive_checkpoint, archived_checkpoints
from services.ledger.store.database import Connection
from services.ledger.store.tile_store import leaves, root_at, save_tiles
from services.ledger.store.writes import UNKNOWN, Head
from services.ledger.vault import Vault
from shared.errors import PreconditionFailed

STEP = 1_000  # entries appended at a time


@dataclass(slots=True)
class Restored:
    """What became of each log, [(before, after)], and of whom a key is missing: their entries."""

    logs: list[tuple[int, int]] = field(default_factory=list)
    keyless: dict[str, int] = field(default_factory=dict)
    derived: list[RebuildFinding] = field(default_factory=list)
    held: int = 0


def audited(
    export: AuditExportSource, published: dict[int, list[Note]], tick: Callable[[float], None]
) -> Report:
    """The export's audit, with the checkpoints that it reaches."""
    within = {
        log: [each for each in notes if each.size <= export.size(log)]
        for log, notes in published.items()
        if log < export.logs
    }
    report = Audit(export, outside=within, tick=tick).everything()
    export.close()
    return report


class Restoring:
    """Brings logs forward inside one transaction, which holds their heads."""

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        signers: list[Signer],
        policy: Policy,
        now: str,
    ) -> None:
        self.told = Restored()
        self._connection = connection
        self._vault = vault
        self._signers = signers
        self._policy = policy
        self._now = now

    def run(self, export: AuditExportSource, published: dict[int, list[Note]]) -> Restored:
        """Every log, then what is derived. Unsafe, with what is missing, if it may not be."""
        heads = [writes.lock_head(self._connection, log) for log in range(len(self._signers))]
        for head in heads:
            size = export.size(head.log) if head.log < export.logs else 0
            self._reaches(head, size, published.get(head.log, []))
        for head in heads:
            if head.log < export.logs:
                self._forward(head, export)
        self._derive()
        return self.told

    def _reaches(self, head: Head, size: int, published: list[Note]) -> None:
        """Whether database or export hold all that was published of a log."""
        longest = max(size, head.size)
        for each in published:
            if each.size > longest:
                raise PreconditionFailed(
                    f"log {head.log}: {each.size} entries were published ({each.where}), and "
                    f"the export holds {size}, the database {head.size}: "
                    f"{each.size - longest} are missing. Find a newer export or copy"
                )
            if size < each.size:  # the database alone holds it
                _, root = read_checkpoint(each.note, *self._signers[head.log].vkeys)
                if root_at(self._connection, head.log, each.size) != root:
                    raise PreconditionFailed(
                        f"log {head.log}: the database holds other entries than the {each.size} "
                        f"that were published ({each.where}): it is not the one they were "
                        "published from"
                    )

    def _forward(self, head: Head, export: AuditExportSource) -> None:
        """Append what the export holds past the database's end."""
        tree = Frontier.from_bytes(head.size, head.frontier)
        rules, recorded = head.rules, head.recorded
        for start, step in _steps(export, head.log):
            new = self._new(head, start, step)
            hashes = [leaf_hash(each) for each in new]
            read = [entry.parse(each) for each in step]
            rows = _rows(head.log, tree.size, read[len(step) - len(new) :])
            writes.append_entries(self._connection, [*rows])
            save_tiles(self._connection, head.log, tree.size, hashes)
            for each in hashes:
                tree.append(each)
            for told in read:
                rules, recorded = max(rules, told.rules), max(recorded, told.recorded)
                self._keyed(told)
        if rules > RULES:
            raise PreconditionFailed(
                f"log {head.log} was ruled by rules {rules}, this version has {RULES}"
            )
        self.told.logs.append((head.size, tree.size))
        if tree.size > head.size:
            note = self._signers[head.log].checkpoint(tree.size, tree.root())
            grown = replace(head, size=tree.size, frontier=tree.to_bytes(), root=tree.root())
            grown = replace(grown, checkpoint=note, recorded=recorded, rules=rules, added=UNKNOWN)
            writes.save_head(self._connection, grown)
        self._keep(head.log, export)

    def _new(self, head: Head, start: int, step: list[bytes]) -> list[bytes]:
        """What of these entries the database lacks; Unsafe if what it holds differs."""
        there = leaves(self._connection, head.log, start, min(start + len(step), head.size))
        for place, (ours, theirs) in enumerate(zip(there, step, strict=False), start):
            if ours != theirs:
                raise PreconditionFailed(
                    f"log {head.log}: entry {place} of the export is not that of the database: "
                    "they are two histories, and one of them is not this ledger's"
                )
        return step[len(there) :]

    def _keyed(self, told: Entry) -> None:
        """Count an entry that the database has no key for."""
        if self._vault.person(told.subject) is None:
            unwrap_keys(self._connection, self._vault, [told.subject])
        if self._vault.find(told.subject)(told.kid) is None:
            self.told.keyless[told.subject] = self.told.keyless.get(told.subject, 0) + 1

    def _keep(self, log: int, export: AuditExportSource) -> None:
        """Keep the export's checkpoints that are not kept yet."""
        kept = {row["size"] for row in archived_checkpoints(self._connection, log)}
        for each in export.notes(log):
            if each.size and each.size not in kept:
                count = self._policy.cosigned(each.note)
                archive_checkpoint(self._connection, log, each.size, count, each.note, self._now)

    def _derive(self) -> None:
        """Fold people, plans, snapshots and tiles anew, and put in place what differs."""
        with tempfile.TemporaryDirectory() as folder:
            with Spool(Path(folder) / "rows") as spool:
                work = Rebuilding(self._connection, self._vault, len(self._signers), spool)
                report = work.run()
            self.told.derived = [each for each in report.findings if not each.mends]
            if any(each.table == "heads" for each in report.findings):
                raise PreconditionFailed(
                    "the database's own entries are not those of its heads; "
                    "run 'firsthand audit', and restore an older copy"
                )
            put_in_place(self._connection, self._vault, spool.path)


def _steps(export: AuditExportSource, log: int) -> Iterator[tuple[int, list[bytes]]]:
    """A log's entries in the export, some at a time, with the place of the first."""
    step: list[bytes] = []
    start = 0
    for read in export.entries(log):
        step.append(read[1])
        if len(step) == STEP:
            yield start, step
            start, step = start + STEP, []
    if step:
        yield start, step


def _rows(log: int, start: int, read: list[Entry]) -> Iterator[dict[str, object]]:
    for index, each in enumerate(read, start):
        yield {**each.columns(), "log": log, "index": index}
