"""Webhooks, polls and looks at a payment: reasons to ask the processor, never facts themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.assessments import DisputeState
from contracts.orders import Processor
from services.chassis.decision import Deadline, Effect
from services.payment import messages, units
from services.payment.decide import heard, outcome, standing
from services.payment.decide.draft import Draft, Facts, MoneyDecision
from services.payment.model import (
    FAILED_STATES,
    UNFINISHED,
    OrderMoney,
    PaymentFacts,
    Refund,
    RefundState,
)

RECONCILE_HOUR = 3
RECONCILE_DAYS = 35
"""A refund may fail up to 30 days after it was made: https://docs.stripe.com/refunds#failed-refunds"""


def webhook(order: OrderMoney, message: messages.WebhookReceived, facts: Facts) -> MoneyDecision:
    """Ask the processor, unless the event says what is known already.

    An event about another object than the one that we know of this refund makes us read them all.
    """
    draft = Draft(order=order, facts=facts)
    refund = order.refunds.get(message.refund_id or "")
    if (
        message.object_type == "refund"
        and refund is not None
        and refund.processor_reference in (None, message.object_id)
    ):
        heard.hear(draft, refund, message.status or "")
        return draft.decision()
    payment = _payment(order, message.payment_reference)
    if payment is None:
        draft.ignored = "about no payment of ours"
    elif message.object_type == "charge" and _known_amount(order, payment, message):
        draft.ignored = "nothing new"
    else:
        for test in _books(order):
            why = f"{message.event_id}:{'test' if test else 'live'}"
            draft.look_at(payment, test=test, why=why)
    return draft.decision()


def _payment(order: OrderMoney, reference: str | None) -> PaymentFacts | None:
    return next((each for each in order.payments if each.reference == reference), None)


def _books(order: OrderMoney) -> tuple[bool, ...]:
    return (False, True) if any(each.test for each in order.returns.values()) else (False,)


def _known_amount(
    order: OrderMoney, payment: PaymentFacts, message: messages.WebhookReceived
) -> bool:
    """Whether the charge shows no more refunded than our own refunds under way explain."""
    seen = order.standing(payment.payment_id, test=False)
    ours = sum(
        source.amount
        for refund in order.refunds.values()
        if refund.state not in FAILED_STATES
        for source in refund.sources
        if source.payment_id == payment.payment_id
    )
    if message.amount_refunded is None:
        return False
    refunded = message.amount_refunded
    if payment.processor is Processor.STRIPE:
        refunded = units.from_stripe(refunded, order.currency)
    return refunded <= ours + (seen.elsewhere if seen is not None else 0)


def poll(order: OrderMoney, message: messages.PollDue, facts: Facts) -> MoneyDecision:
    """An unfinished refund is asked for again, and again later; a finished one is left alone."""
    draft = Draft(order=order, facts=facts)
    refund = order.refunds[message.refund_id]
    if refund.state not in UNFINISHED or (refund.state is RefundState.RESERVED and not refund.held):
        draft.ignored = f"poll while {refund.state}"
        return draft.decision()
    if refund.held:
        for payment in draft.payments_of(refund):
            why = f"{refund.refund_id}:{payment.payment_id}:poll"
            draft.look_at(payment, test=refund.test, why=why)
    else:
        refund = draft.look_up(refund, poll=True)
    draft.poll_later(refund)
    return draft.decision()


def watch(order: OrderMoney, message: messages.WatchDue, facts: Facts) -> MoneyDecision:
    """An open dispute is looked at again until it has closed."""
    draft = Draft(order=order, facts=facts)
    payment = order.payment(message.payment_id)
    dispute = order.dispute_on(message.payment_id, test=message.test)
    if payment is None or dispute is None or dispute.state is not DisputeState.OPEN:
        draft.ignored = "no dispute is open"
        return draft.decision()
    why = f"watch:{payment.payment_id}:{message.test}"
    draft.look_at(payment, test=message.test, why=why)
    standing.watch(draft, payment.payment_id, test=message.test, nth=message.nth)
    return draft.decision()


def payment_seen(order: OrderMoney, message: messages.PaymentSeen, facts: Facts) -> MoneyDecision:
    """Disputes, refunds made elsewhere, our own refunds; what a won dispute held goes on."""
    draft = Draft(order=order, facts=facts)
    standing.take_up(draft, (message.look,), test=message.test)
    for seen in message.look.refunds:
        ours = draft.order.refunds.get(seen.refund_id or "")
        if ours is not None and ours.test == message.test:
            outcome.see(draft, ours, seen)
    for refund in tuple(draft.order.refunds.values()):
        if _held_on(refund, message) and not outcome.blocked(draft, refund):
            outcome.resume(draft, refund)
    return draft.decision()


def doubted(order: OrderMoney, message: messages.RefundDoubted, facts: Facts) -> MoneyDecision:
    """Our books and the processor's differ: the processor is asked, whatever we believe."""
    draft = Draft(order=order, facts=facts)
    draft.look_up(order.refunds[message.refund_id])
    return draft.decision()


def doubt(order_id: str, refund_id: str, now: datetime) -> Deadline:
    """A message to self, at once, under the lock of the refund's own order."""
    message = messages.RefundDoubted(order_id=order_id, refund_id=refund_id)
    return Deadline(name="doubt", subject=refund_id, at=now, message=message)


def next_reconciliation(now: datetime) -> Deadline:
    """Every night at RECONCILE_HOUR UTC; setting it twice sets it once."""
    at = now.replace(hour=RECONCILE_HOUR, minute=0, second=0, microsecond=0)
    if at <= now:
        at += timedelta(days=1)
    due = messages.ReconciliationDue()
    return Deadline(name="reconciliation", subject="nightly", at=at, message=due)


def reconciliation(now: datetime) -> Effect:
    since = now - timedelta(days=RECONCILE_DAYS)
    return Effect(id="reconciliation", payload=messages.Reconcile(since=since))


def _held_on(refund: Refund, message: messages.PaymentSeen) -> bool:
    return (
        refund.held
        and refund.state is RefundState.RESERVED
        and refund.test == message.test
        and any(source.payment_id == message.look.payment_id for source in refund.sources)
    )
