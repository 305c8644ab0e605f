"""The money of orders, the ledger and its balances, refund intents and what became of them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from services.chassis.schema.revision import grant

revision = "payment_0002"
down_revision = "payment_0001"

READ_WRITE = ("order_money",)
APPEND_ONLY = (
    "payments",
    "ledger",
    "refund_intents",
    "refund_moves",
    "submissions",
    "credit_notes",
    "store_credits",
    "webhook_events",
)
READ_ONLY = ("payment_balances", "account_balances")
"""Kept by the ledger's trigger, which runs with its owner's rights."""


def upgrade() -> None:
    op.execute(Path(__file__).with_name("0002_money.sql").read_text())
    for table in READ_WRITE:
        grant(table, "SELECT, INSERT, UPDATE")
    for table in APPEND_ONLY:
        grant(table, "SELECT, INSERT")
    for table in READ_ONLY:
        grant(table, "SELECT")
