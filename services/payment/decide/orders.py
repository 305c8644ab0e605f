"""What was captured: an order as it stands, in the ledger."""

from __future__ import annotations

from contracts.orders import OrderSnapshot
from services.payment.decide.draft import Draft, Facts, MoneyDecision
from services.payment.decide.rows import Posting
from services.payment.model import Account, OrderMoney, PaymentFacts

POINTS = "PTS"


def know(current: OrderMoney | None, message: OrderSnapshot, facts: Facts) -> MoneyDecision:
    """Take up an order or its new version; an older or equal version changes nothing."""
    if current is not None and message.version <= current.version:
        return MoneyDecision(state=current, ignored="older or same version")
    before = current or OrderMoney(
        order_id=message.order_id,
        order_number=message.order_number,
        version=message.version,
        currency=message.currency,
        customer_id=message.buyer.customer_id,
    )
    order = before.model_copy(
        update={
            "order_number": message.order_number,
            "version": message.version,
            "currency": message.currency,
            "customer_id": message.buyer.customer_id,
            "program_id": message.loyalty.program_id if message.loyalty else before.program_id,
            "payments": _payments(before, message),
            "cause": facts.cause,
        }
    )
    draft = Draft(order=order, facts=facts)
    for payment in order.payments:
        book_captured(draft, payment, test=False)
    _book_points(draft, message)
    return draft.decision()


def _payments(before: OrderMoney, message: OrderSnapshot) -> tuple[PaymentFacts, ...]:
    named = tuple(
        PaymentFacts(
            payment_id=each.payment_id,
            processor=each.processor,
            reference=each.processor_reference,
            method=each.method,
            network=each.network,
            last4=each.last4,
            captured=each.captured,
            captured_at=each.captured_at,
        )
        for each in message.payments
    )
    ids = {each.payment_id for each in named}
    # A payment from which money went back stays known, even if the order forgets it.
    kept = tuple(
        each
        for each in before.payments
        if each.payment_id not in ids
        and any(before.committed(each.payment_id, test=test) for test in (False, True))
    )
    return named + kept


def book_captured(draft: Draft, payment: PaymentFacts, *, test: bool) -> None:
    """Bring the ledger's captured amount up to the order's, never below what is committed."""
    order = draft.order
    name = "test_booked" if test else "booked"
    booked: dict[str, int] = getattr(order, name)
    before = booked.get(payment.payment_id, 0)
    captured = max(payment.captured, order.committed(payment.payment_id, test=test))
    if captured > before:
        difference = captured - before
        draft.post(payment.payment_id, Account.CUSTOMER, Account.AVAILABLE, difference, test=test)
    else:
        difference = before - captured
        draft.post(payment.payment_id, Account.AVAILABLE, Account.CUSTOMER, difference, test=test)
    draft.order = order.model_copy(update={name: {**booked, payment.payment_id: captured}})


def _book_points(draft: Draft, message: OrderSnapshot) -> None:
    if message.loyalty is None:
        return
    points = message.loyalty.points_earned - message.loyalty.points_redeemed
    change = points - draft.order.points_booked
    if change == 0:
        return
    draft.postings.append(points_posting(draft.order, change, return_id=None, refund_id=None))
    draft.points += change
    draft.order = draft.order.model_copy(update={"points_booked": points})


def loyalty_account(order: OrderMoney) -> str:
    """The holder of the customer's points in the ledger."""
    return f"{order.program_id or 'points'}:{order.customer_id}"


def points_posting(
    order: OrderMoney,
    change: int,
    *,
    return_id: str | None,
    refund_id: str | None,
    test: bool = False,
) -> Posting:
    """`change` points to the customer, or, where negative, back to the program."""
    source, target = ("program", "customer") if change > 0 else ("customer", "program")
    return Posting(
        book="loyalty",
        holder=loyalty_account(order),
        source=source,
        target=target,
        amount=abs(change),
        unit=POINTS,
        return_id=return_id,
        refund_id=refund_id,
        test=test,
    )
