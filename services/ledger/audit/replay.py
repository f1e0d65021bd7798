"""Replay: fold every entry again, from entries and keys alone, and compare with what is stored.

It is the audit (services/ledger/audit) of a live store by its own keys, told as what it folds to:
each plan as its stored bytes. It asks no queue, and no checkpoint kept outside.
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
    """Replays logs, or one person, into a report."""

    def __init__(self, connection: Connection, vault: Vault, vkeys: list[list[str]]) -> None:
        self._connection = connection
        self._store = AuditStoreSource(connection, vault, vkeys)
        self.report = Report()

    def everything(self, tick: Callable[[float], None] = lambda _: None) -> None:
        """Replay every log, its tree and head too. `tick` hears of progress."""
        self.report = Audit(self._store, keep=True, tick=tick).everything()

    def person(self, log: int, subject: str) -> None:
        """Replay one person's entries; their log's tree is not looked at."""
        work = Audit(self._store, keep=True)
        twice = audit_reads.duplicate_ids(self._connection, log)
        first = {hash(name): index for name, index in twice.items()}
        entries = audit_reads.entries_about(self._connection, log, subject)
        work.person(log, subject, entries, first)
        self.report = work.report
