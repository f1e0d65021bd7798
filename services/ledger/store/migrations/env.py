"""Alembic's entry: migrations run on the connection that `firsthand init` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
