"""The first tables and their guards. Released: do not edit."""

import sqlalchemy as sa
from alembic import op

from services.ledger.store.append_only import POSTGRESQL_FUNCTIONS, SQLITE_TRIGGERS

revision = "0001"
down_revision = None


def _number(name: str, *, optional: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=optional, autoincrement=False)


def _text(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=optional)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    """Make every table, then the guards."""
    _truth()
    _keys()
    _derived()
    if op.get_bind().dialect.name == "sqlite":
        for trigger in SQLITE_TRIGGERS.values():
            op.execute(trigger)
    else:
        op.execute(POSTGRESQL_FUNCTIONS)
        op.execute("SELECT guard_entries('entries')")


def _truth() -> None:
    op.create_table(
        "ledger",
        _number("format"),
        _number("partitions"),
        _text("origin"),
        _text("created"),
        sa.PrimaryKeyConstraint("format"),
    )
    op.create_table(
        "heads",
        _number("log"),
        _number("size"),
        _bytes("frontier"),
        _bytes("root"),
        _text("checkpoint"),
        _text("recorded"),
        _number("rules"),
        sa.PrimaryKeyConstraint("log"),
    )
    op.create_table(
        "entries",
        _number("log"),
        _number("index"),
        *(_text(name) for name in ("id", "author", "subject", "kind", "verdict")),
        _text("refusal", optional=True),
        _number("sequence", optional=True),
        _number("planversion", optional=True),
        _text("recorded"),
        _text("digest"),
        _bytes("leaf"),
        sa.PrimaryKeyConstraint("log", "index"),
        sa.UniqueConstraint("log", "id", "author", "digest", name="entries_once"),
        postgresql_partition_by="LIST (log)",
    )
    op.create_index("entries_of_a_person", "entries", ["log", "subject", "index"])
    standing = sa.text("sequence IS NOT NULL")
    op.create_index(
        "entries_in_sequence",
        "entries",
        ["log", "subject", "sequence"],
        sqlite_where=standing,
        postgresql_where=standing,
    )


def _keys() -> None:
    op.create_table(
        "keys",
        _text("kid"),
        sa.Column("subject", sa.Text, nullable=False, unique=True),
        _bytes("wrapped"),
        sa.PrimaryKeyConstraint("kid"),
    )


def _derived() -> None:
    place = ("log", "sequence", "planversion")
    op.create_table(
        "people",
        _text("subject"),
        *(_number(name) for name in place),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "plans",
        _text("subject"),
        *(_number(name) for name in (*place, "rules")),
        _bytes("plan"),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "snapshots",
        _text("subject"),
        _number("sequence"),
        *(_number(name) for name in ("log", "planversion")),
        _text("recorded"),
        _number("rules"),
        _bytes("plan"),
        sa.PrimaryKeyConstraint("subject", "sequence"),
    )
    op.create_table(
        "unreadable",
        sa.Column("number", sa.Integer, primary_key=True),
        _number("log"),
        _text("place"),
        _text("reason"),
        _text("seen"),
        _bytes("message"),
    )
