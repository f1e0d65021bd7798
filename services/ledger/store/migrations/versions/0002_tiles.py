"""Tiles of the existing entries, and archived checkpoints. Released: do not edit."""

import sqlalchemy as sa
from alembic import op

from services.ledger.store.append_only import CHECKPOINT_TRIGGERS
from services.ledger.store.tile_store import backfill_tiles

revision = "0002"
down_revision = "0001"


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Create both tables, guard checkpoints, fill tiles."""
    op.create_table(
        "tiles",
        *(_number(name) for name in ("log", "level", "index")),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "index"),
    )
    op.create_table(
        "checkpoints",
        *(_number(name) for name in ("log", "size", "cosignatures")),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("kept", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "cosignatures"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for trigger in CHECKPOINT_TRIGGERS.values():
            op.execute(trigger)
    else:
        op.execute("SELECT guard_entries('checkpoints')")
    for log, size in op.get_bind().execute(sa.text("SELECT log, size FROM heads")).all():
        backfill_tiles(op.get_bind(), log, size)
