"""The money of one order: what was captured, what its returns reserve, and every refund's state.

Everything here is immutable; amounts are integers in the minor unit of the order's currency.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from contracts.assessments import DisputeState
from contracts.base import Part
from contracts.decisions import Allocation, Legs
from contracts.orders import PaymentMethod, Processor
from contracts.requests import Method

REFUND_ATTEMPTS_MAX = 5
SUBMISSION_TRIES_MAX = 20
KEY_TRUSTED_HOURS_MAX = 20
"""The processor forgets a key after 24 h; past 20 h we look the refund up instead."""
ABSENCE_SECONDS_MIN = 5
"""Only a look-up begun so long after the submission ended can prove that nothing came of it."""
POLL_SECONDS = (1, 2, 4, 8, 15, 30)
"""Waits between look-ups of an unfinished refund; the last one repeats."""
PARKED_WAIT = timedelta(hours=1)

PROCESSOR_METHOD = Method.ORIGINAL_PAYMENT_METHOD
PERSONS_METHODS = frozenset({Method.BANK_TRANSFER, Method.NEW_METHOD})
"""Carried out by a person; the person's reference settles them."""
ALTERNATIVES = (Method.STORE_CREDIT, Method.BANK_TRANSFER, Method.NEW_METHOD)


class RefundState(StrEnum):
    NONE = "none"
    RESERVED = "reserved"
    SUBMITTING = "submitting"
    PENDING_SETTLEMENT = "pending_settlement"
    SETTLED = "settled"
    OUTCOME_UNKNOWN = "outcome_unknown"
    REFUSED = "refused"
    SETTLEMENT_FAILED = "settlement_failed"
    VOIDED = "voided"


FAILED_STATES = frozenset({RefundState.REFUSED, RefundState.SETTLEMENT_FAILED, RefundState.VOIDED})
"""No money left, or it came back: the amount is in the return's reserve again."""
UNFINISHED = frozenset(
    {RefundState.RESERVED, RefundState.OUTCOME_UNKNOWN, RefundState.PENDING_SETTLEMENT}
)
"""Looked up at the processor until something final is known (reserved: held by a dispute)."""


class SeenStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SeenRefund(Part):
    """A refund as the processor shows it."""

    reference: str
    refund_id: str | None = None
    """None: made outside this system."""
    status: SeenStatus
    amount: int
    currency: str
    failure_code: str | None = None
    arn: str | None = None
    settlement_currency: str | None = None
    settlement_amount: int | None = None


class SeenDispute(Part):
    dispute_id: str
    state: DisputeState
    amount: int
    currency: str
    reason: str | None = None


class PaymentLook(Part):
    """One payment as the processor shows it. `known` False: the processor has no such payment."""

    payment_id: str
    known: bool = True
    captured: int | None = None
    refunds: tuple[SeenRefund, ...] = ()
    refunds_read: bool = False
    """Whether the list of refunds was read; otherwise `refunds` says nothing."""
    disputes: tuple[SeenDispute, ...] = ()
    refusal: str | None = None
    """Why the processor would not take a refund at all."""
    as_of: datetime

    def refund(self, refund_id: str) -> SeenRefund | None:
        """Our refund of this id: one that moved money before one that failed."""
        found = [each for each in self.refunds if each.refund_id == refund_id]
        found.sort(key=lambda each: each.status is SeenStatus.FAILED)
        return found[0] if found else None


class PaymentFacts(Part):
    """A payment as the order names it."""

    payment_id: str
    processor: Processor
    reference: str
    method: PaymentMethod
    network: str | None = None
    last4: str | None = None
    captured: int
    captured_at: datetime


class Standing(Part):
    """What was last seen of a payment at its processor."""

    known: bool = True
    captured: int | None = None
    elsewhere: int = 0
    """Refunded outside this system, effective (pending or succeeded)."""
    refusal: str | None = None
    as_of: datetime


class Dispute(Part):
    dispute_id: str
    payment_id: str
    state: DisputeState
    amount: int
    currency: str
    reason: str | None = None
    test: bool = False
    told: tuple[str, ...] = ()
    """Returns that `DisputeOpened` has named."""


class ReturnMoney(Part):
    """What one return holds. `reserve`: payment -> amount reserved and not released yet."""

    return_id: str
    sequence: int = 0
    """Of the last decision heard of, whatever it was."""
    reserved_sequence: int = 0
    method: Method = PROCESSOR_METHOD
    allocations: tuple[Allocation, ...] = ()
    reserve: dict[str, int] = Field(default_factory=dict)
    test: bool = False
    cause: str = ""


class Refund(Part):
    """One refund. Amount, currency, method and sources never change."""

    refund_id: str
    return_id: str
    method: Method
    payment_id: str | None = None
    sources: tuple[Allocation, ...]
    """Against which payments it counts."""
    amount: int
    currency: str
    decision_sequence: int
    state: RefundState
    attempt: int = 1
    tries: int = 1
    key_at: datetime
    polls: int = 0
    looks: int = 0
    unknown_since: datetime | None = None
    reason: str = ""
    processor_reference: str | None = None
    legs: Legs | None = None
    legs_booked: bool = False
    replaces: str | None = None
    void_requested: bool = False
    held: bool = False
    heard: tuple[str, ...] = ()
    """Statuses that webhooks claimed since the processor last answered about it."""
    test: bool = False
    cause: str = ""
    """`ce_id` of the RefundReleased that all this goes back to."""

    @property
    def key(self) -> str:
        """The idempotency key of the present attempt."""
        return f"refund:{self.refund_id}:{self.attempt}"


class ReversalState(StrEnum):
    CHARGING = "charging"
    SETTLED = "settled"
    REFUSED = "refused"


class Reversal(Part):
    reversal_id: str
    return_id: str
    amount: int
    state: ReversalState
    method: str
    reference: str | None = None
    """Of the new payment at the processor."""
    processor: str = ""
    """`stripe` or `sandbox`, where it is a charge."""
    asked_at: datetime | None = None
    unwanted_at: datetime | None = None
    """When the refund that it was to take back came to nothing."""
    test: bool = False
    cause: str = ""


class OrderMoney(Part):
    """The aggregate: one row per order, locked as a whole."""

    order_id: str
    order_number: str
    version: int
    currency: str
    customer_id: str
    program_id: str | None = None
    points_booked: int = 0
    """What of the order's points is in the loyalty account: earned less redeemed."""
    payments: tuple[PaymentFacts, ...] = ()
    booked: dict[str, int] = Field(default_factory=dict)
    """Payment -> captured amount in the ledger's live book."""
    test_booked: dict[str, int] = Field(default_factory=dict)
    standings: dict[str, Standing] = Field(default_factory=dict)
    test_standings: dict[str, Standing] = Field(default_factory=dict)
    returns: dict[str, ReturnMoney] = Field(default_factory=dict)
    refunds: dict[str, Refund] = Field(default_factory=dict)
    disputes: dict[str, Dispute] = Field(default_factory=dict)
    reversals: dict[str, Reversal] = Field(default_factory=dict)
    cause: str = ""

    def payment(self, payment_id: str | None) -> PaymentFacts | None:
        return next((each for each in self.payments if each.payment_id == payment_id), None)

    def standing(self, payment_id: str, *, test: bool) -> Standing | None:
        return (self.test_standings if test else self.standings).get(payment_id)

    def with_refund(self, refund: Refund) -> OrderMoney:
        return self.model_copy(update={"refunds": {**self.refunds, refund.refund_id: refund}})

    def with_return(self, money: ReturnMoney) -> OrderMoney:
        return self.model_copy(update={"returns": {**self.returns, money.return_id: money}})

    def dispute_on(self, payment_id: str, *, test: bool) -> Dispute | None:
        """The dispute that counts: an open one before a lost one before a won one."""
        found = [
            each
            for each in self.disputes.values()
            if each.payment_id == payment_id and each.test == test
        ]
        order = (DisputeState.OPEN, DisputeState.LOST, DisputeState.WON)
        found.sort(key=lambda each: order.index(each.state) if each.state in order else 0)
        return found[0] if found else None

    def committed(self, payment_id: str, *, test: bool, without_return: str | None = None) -> int:
        """Reserved + pending + settled + unknown on a payment, in minor units."""
        total = 0
        for money in self.returns.values():
            if money.test == test and money.return_id != without_return:
                total += money.reserve.get(payment_id, 0)
        return total + self.released(payment_id, test=test, without_return=without_return)

    def released(
        self,
        payment_id: str,
        *,
        test: bool,
        only_return: str | None = None,
        without_return: str | None = None,
    ) -> int:
        """What refunds that have not failed take from a payment, in minor units."""
        return sum(
            source.amount
            for refund in self.refunds.values()
            if refund.test == test
            and refund.state not in FAILED_STATES
            and refund.return_id != without_return
            and (only_return is None or refund.return_id == only_return)
            for source in refund.sources
            if source.payment_id == payment_id
        )

    def capturable(self, payment: PaymentFacts, *, test: bool) -> int:
        """What may be refunded of a payment in all, as far as order and processor agree."""
        standing = self.standing(payment.payment_id, test=test)
        if standing is None:
            return payment.captured
        captured = payment.captured if standing.captured is None else standing.captured
        return min(payment.captured, captured) - standing.elsewhere

    def room(self, payment: PaymentFacts, *, test: bool, without_return: str | None = None) -> int:
        """What is left of a payment for reservations, in minor units; never negative."""
        committed = self.committed(payment.payment_id, test=test, without_return=without_return)
        return max(self.capturable(payment, test=test) - committed, 0)


class Account(StrEnum):
    """Accounts of a payment's book. `customer` and `bank` are the world outside."""

    CUSTOMER = "customer"
    AVAILABLE = "available"
    RESERVED = "reserved"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SETTLED = "settled"
    BANK = "bank"
    DISPUTED = "disputed"


ACCOUNT_OF = {
    RefundState.RESERVED: Account.RESERVED,
    RefundState.SUBMITTING: Account.RESERVED,
    RefundState.PENDING_SETTLEMENT: Account.PENDING,
    RefundState.OUTCOME_UNKNOWN: Account.UNKNOWN,
    RefundState.SETTLED: Account.SETTLED,
    RefundState.REFUSED: Account.RESERVED,
    RefundState.SETTLEMENT_FAILED: Account.RESERVED,
    RefundState.VOIDED: Account.RESERVED,
}
"""Where a refund's amount lies; after a failure it is in its return's reserve again."""
