"""Topic `payment.events`: what moved, what could not move, and what is not known."""

from __future__ import annotations

from contracts.assessments import RefundabilityAssessed
from contracts.base import (
    Bps,
    Currency,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Ordinal,
    ReturnId,
    SignedMinorUnits,
    SignedPoints,
    Text,
)
from contracts.decisions import Allocation
from contracts.requests import Method

__all__ = [
    "DisputeClosed",
    "DisputeOpened",
    "DisputeOutcome",
    "FailedState",
    "LoyaltyReversed",
    "RefundFailed",
    "RefundMessage",
    "RefundOutcomeUnknown",
    "RefundPending",
    "RefundReservationRefused",
    "RefundReservationVoided",
    "RefundReserved",
    "RefundSettled",
    "RefundabilityAssessed",
    "ReversalRefused",
    "ReversalSettled",
    "StoreCreditIssued",
    "TaxReversalRecorded",
]


class RefundReserved(Message):
    return_id: ReturnId
    order_id: Identifier
    decision_sequence: Ordinal
    allocations: tuple[Allocation, ...] = ()
    currency: Currency
    test: Flag = False


class RefundReservationRefused(RefundReserved):
    code: Identifier
    alternatives: tuple[Method, ...] = ()


class RefundReservationVoided(RefundReserved):
    refund_id: Identifier | None = None
    """Of the release that was taken back; none where nothing had been released."""


class RefundMessage(Message):
    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    payment_id: Identifier | None = None
    method: Method
    amount: MinorUnits
    currency: Currency
    attempt: Ordinal
    idempotency_key: Identifier
    processor_reference: Identifier | None = None
    occurred_at: Instant
    test: Flag = False


class RefundPending(RefundMessage):
    pass


class RefundSettled(RefundMessage):
    arn: Text | None = None
    settlement_currency: Currency | None = None
    settlement_amount: SignedMinorUnits | None = None


class FailedState(OpenEnum):
    REFUSED = "refused"
    SETTLEMENT_FAILED = "settlement_failed"
    UNKNOWN = "unknown"


class RefundFailed(RefundMessage):
    state: FailedState
    failure_code: Identifier
    failure_message: Text
    retryable: Flag
    alternatives: tuple[Method, ...] = ()


class RefundOutcomeUnknown(RefundMessage):
    reason: Text = ""


class StoreCreditIssued(Message):
    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    credit_id: Identifier
    amount: MinorUnits
    currency: Currency
    expires_at: Instant | None = None
    test: Flag = False


class LoyaltyReversed(Message):
    """Negative numbers take back an earlier reversal."""

    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    points_reversed: SignedPoints
    points_restored: SignedPoints
    balance: SignedPoints
    test: Flag = False


class TaxReversalRecorded(Message):
    """Negative numbers take back an earlier record. ``original_reference`` is the order number."""

    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    rate_bps: Bps
    net: SignedMinorUnits
    tax: SignedMinorUnits
    currency: Currency
    credit_note_number: Identifier
    original_reference: Identifier
    period: Identifier
    test: Flag = False


class DisputeOpened(Message):
    order_id: Identifier
    payment_id: Identifier
    dispute_id: Identifier
    amount: MinorUnits
    currency: Currency
    reason: Text | None = None
    return_id: ReturnId | None = None
    test: Flag = False


class DisputeOutcome(OpenEnum):
    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


class DisputeClosed(DisputeOpened):
    outcome: DisputeOutcome


class ReversalSettled(Message):
    return_id: ReturnId
    order_id: Identifier
    reversal_id: Identifier | None = None
    amount: MinorUnits
    currency: Currency
    method: Identifier
    test: Flag = False


class ReversalRefused(ReversalSettled):
    code: Identifier
    explanation: Text
