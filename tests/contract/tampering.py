"""Changing what is stored by SQL, past the guards, and asking a replay what it finds.

Each change is made in a transaction of the owner's, replayed inside it, and taken back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, select, text, update

from services.ledger.audit.replay import Finding, Replay
from services.ledger.config import signers
from services.ledger.store import tables
from services.ledger.vault import Vault
from tests.contract.ledgers import GUARDS, Ledger
from tests.given import ADA

Change = Callable[[Connection], None]


class TakenBack(Exception):
    """The end of a transaction that never was."""


@contextmanager
def unguarded(ledger: Ledger) -> Iterator[Connection]:
    """A transaction of the owner's, past the guards, that is taken back."""
    with suppress(TakenBack), ledger.as_owner() as connection:
        off = (
            "ALTER TABLE {} DISABLE TRIGGER ALL"
            if ledger.kind == "postgresql"
            else "DROP TRIGGER {}"
        )
        for name in connection.scalars(text(GUARDS[ledger.kind])).all():
            connection.execute(text(off.format(name)))
        yield connection
        raise TakenBack


def findings(ledger: Ledger, change: Change, person: str | None = None) -> list[Finding]:
    """What a replay finds after the change."""
    found: list[Finding] = []
    with unguarded(ledger) as connection:
        change(connection)
        vault = Vault.from_folder(ledger.settings.key_folder)
        work = Replay(connection, vault, [each.vkeys for each in signers(ledger.settings)])
        work.person(0, person) if person else work.everything()
        found += work.report.findings
    return found


def spoil(table: str, column: str) -> Change:
    """Change one byte, digit or letter of the newest fitting row of Ada's (or of the log's)."""

    def change(connection: Connection) -> None:
        where = tables.metadata.tables[table]
        wanted = select(where).where(where.c[column].is_not(None))
        if "subject" in where.c:
            wanted = wanted.where(where.c.subject == ADA)
        order = where.c["index"] if "index" in where.c else next(iter(where.primary_key))
        row = connection.execute(wanted.order_by(order.desc())).mappings().first()
        assert row is not None
        same = [key == row[key.name] for key in where.primary_key]
        value = {column: _other(row[column])}
        assert connection.execute(update(where).where(*same).values(value)).rowcount == 1

    return change


def _other(value: object) -> object:
    match value:
        case bytes():
            middle = len(value) // 2
            return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        case int():
            return value + 1
        case _:
            text = str(value)
            return text[:-1] + ("1" if text[-1] != "1" else "2")
