"""Restore: brings a ledger whose database is an older copy up to the state of an export.

The export is audited first, with this ledger's keys: signatures, tree, format, and every known
published checkpoint (of the queue, archived in the database or the export, or named by the
operator). Then all logs are extended in one transaction. The database's entries must be the first
ones of the export; the others are appended unchanged; derived tables are rebuilt. A crash leaves
the old state or the new one.

Restore fails if the result would be shorter than the last published checkpoint, or inconsistent
with it. An export contains no keys. Entries of a person whose key is missing from the database
cannot be decrypted any more. That is an incident, not an erasure, and it is reported.
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
    """Sizes of every log, [(before, after)]; `keyless` counts entries without a key by person."""

    logs: list[tuple[int, int]] = field(default_factory=list)
    keyless: dict[str, int] = field(default_factory=dict)
    derived: list[RebuildFinding] = field(default_factory=list)
    held: int = 0


def audit_export(
    export: AuditExportSource, published: dict[int, list[Note]], tick: Callable[[float], None]
) -> Report:
    """Audit an export with the checkpoints that are within its logs."""
    within = {
        log: [note for note in notes if note.size <= export.size(log)]
        for log, notes in published.items()
        if log < export.logs
    }
    report = Audit(export, outside=within, tick=tick).everything()
    export.close()
    return report


class Restoring:
    """Extend logs inside one transaction, which locks their heads."""

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        signers: list[Signer],
        policy: Policy,
        now: str,
    ) -> None:
        self.result = Restored()
        self._connection = connection
        self._vault = vault
        self._signers = signers
        self._policy = policy
        self._now = now

    def run(self, export: AuditExportSource, published: dict[int, list[Note]]) -> Restored:
        """Extend every log, then rebuild derived tables.

        Raises PreconditionFailed, stating what is missing, if that is not possible.
        """
        heads = [writes.lock_head(self._connection, log) for log in range(len(self._signers))]
        for head in heads:
            size = export.size(head.log) if head.log < export.logs else 0
            self._check_published(head, size, published.get(head.log, []))
        for head in heads:
            if head.log < export.logs:
                self._forward(head, export)
        self._derive()
        return self.result

    def _check_published(self, head: Head, size: int, published: list[Note]) -> None:
        """Raise PreconditionFailed unless database or export have all published entries."""
        longest = max(size, head.size)
        for note in published:
            if note.size > longest:
                raise PreconditionFailed(
                    f"log {head.log}: {note.size} entries were published ({note.where}), but the "
                    f"export has {size} and the database {head.size}: {note.size - longest} are "
                    "missing. Find a newer export or copy"
                )
            if size < note.size:  # only the database has it
                _, root = read_checkpoint(note.note, *self._signers[head.log].vkeys)
                if root_at(self._connection, head.log, note.size) != root:
                    raise PreconditionFailed(
                        f"log {head.log}: the database has other entries than the {note.size} "
                        f"that were published ({note.where}): it is not the one they were "
                        "published from"
                    )

    def _forward(self, head: Head, export: AuditExportSource) -> None:
        """Append the export's entries past the database's end."""
        tree = Frontier.from_bytes(head.size, head.frontier)
        rules, recorded = head.rules, head.recorded
        for start, step in _steps(export, head.log):
            new = self._new(head, start, step)
            hashes = [leaf_hash(leaf) for leaf in new]
            read = [entry.parse(leaf) for leaf in step]
            rows = _rows(head.log, tree.size, read[len(step) - len(new) :])
            writes.append_entries(self._connection, [*rows])
            save_tiles(self._connection, head.log, tree.size, hashes)
            for leaf in hashes:
                tree.append(leaf)
            for parsed in read:
                rules, recorded = max(rules, parsed.rules), max(recorded, parsed.recorded)
                self._count_without_key(parsed)
        if rules > RULES:
            raise PreconditionFailed(
                f"log {head.log} was written by rules {rules}, this version has {RULES}"
            )
        self.result.logs.append((head.size, tree.size))
        if tree.size > head.size:
            note = self._signers[head.log].checkpoint(tree.size, tree.root())
            grown = replace(head, size=tree.size, frontier=tree.to_bytes(), root=tree.root())
            grown = replace(grown, checkpoint=note, recorded=recorded, rules=rules, added=UNKNOWN)
            writes.save_head(self._connection, grown)
        self._archive(head.log, export)

    def _new(self, head: Head, start: int, step: list[bytes]) -> list[bytes]:
        """Return the entries that the database lacks; raise PreconditionFailed if others differ."""
        stored = leaves(self._connection, head.log, start, min(start + len(step), head.size))
        for index, (ours, theirs) in enumerate(zip(stored, step, strict=False), start):
            if ours != theirs:
                raise PreconditionFailed(
                    f"log {head.log}: entry {index} of the export differs from the database: "
                    "they are two histories, and one of them is not this ledger's"
                )
        return step[len(stored) :]

    def _count_without_key(self, restored: Entry) -> None:
        """Count an entry whose key is missing from the database."""
        subject = restored.subject
        if self._vault.person(subject) is None:
            unwrap_keys(self._connection, self._vault, [subject])
        if self._vault.find(subject)(restored.kid) is None:
            self.result.keyless[subject] = self.result.keyless.get(subject, 0) + 1

    def _archive(self, log: int, export: AuditExportSource) -> None:
        """Archive the export's checkpoints that are not archived yet."""
        archived = {row["size"] for row in archived_checkpoints(self._connection, log)}
        for note in export.checkpoints(log):
            if note.size and note.size not in archived:
                count = self._policy.cosigned(note.note)
                archive_checkpoint(self._connection, log, note.size, count, note.note, self._now)

    def _derive(self) -> None:
        """Rebuild people, plans, snapshots and tiles, and replace what differs."""
        with tempfile.TemporaryDirectory() as folder:
            with Spool(Path(folder) / "rows") as spool:
                work = Rebuilding(self._connection, self._vault, len(self._signers), spool)
                report = work.run()
            self.result.derived = [row for row in report.findings if not row.mends]
            if any(row.table == "heads" for row in report.findings):
                raise PreconditionFailed(
                    "the database's entries do not match its heads; "
                    "run 'firsthand audit', and restore an older copy"
                )
            put_in_place(self._connection, self._vault, spool.path)


def _steps(export: AuditExportSource, log: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield a log's entries in the export in steps, with the index of the first."""
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
    for index, restored in enumerate(read, start):
        yield {**restored.columns(), "log": log, "index": index}
