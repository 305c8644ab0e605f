"""A release becomes a refund: checked against its reservation, then handed over, once."""

from __future__ import annotations

from contracts.decisions import Allocation, Legs, RefundReleased, RefundVoided
from contracts.requests import Method
from services.payment.decide import outcome, voiding
from services.payment.decide.draft import Draft, Facts, MoneyDecision, spread
from services.payment.model import (
    FAILED_STATES,
    PERSONS_METHODS,
    PROCESSOR_METHOD,
    OrderMoney,
    Refund,
    RefundState,
    ReturnMoney,
)
from services.payment.transitions import Event, Impossible


def released(order: OrderMoney, message: RefundReleased, facts: Facts) -> MoneyDecision:
    """Begin a refund. Its return's reservation is known. Raises Impossible where it may not be.

    A release that its reservation does not cover, or that would pay a second time what another
    method may still pay, is a fault of somebody's program: a person has to look.
    """
    draft = Draft(order=order, facts=facts)
    known = order.refunds.get(message.refund_id)
    if known is not None:
        _again(draft, known, message)
        return draft.decision()
    replaced = _replaced(draft, message)
    money = draft.order.returns[message.return_id]
    sources = _sources(message, money)
    reserve = dict(money.reserve)
    for part in sources:
        reserve[part.payment_id] -= part.amount
    draft.order = draft.order.with_return(money.model_copy(update={"reserve": reserve}))
    legs = message.legs
    if legs is None and replaced is not None:
        legs = replaced.legs  # they were not booked, or have been taken back
        draft.keep(replaced.model_copy(update={"legs": None}))  # others may replace it, too
    refund = draft.advance(_refund(message, sources, legs, facts), Event.RELEASED)
    draft.released.append(refund)
    if message.method not in PERSONS_METHODS:
        refund = draft.advance(refund, Event.SUBMIT)
        draft.submit(refund)
    elif message.reference is not None:
        outcome.paid_by_a_person(draft, refund, message.reference)
    return draft.decision()


def _again(draft: Draft, known: Refund, message: RefundReleased) -> None:
    """The same release once more: only a person's reference can add something."""
    if message.reference is not None and known.method in PERSONS_METHODS:
        outcome.paid_by_a_person(draft, known, message.reference)
    else:
        draft.advance(known, Event.RELEASED)


def _replaced(draft: Draft, message: RefundReleased) -> Refund | None:
    """The earlier refund that this one stands in for: proven failed, or never handed over."""
    if message.replaces_refund_id is None:
        return None
    replaced = draft.order.refunds.get(message.replaces_refund_id)
    if replaced is None or replaced.return_id != message.return_id:
        raise Impossible(f"{message.replaces_refund_id} is no refund of this return")
    waits_for_a_person = (
        replaced.method in PERSONS_METHODS and replaced.state is RefundState.RESERVED
    )
    if waits_for_a_person:
        return draft.advance(replaced, Event.VOID)
    if replaced.state not in FAILED_STATES:
        raise Impossible(f"{replaced.refund_id} is {replaced.state}: it may still be paid")
    return replaced


def _sources(message: RefundReleased, money: ReturnMoney) -> tuple[Allocation, ...]:
    if message.amount <= 0:
        raise Impossible("a release of nothing")
    order_of_payments = [each.payment_id for each in money.allocations]
    if message.method is PROCESSOR_METHOD and message.payment_id is None:
        raise Impossible("a refund to the original method needs its payment")
    if message.payment_id is not None:
        order_of_payments = [message.payment_id]
    sources = spread(message.amount, money.reserve, order_of_payments)
    if sources is None:
        raise Impossible(
            f"{message.amount} {message.currency} is more than this return has reserved"
        )
    return sources


def _refund(
    message: RefundReleased,
    sources: tuple[Allocation, ...],
    legs: Legs | None,
    facts: Facts,
) -> Refund:
    if message.method is Method.UNKNOWN:
        raise Impossible("a method that nobody defined")
    return Refund(
        refund_id=message.refund_id,
        return_id=message.return_id,
        method=message.method,
        payment_id=message.payment_id,
        sources=sources,
        amount=message.amount,
        currency=message.currency,
        decision_sequence=message.decision_sequence,
        state=RefundState.NONE,
        key_at=facts.now,
        legs=legs,
        replaces=message.replaces_refund_id,
        test=message.test,
        cause=facts.cause,
    )


def voided(order: OrderMoney, message: RefundVoided, facts: Facts) -> MoneyDecision:
    """Commerce takes a release back: also at the processor, where it is still pending.

    What is under way is taken back if it comes to nothing.
    """
    draft = Draft(order=order, facts=facts)
    refund = order.refunds[message.refund_id]
    if refund.state in (RefundState.SUBMITTING, RefundState.OUTCOME_UNKNOWN):
        draft.keep(refund.model_copy(update={"void_requested": True}))
        draft.ignored = f"void remembered while {refund.state}"
    elif refund.state is RefundState.PENDING_SETTLEMENT and refund.processor_reference:
        draft.keep(refund.model_copy(update={"void_requested": True}))
        draft.cancel(refund, refund.processor_reference)
    elif refund.state is RefundState.RESERVED:
        voiding.void(draft, refund)
    elif refund.state in FAILED_STATES:
        voiding.tell(draft, refund)
    else:
        draft.advance(refund, Event.VOID)
    return draft.decision()
