"""Migrations, run as a step of their own: ``python -m services.chassis.migrate commerce payment``.

Safe to run twice and at the same time. A revision is raw SQL: ``migrate.sql(op, "…")``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from alembic import command
from alembic.config import Config

SERVICES = Path(__file__).resolve().parent.parent
CHASSIS_TABLES = ("inbox", "outbox", "effects", "deadlines", "parked", "quarantine")


def upgrade(service: str, url: str, *, runtime_role: str | None = None) -> None:
    """Bring the store of `service` up to its newest revision.

    `url` belongs to the migrating role, `runtime_role` gets only what the revisions grant.
    """
    config = Config()
    config.set_main_option("script_location", str(SERVICES / "chassis" / "alembic"))
    config.set_main_option("path_separator", "os")
    config.set_main_option(
        "version_locations", str(SERVICES / service / "migrations" / "versions")
    )
    config.attributes["url"] = url
    config.attributes["runtime_role"] = runtime_role
    command.upgrade(config, "head")


def sql(op: Any, text: str) -> None:
    """Execute a script as it stands: no bind parameters, several statements allowed."""
    op.get_bind().exec_driver_sql(text)


def chassis_tables(op: Any) -> None:
    """First revision of every service: the chassis's tables, and the right to use them."""
    sql(op, (SERVICES / "chassis" / "schema" / "0001_chassis.sql").read_text())
    for table in CHASSIS_TABLES:
        grant(op, "SELECT, INSERT, UPDATE, DELETE", table)


def grant(op: Any, privileges: str, table: str) -> None:
    """Give the runtime role `privileges` on a table; nothing to do where it is the owner."""
    role = op.get_context().config.attributes.get("runtime_role")
    owner = op.get_bind().exec_driver_sql("SELECT current_user").scalar_one()
    if role is not None and role != owner:
        sql(op, f'GRANT {privileges} ON {table} TO "{role}"')


def role_of(url: str) -> str | None:
    """The role that a database URL logs in as."""
    user = urlsplit(url).username
    return unquote(user) if user else None


def main(services: list[str]) -> int:
    """Migrate each named service's store. The environment names the databases."""
    if not services:
        sys.stderr.write("usage: python -m services.chassis.migrate SERVICE…\n")
        return 2
    for service in services:
        runtime = os.environ.get(f"{service.upper()}_DATABASE_URL", "")
        url = os.environ.get(f"{service.upper()}_MIGRATION_DATABASE_URL") or runtime
        if not url:
            sys.stderr.write(f"{service.upper()}_DATABASE_URL is not set\n")
            return 1
        upgrade(service, url, runtime_role=role_of(runtime))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
