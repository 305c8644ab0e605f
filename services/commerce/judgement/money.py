"""Step 5: what the payments can give back, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from contracts.assessments import DisputeState, PaymentRefundability
from contracts.money import Money
from contracts.orders import OrderSnapshot
from contracts.requests import Method, Resolution
from services.commerce.judgement.case import Case
from services.commerce.judgement.notes import Note, note
from services.commerce.quote.calculation import Earlier

MISSING = "refundability"
ABLE = note("payments_can_refund", "the payments can give it back", "money.refundable")


def capacities(
    case: Case, order: OrderSnapshot, earlier: Earlier, method: Method
) -> dict[str, int]:
    """payment_id -> minor units it can still give back by this method.

    Without facts: everything captured, less what decisions that stand have allocated.
    """
    captured = {payment.payment_id: payment.captured for payment in order.payments}
    if case.refundability is None:
        return {
            payment_id: max(amount - earlier.allocated.get(payment_id, 0), 0)
            for payment_id, amount in captured.items()
        }
    facts = {payment.payment_id: payment for payment in case.refundability.payments}
    return {
        payment_id: _capacity(case, facts[payment_id], amount, method) if payment_id in facts else 0
        for payment_id, amount in captured.items()
    }


def _capacity(case: Case, payment: PaymentRefundability, captured: int, method: Method) -> int:
    """Store credit comes from our ledger: it needs money captured and left, not an open card."""
    left = max(min(payment.captured, captured) - payment.refunded - payment.reserved, 0)
    if payment.dispute in (DisputeState.OPEN, DisputeState.UNKNOWN):
        return 0
    if method is not Method.ORIGINAL_PAYMENT_METHOD and payment.dispute is not DisputeState.LOST:
        return left
    closed = payment.refund_until is not None and payment.refund_until < case.now
    if closed or not payment.accepts_refund:
        return 0
    return max(min(payment.refundable, left), 0)


def alternatives(case: Case) -> tuple[Method, ...]:
    """Other ways to settle: payment's, else those that exist."""
    if case.refundability is not None:
        return case.refundability.alternatives
    offered = case.policy.defaults.resolutions
    credit = (Method.STORE_CREDIT,) if Resolution.STORE_CREDIT in offered else ()
    return (*credit, Method.BANK_TRANSFER, Method.NEW_METHOD)


def notes(
    case: Case, order: OrderSnapshot, total: int, refundable: Mapping[str, int]
) -> Iterator[Note]:
    """`total` minor units are to go back; `refundable` is what each payment can give."""
    yield from _facts(case, order)
    can = sum(refundable.values())
    if can < total:
        yield note(
            "payments_insufficient",
            f"{Money(total, order.currency)} are due,"
            f" the payments can give back {Money(can, order.currency)}",
            "money.refundable",
        )
    elif total:
        yield ABLE


def _facts(case: Case, order: OrderSnapshot) -> Iterator[Note]:
    if case.refundability is None:
        if MISSING in case.timed_out:
            yield note(
                "refundability_missing",
                "payment did not answer in time; judged as if nothing had been refunded",
                "money.timeout",
            )
        return
    known = {payment.payment_id: payment.captured for payment in order.payments}
    for payment in case.refundability.payments:
        if payment.dispute in (DisputeState.OPEN, DisputeState.UNKNOWN):
            yield note(
                "dispute_open",
                f"payment {payment.payment_id} is disputed: nothing goes back by any method"
                " until that is closed",
                "money.dispute",
            )
        if payment.payment_id not in known:
            yield note(
                "payments_contradict",
                f"payment {payment.payment_id} does not belong to the order",
                "money.facts",
            )
        elif payment.refundable > payment.captured - payment.refunded - payment.reserved:
            yield note(
                "payments_contradict",
                f"payment {payment.payment_id} cannot give back more than is left of it",
                "money.facts",
            )
