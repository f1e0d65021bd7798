"""Alembic's migrations, run by `firsthand init`."""
