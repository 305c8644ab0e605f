"""What revisions need: the chassis's own tables, and rights for the runtime role."""

from __future__ import annotations

from pathlib import Path

from alembic import context, op

CHASSIS_TABLES = ("inbox", "outbox", "effects", "deadlines", "parked", "quarantine")


def execute(script: str) -> None:
    """Run a script as it stands: several statements, no bind parameters."""
    op.get_bind().exec_driver_sql(script)


def create_chassis_tables() -> None:
    """The first revision of every service."""
    execute(Path(__file__).with_name("0001_chassis.sql").read_text())
    for table in CHASSIS_TABLES:
        grant(table, "SELECT, INSERT, UPDATE, DELETE")


def grant(table: str, rights: str) -> None:
    """Give the service's own role exactly these rights on a table (the owner has them all)."""
    role = context.config.attributes["runtime_role"]
    execute(f'GRANT {rights} ON {table} TO "{role}"')
