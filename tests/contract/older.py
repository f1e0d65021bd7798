"""An older copy of a ledger's database, put back as a backup is: all rows, and the guards again."""

from typing import Any

from sqlalchemy import delete, insert, text

from services.ledger.store import append_only, tables
from tests.contract.ledgers import GUARDS, Ledger

Copy = dict[str, list[dict[str, Any]]]
ALWAYS = "ALTER TABLE {} ENABLE ALWAYS TRIGGER {}"


def copy_of(ledger: Ledger) -> Copy:
    """Every row of every table."""
    return {name: ledger.table(name) for name in tables.metadata.tables}


def put_back(ledger: Ledger, copy: Copy) -> None:
    """Have the database hold this, and nothing else."""
    with ledger.as_owner() as connection:
        names = connection.scalars(text(GUARDS[ledger.kind])).all()
        on_sqlite = ledger.kind == "sqlite"
        off = "DROP TRIGGER {}" if on_sqlite else "ALTER TABLE {} DISABLE TRIGGER ALL"
        for name in names:
            connection.execute(text(off.format(name)))
        for table in tables.metadata.sorted_tables:
            connection.execute(delete(table))
            if copy[table.name]:
                connection.execute(insert(table), copy[table.name])
        if on_sqlite:
            for sql in (append_only.SQLITE_TRIGGERS | append_only.CHECKPOINT_TRIGGERS).values():
                connection.execute(text(sql))
        for name in () if on_sqlite else names:
            for trigger in ("no_change", "no_truncate"):
                connection.execute(text(ALWAYS.format(name, trigger)))
