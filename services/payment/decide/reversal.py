"""A settled refund is taken back, by consent: from store credit, or by a new charge."""

from __future__ import annotations

from contracts.decisions import ReversalReleased
from contracts.orders import Processor
from contracts.payment import ReversalRefused, ReversalSettled
from contracts.requests import Method
from services.chassis.decision import Effect
from services.payment import messages
from services.payment.decide import legs
from services.payment.decide.draft import Draft, Facts, MoneyDecision
from services.payment.decide.rows import STORE_CREDIT, Posting
from services.payment.model import (
    OrderMoney,
    PaymentFacts,
    RefundState,
    Reversal,
    ReversalState,
)

CHARGE = "charge"


def released(order: OrderMoney, message: ReversalReleased, facts: Facts) -> MoneyDecision:
    """Debit the store credit of this return if there is enough, else charge with consent."""
    draft = Draft(order=order, facts=facts)
    if message.reversal_id in order.reversals:
        return MoneyDecision(state=order, ignored="duplicate")
    reversal = Reversal(
        reversal_id=message.reversal_id,
        return_id=message.return_id,
        amount=message.amount,
        state=ReversalState.CHARGING,
        method=CHARGE,
        test=message.test,
        cause=facts.cause,
    )
    credited = _paid(order, message.return_id, Method.STORE_CREDIT)
    taken = _taken(order, message.return_id)
    payment = order.payment(message.payment_id) or _refunded_payment(order, message.return_id)
    if message.amount > _paid(order, message.return_id, None) - taken:
        _refuse(draft, reversal, "exceeds_refund", "more than was refunded cannot be taken back")
    elif credited >= message.amount and facts.credit_in(test=message.test) >= message.amount:
        _debit(draft, reversal)
    elif message.consent is None:
        _refuse(draft, reversal, "consent_missing", "a new charge needs the customer's consent")
    elif payment is None:
        _refuse(draft, reversal, "no_payment", "no payment of this return can be charged again")
    else:
        sandbox = message.test or payment.processor is Processor.SANDBOX
        changes = {"processor": "sandbox" if sandbox else "stripe", "asked_at": draft.now}
        _put(draft, reversal.model_copy(update=changes))
        payload = messages.ChargeReversal(
            order_id=order.order_id,
            return_id=message.return_id,
            reversal_id=message.reversal_id,
            payment=payment,
            amount=message.amount,
            currency=message.currency,
            asked_at=draft.now,
            test=message.test,
        )
        draft.effects.append(Effect(id=f"reversal:{message.reversal_id}", payload=payload))
    return draft.decision()


def charged(order: OrderMoney, message: messages.ReversalCharged, facts: Facts) -> MoneyDecision:
    draft = Draft(order=order, facts=facts)
    reversal = order.reversals[message.reversal_id]
    if reversal.state is not ReversalState.CHARGING:
        return MoneyDecision(state=order, ignored="late")
    if message.settled:
        _settle(draft, reversal, CHARGE, message.reference)
    else:
        _refuse(draft, reversal, message.code, message.explanation)
    return draft.decision()


def overtaken(draft: Draft, return_id: str) -> int:
    """A refund has come to nothing: what is still to be charged beyond the others is not wanted.

    What reversals of the return took, or may still take, beyond what was paid, minor units.
    """
    excess = max(_taken(draft.order, return_id) - _paid(draft.order, return_id, None), 0)
    left = excess
    for each in reversed(tuple(draft.order.reversals.values())):
        if left > 0 and each.return_id == return_id and each.state is ReversalState.CHARGING:
            _put(draft, each.model_copy(update={"unwanted_at": each.unwanted_at or draft.now}))
            left -= each.amount
    return excess


def _paid(order: OrderMoney, return_id: str, method: Method | None) -> int:
    return sum(
        refund.amount
        for refund in order.refunds.values()
        if refund.return_id == return_id
        and refund.state is RefundState.SETTLED
        and method in (None, refund.method)
    )


def _taken(order: OrderMoney, return_id: str) -> int:
    """What earlier reversals of the return took back, or may still take."""
    return sum(
        each.amount
        for each in order.reversals.values()
        if each.return_id == return_id and each.state is not ReversalState.REFUSED
    )


def _refunded_payment(order: OrderMoney, return_id: str) -> PaymentFacts | None:
    for refund in order.refunds.values():
        if refund.return_id == return_id and refund.state is RefundState.SETTLED:
            return order.payment(refund.payment_id)
    return None


def _put(draft: Draft, reversal: Reversal) -> None:
    reversals = {**draft.order.reversals, reversal.reversal_id: reversal}
    draft.order = draft.order.model_copy(update={"reversals": reversals})


def _debit(draft: Draft, reversal: Reversal) -> None:
    draft.postings.append(
        Posting(
            book=STORE_CREDIT,
            holder=draft.order.customer_id,
            source="customer",
            target="merchant",
            amount=reversal.amount,
            unit=draft.order.currency,
            return_id=reversal.return_id,
            test=reversal.test,
        )
    )
    _settle(draft, reversal, Method.STORE_CREDIT.value)


def _settle(draft: Draft, reversal: Reversal, method: str, reference: str | None = None) -> None:
    before = _settled(draft.order, reversal.return_id)
    changes = {"state": ReversalState.SETTLED, "method": method, "reference": reference}
    reversal = reversal.model_copy(update=changes)
    _put(draft, reversal)
    if method == CHARGE:
        draft.postings.append(
            Posting(
                book="reversal",
                holder=reversal.return_id,
                source="customer",
                target="merchant",
                amount=reversal.amount,
                unit=draft.order.currency,
                return_id=reversal.return_id,
                test=reversal.test,
            )
        )
    draft.events.append(
        ReversalSettled(
            return_id=reversal.return_id,
            order_id=draft.order.order_id,
            reversal_id=reversal.reversal_id,
            amount=reversal.amount,
            currency=draft.order.currency,
            method=method,
            test=reversal.test,
        )
    )
    legs.reverse(draft, reversal.return_id, before=before, after=before + reversal.amount)


def _settled(order: OrderMoney, return_id: str) -> int:
    """What reversals of the return have taken back."""
    return sum(
        each.amount
        for each in order.reversals.values()
        if each.return_id == return_id and each.state is ReversalState.SETTLED
    )


def _refuse(draft: Draft, reversal: Reversal, code: str, explanation: str) -> None:
    _put(draft, reversal.model_copy(update={"state": ReversalState.REFUSED}))
    draft.events.append(
        ReversalRefused(
            return_id=reversal.return_id,
            order_id=draft.order.order_id,
            reversal_id=reversal.reversal_id,
            amount=reversal.amount,
            currency=draft.order.currency,
            method=reversal.method,
            code=code or "refused",
            explanation=explanation,
            test=reversal.test,
        )
    )
