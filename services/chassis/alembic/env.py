"""Alembic's environment, shared by all services: one transaction, one migrator at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

# Any number will do, as long as every migrator takes the same.
MIGRATION_LOCK = 7_220_001


def _driver_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        raise SystemExit(f"a store's address starts with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"


def run() -> None:
    engine = create_engine(
        _driver_url(context.config.attributes["url"]), poolclass=pool.NullPool
    )
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        context.configure(connection=connection, transaction_per_migration=False)
        with context.begin_transaction():
            context.run_migrations()


run()
