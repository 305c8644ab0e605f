"""Store credit that ends by itself: until when each can be spent, and how to find what is left."""

from __future__ import annotations

from alembic import op

revision = "payment_0004"
down_revision = "payment_0003"

# Null: can be spent for ever, as everything that was issued before. A test return's credit ends in
# the book of test returns.
EXPIRY = """
ALTER TABLE store_credits ADD COLUMN expires_at timestamptz;
ALTER TABLE store_credit_debits ADD COLUMN test boolean NOT NULL DEFAULT false;
CREATE INDEX ledger_store_credit ON ledger (holder, seq) WHERE book = 'store_credit';
"""


def upgrade() -> None:
    op.execute(EXPIRY)
