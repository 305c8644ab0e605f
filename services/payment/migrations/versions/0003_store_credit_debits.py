"""Store credit that customers spend, or that expires: each debit once, by its own id."""

from __future__ import annotations

from alembic import op

from services.chassis.schema.revision import grant

revision = "payment_0003"
down_revision = "payment_0002"

STORE_CREDIT_DEBITS = """
CREATE TABLE store_credit_debits (
    debit_id text PRIMARY KEY,
    customer_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('redeemed', 'expired')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    order_id text NOT NULL,
    at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    op.execute(STORE_CREDIT_DEBITS)
    grant("store_credit_debits", "SELECT, INSERT")
