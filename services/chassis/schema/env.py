"""Alembic's environment, the same for every service."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["line"],
    target_metadata=None,
)
with context.begin_transaction():
    context.run_migrations()
