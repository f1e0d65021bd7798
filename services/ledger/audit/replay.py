"""Replay: folds every entry again, from entries and keys only, and compares with what is stored.

It is the audit (services/ledger/audit) of a live store with the ledger's keys; the report contains
the folded plans. It needs neither the queue nor checkpoints from outside.
"""

from collections.abc import Callable

from services.ledger.audit.engine import Audit
from services.ledger.audit.findings import Finding, Report
from services.ledger.audit.store_source import AuditStoreSource
from services.ledger.store import audit_reads
from services.ledger.store.database import Connection
from services.ledger.vault import Vault

__all__ = ["Finding", "Replay", "Report"]


class Replay:
    """Replay of all logs, or of one person, into a report."""

    def __init__(self, connection: Connection, vault: Vault, vkeys: list[list[str]]) -> None:
        self._connection = connection
        self._store = AuditStoreSource(connection, vault, vkeys)
        self.report = Report()

    def everything(self, tick: Callable[[float], None] = lambda _: None) -> None:
        """Replay every log, including its tree and head. `tick` is called with progress."""
        self.report = Audit(self._store, keep=True, tick=tick).everything()

    def person(self, log: int, subject: str) -> None:
        """Replay one person's entries, without the tree of their log."""
        audit = Audit(self._store, keep=True)
        duplicates = audit_reads.duplicate_ids(self._connection, log)
        first = {hash(name): index for name, index in duplicates.items()}
        entries = audit_reads.entries_about(self._connection, log, subject)
        audit.person(log, subject, entries, first)
        self.report = audit.report
