"""Called by Alembic: run the migrations within the transaction that `tuneward.store.migrate` has begun."""

from __future__ import annotations

from alembic import context

from tuneward.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
