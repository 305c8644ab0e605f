"""The tables that every service has."""

from __future__ import annotations

from services.chassis.schema.revision import create_chassis_tables

revision = "payment_0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
