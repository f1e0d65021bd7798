"""How PostgreSQL keeps stored plans and rows of people. Released: never edited.

A sealed plan does not compress: it is kept as it is, without the attempt. A row of people is
written anew by every batch that touches them: with room left on its page, no index changes.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Tell PostgreSQL; SQLite has nothing to choose here."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("plans", "snapshots"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN plan SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE people SET (fillfactor = 40)")
