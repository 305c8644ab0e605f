"""The chassis's tables."""

from services.chassis.schema.revision import create_chassis_tables

revision = "commerce_0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
