"""Topic `returns.lifecycle`: the status that people see."""

from __future__ import annotations

from contracts.base import Identifier, Instant, Message, OpenEnum, Ordinal, ReturnId, Text


class Status(OpenEnum):
    REQUESTED = "requested"
    ASSESSING = "assessing"
    AWAITING_REVIEW = "awaiting_review"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    AWAITING_PHYSICAL_RECEIPT = "awaiting_physical_receipt"
    IN_TRANSIT = "in_transit"
    PHYSICALLY_RECEIVED = "physically_received"
    QUALITY_CHECK = "quality_check"
    PENDING_SETTLEMENT = "pending_settlement"
    SETTLED = "settled"
    SETTLEMENT_FAILED = "settlement_failed"
    UNKNOWN = "unknown"


class Party(OpenEnum):
    """Who has to act next."""

    CUSTOMER = "customer"
    FULFILLMENT = "fulfillment"
    PAYMENT = "payment"
    REVIEWER = "reviewer"
    COMMERCE = "commerce"
    NONE = "none"
    UNKNOWN = "unknown"


class ReturnStatusChanged(Message):
    """``number`` counts 1, 2, … within a return: the order to trust."""

    return_id: ReturnId
    order_id: Identifier | None = None
    number: Ordinal
    status: Status
    previous: Status | None = None
    waiting_on: Party
    until: Instant | None = None
    explanation: Text
    refund_due: Instant | None = None
    """By when the refund must have been made by law, as far as that is known now."""
    changed_at: Instant
