"""Queue accounting in heads, held messages, and alarms. Released: do not edit."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    """Add the columns, and create both tables."""
    for name in ("published", "added", "taken", "moved"):
        op.add_column("heads", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("heads", sa.Column("last", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "held",
        sa.Column("number", sa.Integer, primary_key=True),
        _number("log"),
        *(_text(name) for name in ("subject", "place", "reason", "seen")),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_index("held_of_a_person", "held", ["log", "subject", "number"])
    op.create_table(
        "alarms",
        sa.Column("number", sa.Integer, primary_key=True),
        _number("log"),
        *(_text(name) for name in ("kind", "seen")),
        _number("missing"),
        _text("detail"),
    )
