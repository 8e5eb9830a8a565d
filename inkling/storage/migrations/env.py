"""Runs migrations on the connection that `migrations.upgrade` holds; Alembic loads this file by its name."""

from alembic import context

from inkling.storage.records import Base

connection = context.config.attributes["connection"]
# Batch mode: SQLite cannot alter a column, so the table is copied.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
