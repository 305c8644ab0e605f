"""What revisions need: the chassis's own tables, and rights for the runtime role."""

from __future__ import annotations

from pathlib import Path

from alembic import context, op

CHASSIS_TABLES = ("inbox", "outbox", "effects", "deadlines", "parked", "quarantine")


def create_chassis_tables() -> None:
    op.execute(Path(__file__).with_name("0001_chassis.sql").read_text())
    for table in CHASSIS_TABLES:
        grant(table, "SELECT, INSERT, UPDATE, DELETE")


def grant(table: str, rights: str) -> None:
    """Give the service's own role exactly these rights on a table."""
    role = context.config.attributes["runtime_role"]
    op.execute(f'GRANT {rights} ON {table} TO "{role}"')
