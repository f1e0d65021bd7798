"""Rebuild switch: applies the rows of a rebuild in one transaction.

On SQLite a running worker holds `writer.lock`. `firsthand rebuild` then writes the folded rows to
DATA and requests the worker to apply them:

    rebuild.part     being folded                 rebuild.taken    the worker applies it
    rebuild.ready    complete, for the worker     rebuild.failed   the worker's error

The worker removes the file when it has finished. On PostgreSQL the heads' locks suffice.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from services.ledger.fold import PersonState, apply_entry, open_plan, plan_row, unwrap_keys
from services.ledger.log import entry
from services.ledger.maintenance.rebuild_spool import spooled
from services.ledger.store import derived_tables, reads, writes
from services.ledger.store.database import Connection, Engine, transaction
from services.ledger.vault import Vault
from shared.crashpoints import crashpoint
from shared.errors import DecryptionError
from shared.log_setup import describe_error

PART, READY, TAKEN, FAILED = (f"rebuild.{state}" for state in ("part", "ready", "taken", "failed"))


def take_up(folder: Path | None, engine: Engine, vault: Vault, partitions: int) -> bool:
    """Apply a rebuild that was left for the worker; return whether there was one."""
    if folder is None or not (folder / READY).exists():
        return False
    taken = (folder / READY).rename(folder / TAKEN)
    try:
        switch(engine, vault, taken, partitions)
    except Exception as fault:
        (folder / FAILED).write_text(describe_error(fault))
        raise
    finally:
        taken.unlink()
    return True


def switch(engine: Engine, vault: Vault, path: Path, logs: int) -> None:
    """Apply the spooled rows, with the entries recorded since they were folded.

    The heads are locked meanwhile, so the worker waits for that time.
    """
    with transaction(engine) as connection:
        for log in range(logs):
            writes.lock_head(connection, log)
        put_in_place(connection, vault, path)
        crashpoint("rebuild-written")
    crashpoint("rebuild-switched")


def put_in_place(connection: Connection, vault: Vault, path: Path) -> None:
    """Apply the spooled rows inside a transaction that locks the heads."""
    for table, columns in spooled(path, "gone"):
        derived_tables.remove(connection, table, columns)
    for table, row in spooled(path, "row"):
        if table == "plans":
            _person(connection, vault, row)
        else:
            derived_tables.replace(connection, table, row)


def _person(connection: Connection, vault: Vault, row: dict[str, Any]) -> None:
    """Fold a person's plan up to their last entry, and store it with the stream's position."""
    unwrap_keys(connection, vault, [row["subject"]])
    person = PersonState(open_plan(vault, row), row["sequence"])  # type: ignore[arg-type]  # a dictionary, not a RowMapping
    derived_tables.delete_snapshots_after(connection, row["subject"], person.sequence)
    fold_on(connection, vault, row["log"], person)
    save_rows(connection, vault, row["log"], [person])


def fold_on(connection: Connection, vault: Vault, log: int, person: PersonState) -> None:
    """Apply all entries that follow to a person."""
    subject, after = person.plan.subject, person.sequence
    for row in reads.entries_in_sequence(connection, log, subject, after=after):
        apply_entry(vault, person, entry.parse(row["leaf"]))


def save_rows(
    connection: Connection, vault: Vault, log: int, people: Iterable[PersonState]
) -> None:
    """Write people's plans and stream positions."""
    for person in people:
        subject = person.plan.subject
        key = vault.person(subject)
        if key is None:
            raise DecryptionError(f"no key of {subject}")
        row = plan_row(log, key, person)
        derived_tables.replace(connection, "plans", row)
        position = {name: row[name] for name in ("subject", "log", "sequence", "planversion")}
        derived_tables.replace(connection, "people", position)
