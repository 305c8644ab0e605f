"""What a customer holds of store credit, for those who sell to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.base import Part
from services.payment.audit import store
from services.payment.decide import credit
from services.payment.decide.rows import Posting, StoreCredit
from services.payment.store import CREDIT_ENTRIES, CREDITS


class Balance(Part):
    """`balance` in minor units of `currency`."""

    currency: str
    balance: int


class Credit(Part):
    credit_id: str
    return_id: str
    amount: int
    left: int
    """Minor units, as `amount`. What expires first is spent first."""
    currency: str
    expires_at: datetime | None


class CreditsHeld(Part):
    customer_id: str
    balances: tuple[Balance, ...]
    credits: tuple[Credit, ...]
    """Those that are not used up; of real returns, not of tests."""


async def credits_of(pool: Any, customer_id: str) -> CreditsHeld:
    """As of one instant."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        balances = await connection.fetch(store.STORE_CREDIT, customer_id)
        issued = await connection.fetch(CREDITS, [customer_id])
        entries = await connection.fetch(CREDIT_ENTRIES, [customer_id])
    known = [StoreCredit(**row) for row in issued]
    left = credit.left(known, (Posting(**row) for row in entries))
    return CreditsHeld(
        customer_id=customer_id,
        balances=tuple(Balance(**row) for row in balances),
        credits=tuple(
            Credit(
                credit_id=each.credit_id,
                return_id=each.return_id,
                amount=each.amount,
                left=left.get(each.credit_id, 0),
                currency=each.currency,
                expires_at=each.expires_at,
            )
            for each in known
            if not each.test and left.get(each.credit_id, 0) > 0
        ),
    )
