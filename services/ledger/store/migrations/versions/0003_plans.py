"""Storage parameters of plans and people on PostgreSQL. Released: do not edit.

An encrypted plan cannot be compressed, so PostgreSQL does not try. Every batch rewrites rows of
people: with free space on their page, no index changes.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Set the parameters on PostgreSQL; SQLite has none."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("plans", "snapshots"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN plan SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE people SET (fillfactor = 40)")
