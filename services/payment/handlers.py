"""From a message to a decision: look up, decide, keep. No business is decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.assessments import AssessmentRequested
from contracts.base import Message
from contracts.decisions import (
    Outcome,
    RefundReleased,
    RefundVoided,
    ReplacementReleased,
    ReturnClosed,
    ReturnDecisionMade,
    ReversalReleased,
)
from contracts.orders import OrderSnapshot
from contracts.quarantine import RecordQuarantined
from services.chassis.service import Handler
from services.payment import messages
from services.payment.decide import (
    assessment,
    credit,
    hints,
    orders,
    outcome,
    release,
    reservation,
    reversal,
)
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.model import PARKED_WAIT, OrderMoney
from services.payment.store import PaymentWork

Decide = Callable[[OrderMoney, Any, Facts], MoneyDecision]


def on_order(work: PaymentWork, message: OrderSnapshot) -> None:
    current = work.orders.get(message.order_id)
    cause = work.message.causation_id
    decision = orders.know(current, message, work.facts(current, cause))
    if decision.ignored is not None:
        work.ignore(decision.ignored)
        return
    work.renamed.add(message.order_id)
    work.settle(decision, cause)


def of_order(decide: Decide) -> Handler:
    """A handler of a message about an order that has to be known first."""

    def handle(work: PaymentWork, message: Any) -> None:
        order = _order(work, message.order_id)
        if order is not None:
            cause = work.message.causation_id
            work.settle(decide(order, message, work.facts(order, cause)), cause)

    return handle


def _order(work: PaymentWork, order_id: str | None) -> OrderMoney | None:
    """The order's money. Where it is not known yet, the message waits for it."""
    if order_id is None:
        work.ignore("without an order")
        return None
    order = work.orders.get(order_id)
    if order is None:
        until = work.now + PARKED_WAIT
        work.park(keys=(order_id,), until=until, reason=f"order {order_id} is not known")
    return order


def on_decided(work: PaymentWork, message: ReturnDecisionMade) -> None:
    """An escalation leaves the money as it is, so it does not wait for its order."""
    if message.decision is Outcome.ESCALATED and message.order_id not in work.orders:
        work.ignore("escalated, and the order is not known")
        return
    of_order(reservation.decided)(work, message)


def on_released(work: PaymentWork, message: RefundReleased) -> None:
    order = _order(work, message.order_id)
    if order is None:
        return
    if message.return_id not in order.returns:
        reason = f"return {message.return_id} has nothing reserved"
        work.park(keys=(message.order_id,), until=work.now + PARKED_WAIT, reason=reason)
        return
    cause = work.message.causation_id
    work.settle(release.released(order, message, work.facts(order, cause)), cause)


def on_voided(work: PaymentWork, message: RefundVoided) -> None:
    order = _order(work, message.order_id)
    if order is None:
        return
    if message.refund_id not in order.refunds:
        reason = f"refund {message.refund_id} is not known"
        work.park(keys=(message.order_id,), until=work.now + PARKED_WAIT, reason=reason)
        return
    cause = work.message.causation_id
    work.settle(release.voided(order, message, work.facts(order, cause)), cause)


def of_refund(decide: Decide) -> Handler:
    """A handler of a message to self about a refund; it goes back to the refund's release."""

    def handle(work: PaymentWork, message: Any) -> None:
        order = work.orders[message.order_id]
        cause = order.refunds[message.refund_id].cause
        work.settle(decide(order, message, work.facts(order, cause)), cause)

    return handle


def on_webhook(work: PaymentWork, message: messages.WebhookReceived) -> None:
    if message.event_id in work.known_events:
        work.ignore("event seen before")
        return
    work.known_events.add(message.event_id)
    named = [work.orders.get(order_id) for order_id in work.orders_named(message)]
    known = [order for order in named if order is not None]
    work.booked.events.append((message, known[0].order_id if known else "", ""))
    for order in known:
        refund = order.refunds.get(message.refund_id or "")
        cause = refund.cause if refund is not None else order.cause
        work.settle(hints.webhook(order, message, work.facts(order, cause)), cause)


def on_debit(work: PaymentWork, message: messages.DebitStoreCredit) -> None:
    """Raises Overdrawn, which the caller over HTTP gets to hear."""
    if message.debit_id in work.known_debits:
        work.ignore("debit seen before")
        return
    account = (message.customer_id, message.currency, False)
    posting = credit.debit(message, work.credit_of.get(account, 0))
    by = (message.order_id, work.message.causation_id)
    work.book([posting], *by)
    work.booked.debits.append((message, *by))


def on_credit_expired(work: PaymentWork, message: messages.CreditExpired) -> None:
    """What is left of it ends; a second firing finds nothing left."""
    issued = work.credits.get(message.customer_id, [])
    [ending] = [each for each in issued if each.credit_id == message.credit_id]
    left = credit.left(issued, work.credit_entries.get(message.customer_id, []))
    posting = credit.expired(ending, left.get(message.credit_id, 0))
    if posting is None:
        work.ignore("store credit spent before it expired")
        return
    by = (message.order_id, work.message.causation_id)
    work.book([posting], *by)
    work.booked.debits.append((credit.debit_of(ending, posting, message.order_id), *by))


def on_schedule(work: PaymentWork, message: Message) -> None:
    work.deadline(hints.next_reconciliation(work.now))


def on_reconciliation_due(work: PaymentWork, message: messages.ReconciliationDue) -> None:
    work.deadline(hints.next_reconciliation(work.now))
    work.effect(hints.reconciliation(work.now))


def on_reconciled(work: PaymentWork, message: messages.Reconciled) -> None:
    for order_id, refund_id in message.doubts:
        work.deadline(hints.doubt(order_id, refund_id, work.now))
    for kind in message.kinds:
        work.ignore(f"difference: {kind}")


def on_quarantined(work: PaymentWork, message: RecordQuarantined) -> None:
    work.publish(message, key=message.order_id or message.return_id or message.topic)


def ignored(work: PaymentWork, message: Message) -> None:
    work.ignore("not about money")


HANDLERS: Mapping[type[Message], Handler] = {
    OrderSnapshot: on_order,
    AssessmentRequested: of_order(assessment.ask),
    ReturnDecisionMade: on_decided,
    RefundReleased: on_released,
    RefundVoided: on_voided,
    ReturnClosed: of_order(reservation.closed),
    ReversalReleased: of_order(reversal.released),
    ReplacementReleased: ignored,
    RecordQuarantined: on_quarantined,
    messages.PaymentsLooked: of_order(assessment.answer),
    messages.RefundSubmitted: of_refund(outcome.submitted),
    messages.RefundSeen: of_refund(outcome.seen),
    messages.PaymentSeen: of_order(hints.payment_seen),
    messages.PollDue: of_refund(hints.poll),
    messages.WatchDue: of_order(hints.watch),
    messages.ReversalCharged: of_order(reversal.charged),
    messages.WebhookReceived: on_webhook,
    messages.DebitStoreCredit: on_debit,
    messages.CreditExpired: on_credit_expired,
    messages.RefundDoubted: of_refund(hints.doubted),
    messages.ScheduleReconciliation: on_schedule,
    messages.ReconciliationDue: on_reconciliation_due,
    messages.Reconciled: on_reconciled,
}
