"""Every unit's own history: in which state it has been since when."""

from alembic import op

from services.chassis.schema.revision import grant

revision = "fulfillment_0004"
down_revision = "fulfillment_0003"

TABLE = """
-- Written once per move, in the transaction that moves the unit; never changed.
CREATE TABLE unit_history (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    return_id text NOT NULL,
    line_id text NOT NULL,
    ordinal integer NOT NULL,
    -- When it happened, as whoever saw it says; else when it was decided.
    at timestamptz NOT NULL,
    state text NOT NULL
);
CREATE INDEX unit_history_return_id ON unit_history (return_id);
"""


def upgrade() -> None:
    op.execute(TABLE)
    grant("unit_history", "SELECT, INSERT")
