"""What could be refunded, as the processor shows it now and our ledger knows it."""

from __future__ import annotations

from contracts.assessments import (
    AssessmentRequested,
    DisputeState,
    PaymentRefundability,
    RefundabilityAssessed,
)
from contracts.money import Money
from services.chassis.decision import Effect
from services.payment import messages, methods
from services.payment.decide import standing
from services.payment.decide.draft import Draft, Facts, MoneyDecision
from services.payment.model import ALTERNATIVES, OrderMoney, PaymentFacts

DISPUTES = {
    DisputeState.NONE: "No disputes filed",
    DisputeState.OPEN: "A dispute is open",
    DisputeState.WON: "A dispute was won",
    DisputeState.LOST: "A dispute was lost",
}
REFUSALS = {
    DisputeState.OPEN: "a dispute is open",
    DisputeState.LOST: "a dispute was lost: the bank has already taken the money back",
}


def ask(order: OrderMoney, message: AssessmentRequested, facts: Facts) -> MoneyDecision:
    """The answer needs the processor's view: intend to look first."""
    payload = messages.AssessPayments(
        order_id=order.order_id,
        return_id=message.return_id,
        order_version=message.order_version,
        round=message.round,
        payments=order.payments,
        test=message.test,
    )
    draft = Draft(order=order, facts=facts)
    draft.effects.append(Effect(id=f"assess:{message.return_id}:{message.round}", payload=payload))
    return draft.decision()


def answer(order: OrderMoney, message: messages.PaymentsLooked, facts: Facts) -> MoneyDecision:
    """`RefundabilityAssessed`, without what this very return has reserved or was paid."""
    draft = Draft(order=order, facts=facts)
    standing.take_up(draft, message.looks, test=message.test)
    order = draft.order
    payments = tuple(
        assess(order, payment, message.return_id, facts, test=message.test)
        for payment in order.payments
    )
    draft.events.append(
        RefundabilityAssessed(
            return_id=message.return_id,
            order_id=order.order_id,
            order_version=message.order_version,
            round=message.round,
            as_of=message.as_of,
            payments=payments,
            alternatives=ALTERNATIVES,
            summary=" ".join(sentence(each, order.currency) for each in payments)
            or "No payment is known for this order.",
            test=message.test,
        )
    )
    return draft.decision()


def assess(
    order: OrderMoney, payment: PaymentFacts, return_id: str, facts: Facts, *, test: bool
) -> PaymentRefundability:
    """One payment. `refundable` leaves out whatever belongs to this return, paid or reserved."""
    id_ = payment.payment_id
    dispute = order.dispute_on(id_, test=test)
    state = dispute.state if dispute is not None else DisputeState.NONE
    refusal = refusal_of(order, payment, facts, test=test)
    seen = order.standing(id_, test=test)
    elsewhere = seen.elsewhere if seen is not None else 0
    refunded = elsewhere + sum(
        source.amount
        for refund in order.refunds.values()
        if refund.test == test and refund.state in ("settled", "pending_settlement")
        for source in refund.sources
        if source.payment_id == id_
    )
    others = order.committed(id_, test=test, without_return=return_id)
    paid_to_others = refunded - elsewhere - _paid(order, id_, return_id, test=test)
    room = order.room(payment, test=test, without_return=return_id)
    return PaymentRefundability(
        payment_id=id_,
        method=payment.method,
        network=payment.network,
        last4=payment.last4,
        processed_at=payment.captured_at,
        captured=payment.captured,
        refunded=refunded,
        reserved=max(others - paid_to_others, 0),
        refundable=0 if refusal is not None else room,
        refund_until=methods.refund_until(payment),
        dispute=state,
        accepts_refund=refusal is None,
        refusal=refusal,
    )


def _paid(order: OrderMoney, payment_id: str, return_id: str, *, test: bool) -> int:
    return sum(
        source.amount
        for refund in order.refunds.values()
        if refund.test == test
        and refund.return_id == return_id
        and refund.state in ("settled", "pending_settlement")
        for source in refund.sources
        if source.payment_id == payment_id
    )


def refusal_of(order: OrderMoney, payment: PaymentFacts, facts: Facts, *, test: bool) -> str | None:
    """Why the original method cannot take a refund now; None where it can."""
    dispute = order.dispute_on(payment.payment_id, test=test)
    if dispute is not None and dispute.state in REFUSALS:
        return REFUSALS[dispute.state]
    seen = order.standing(payment.payment_id, test=test)
    if seen is not None and not seen.known:
        return "the processor does not know this payment"
    if seen is not None and seen.refusal is not None:
        return seen.refusal
    return methods.refusal(payment, facts.now)


def sentence(payment: PaymentRefundability, currency: str) -> str:
    """One payment for people, in the manner of a clerk at the counter."""
    name = (payment.network or payment.method.value.replace("_", " ")).title()
    last4 = f", last4 {payment.last4}" if payment.last4 else ""
    if payment.refund_until is None:
        window = "no limit"
    else:
        window = f"open until {methods.day(payment.refund_until)}"
    dispute = DISPUTES.get(payment.dispute, DISPUTES[DisputeState.NONE])
    if payment.refusal is not None:
        verdict = f"Cannot accept a refund: {payment.refusal}."
    elif payment.refundable <= 0:
        verdict = "Nothing is left to refund."
    else:
        amount = Money(payment.refundable, currency)
        verdict = f"Ready to accept a refund of up to {amount}."
    return (
        f"Original transaction ({name}{last4}) processed {methods.day(payment.processed_at)}. "
        f"Refund window: {window}. {dispute}. {verdict}"
    )
