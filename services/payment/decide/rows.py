"""What a decision appends to the books: rows that never change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.payment.model import RefundState
from services.payment.transitions import Event

STORE_CREDIT = "store_credit"
CUSTOMER = "customer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """Double entry: `amount` of `unit` moves from `source` to `target` within one book."""

    book: str
    """payment | store_credit | loyalty | reversal"""
    holder: str
    """payment id, or whose account it is"""
    source: str
    target: str
    amount: int
    unit: str
    return_id: str | None = None
    refund_id: str | None = None
    test: bool = False

    @property
    def change(self) -> int:
        """What the customer has more after it (less: negative)."""
        if self.target == CUSTOMER:
            return self.amount
        return -self.amount if self.source == CUSTOMER else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditNote:
    series: str
    ordinal: int
    number: str
    return_id: str
    refund_id: str
    rate_bps: int
    net: int
    tax: int
    currency: str
    original_reference: str
    period: str
    test: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreCredit:
    credit_id: str
    customer_id: str
    return_id: str
    refund_id: str
    amount: int
    currency: str
    expires_at: datetime | None
    """None: never."""
    test: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RefundMove:
    """A line of a refund's history."""

    refund_id: str
    event: Event
    state: RefundState
    attempt: int
    key: str
    processor_reference: str | None
    detail: str
