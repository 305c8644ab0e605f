"""Messages that payment sends to itself: intents for the outside world and what came of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.base import Currency, Identifier, Message, MinorUnits
from contracts.requests import Method
from services.payment.model import PaymentFacts, PaymentLook, SeenRefund


class AssessPayments(Message):
    """Intent: look at every payment of the order at its processor."""

    order_id: str
    return_id: str
    order_version: int
    round: int
    payments: tuple[PaymentFacts, ...]
    test: bool


class PaymentsLooked(Message):
    order_id: str
    return_id: str
    order_version: int
    round: int
    looks: tuple[PaymentLook, ...]
    as_of: datetime
    test: bool


class SubmitRefund(Message):
    """Intent: look for disputes, then refund under this key. Written once, never changed."""

    order_id: str
    return_id: str
    refund_id: str
    method: Method
    attempt: int
    tries: int
    key: str
    payments: tuple[PaymentFacts, ...]
    """Those it counts against; for the original method exactly one."""
    amount: int
    currency: str
    test: bool


class Result(StrEnum):
    SEEN = "seen"
    """The processor has a refund object."""
    HELD = "held"
    """A dispute is open: nothing was submitted."""
    CLEARED = "cleared"
    """No dispute: our own ledger may pay."""
    DECLINED = "declined"
    """The processor said no."""
    NO_ANSWER = "no_answer"
    NOT_SENT = "not_sent"
    """Certain that nothing was done: the same key may be used again."""


class RefundSubmitted(Message):
    order_id: str
    refund_id: str
    attempt: int
    tries: int
    result: Result
    seen: SeenRefund | None = None
    looks: tuple[PaymentLook, ...] = ()
    code: str = ""
    explanation: str = ""
    retryable: bool = False
    retry_seconds: int | None = None
    """The processor's own wish (Retry-After)."""


class LookUpRefund(Message):
    """Intent: ask the processor what became of a refund."""

    order_id: str
    refund_id: str
    payment: PaymentFacts
    processor_reference: str | None = None
    test: bool


class CancelRefund(Message):
    """Intent: take back a refund that the processor has and has not paid yet."""

    order_id: str
    refund_id: str
    payment: PaymentFacts
    processor_reference: str
    test: bool


class RefundSeen(Message):
    order_id: str
    refund_id: str
    seen: SeenRefund | None = None
    """None: the processor has nothing with this refund's id."""
    looked_at: datetime
    """When the look-up began."""


class LookAtPayment(Message):
    """Intent: read disputes and refunds of one payment."""

    order_id: str
    payment: PaymentFacts
    test: bool


class PaymentSeen(Message):
    order_id: str
    look: PaymentLook
    test: bool


class PollDue(Message):
    order_id: str
    refund_id: str


class WatchDue(Message):
    """Time to see whether a dispute has closed."""

    order_id: str
    payment_id: str
    test: bool
    nth: int = 1


class WebhookReceived(Message):
    """A verified event of a processor: a hint, never a fact."""

    event_id: str
    event_type: str
    body_sha256: str
    object_id: str
    object_type: str
    """refund | charge | dispute"""
    order_id: str | None = None
    refund_id: str | None = None
    payment_reference: str | None = None
    status: str | None = None
    amount_refunded: int | None = None


class ChargeReversal(Message):
    """Intent: charge the customer, who consented, what was refunded before."""

    order_id: str
    return_id: str
    reversal_id: str
    payment: PaymentFacts
    amount: int
    currency: str
    asked_at: datetime
    test: bool


class ReversalCharged(Message):
    order_id: str
    reversal_id: str
    settled: bool
    reference: str | None = None
    code: str = ""
    explanation: str = ""


class ScheduleReconciliation(Message):
    """The service has started: see to it that the books are compared every night."""


class ReconciliationDue(Message):
    pass


class Reconcile(Message):
    """Intent: compare our books with the processors'."""

    since: datetime


class Reconciled(Message):
    doubts: tuple[tuple[str, str], ...] = ()
    """(order, refund) of what another look can mend."""
    kinds: tuple[str, ...] = ()
    """The kind of every difference."""


class RefundDoubted(Message):
    """The books differ about a refund: ask the processor again."""

    order_id: str
    refund_id: str


class DebitKind(StrEnum):
    REDEEMED = "redeemed"
    EXPIRED = "expired"


class DebitStoreCredit(Message):
    """Store credit is spent on an order, or has expired. The same id again is the same debit."""

    debit_id: Identifier
    customer_id: Identifier
    kind: DebitKind
    amount: Annotated[MinorUnits, Field(gt=0)]
    currency: Currency
    order_id: Identifier
    """The order that it pays, or that it came from."""
    test: bool = False


class CreditExpired(Message):
    """The day has come on which what is left of a store credit ends."""

    credit_id: str
    customer_id: str
    order_id: str
