"""The second half of a rebuild: what was folded beside is put in place, in one transaction.

On SQLite the worker that runs holds `writer.lock`. `firsthand rebuild` then leaves the folded rows
in DATA and asks it to put them in place:

    rebuild.part     being folded                 rebuild.taken    the worker has it in hand
    rebuild.ready    whole, for the worker        rebuild.failed   why it could not, in words

It answers by removing what it took. On PostgreSQL the heads' locks are enough.
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

PART, READY, TAKEN, FAILED = (f"rebuild.{each}" for each in ("part", "ready", "taken", "failed"))


def take_up(folder: Path | None, engine: Engine, vault: Vault, partitions: int) -> bool:
    """The worker's part: put in place what was left for it, if anything was."""
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
    """Put the spooled rows in place, moved on by what was recorded since they were folded.

    The heads are locked meanwhile; nobody waits longer than that takes.
    """
    with transaction(engine) as connection:
        for log in range(logs):
            writes.lock_head(connection, log)
        put_in_place(connection, vault, path)
        crashpoint("rebuild-written")
    crashpoint("rebuild-switched")


def put_in_place(connection: Connection, vault: Vault, path: Path) -> None:
    """The same inside a transaction that holds the heads."""
    for table, columns in spooled(path, "gone"):
        derived_tables.remove(connection, table, columns)
    for table, row in spooled(path, "row"):
        if table == "plans":
            _person(connection, vault, row)
        else:
            derived_tables.replace(connection, table, row)


def _person(connection: Connection, vault: Vault, row: dict[str, Any]) -> None:
    """A person's plan, folded on to their last entry, and where their stream stands."""
    unwrap_keys(connection, vault, [row["subject"]])
    person = PersonState(open_plan(vault, row), row["sequence"])  # type: ignore[arg-type]  # as a row of the store
    derived_tables.delete_snapshots_after(connection, row["subject"], person.sequence)
    fold_on(connection, vault, row["log"], person)
    save_rows(connection, vault, row["log"], [person])


def fold_on(connection: Connection, vault: Vault, log: int, person: PersonState) -> None:
    """Take a person past every entry that follows."""
    subject, after = person.plan.subject, person.sequence
    for row in reads.entries_in_sequence(connection, log, subject, after=after):
        apply_entry(vault, person, entry.parse(row["leaf"]))


def save_rows(
    connection: Connection, vault: Vault, log: int, people: Iterable[PersonState]
) -> None:
    """Write people's plans, and where they stand."""
    for person in people:
        subject = person.plan.subject
        key = vault.person(subject)
        if key is None:
            raise DecryptionError(f"no key of {subject}")
        row = plan_row(log, key, person)
        derived_tables.replace(connection, "plans", row)
        stands = {name: row[name] for name in ("subject", "log", "sequence", "planversion")}
        derived_tables.replace(connection, "people", stands)
