"""Money is put aside for an approved return, and given free when the return comes to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.assessments import DisputeState
from contracts.decisions import Allocation, Outcome, ReturnClosed, ReturnDecisionMade
from contracts.payment import RefundReservationRefused, RefundReservationVoided, RefundReserved
from services.payment import methods
from services.payment.decide.draft import Draft, Facts, MoneyDecision, alternatives_to
from services.payment.decide.orders import book_captured
from services.payment.model import PROCESSOR_METHOD, Account, OrderMoney, PaymentFacts, ReturnMoney


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    code: str
    payment_id: str


def decided(order: OrderMoney, message: ReturnDecisionMade, facts: Facts) -> MoneyDecision:
    """Approved: reserve what this sequence allocates. Rejected: give free. Escalated: leave."""
    money = order.returns.get(message.return_id)
    if money is not None and message.sequence <= money.sequence:
        return MoneyDecision(state=order, ignored="older or same sequence")
    total = message.refund.total if message.refund is not None else 0
    draft = Draft(order=order, facts=facts)
    if message.decision is Outcome.APPROVED and total > 0:
        _reserve(draft, message, total)
    elif money is not None:
        money = money.model_copy(update={"sequence": message.sequence})
        draft.order = order.with_return(money)
        if message.decision in (Outcome.APPROVED, Outcome.REJECTED):
            void(draft, message.return_id, message.sequence)
    else:
        draft.ignored = f"{message.decision} without money"
    return draft.decision()


def closed(order: OrderMoney, message: ReturnClosed, facts: Facts) -> MoneyDecision:
    """The return is over: nothing more of it will be released."""
    draft = Draft(order=order, facts=facts)
    money = order.returns.get(message.return_id)
    if money is None:
        draft.ignored = "closed without money"
    else:
        void(draft, message.return_id, message.sequence or money.sequence or 1)
    return draft.decision()


def void(draft: Draft, return_id: str, sequence: int) -> None:
    """Give free what a return has reserved and not released, and say so."""
    money = draft.order.returns[return_id]
    freed = []
    for payment_id, amount in money.reserve.items():
        if amount > 0:
            draft.post(
                payment_id,
                Account.RESERVED,
                Account.AVAILABLE,
                amount,
                test=money.test,
                return_id=return_id,
            )
            freed.append(Allocation(payment_id=payment_id, amount=amount))
    draft.order = draft.order.with_return(money.model_copy(update={"reserve": {}}))
    draft.events.append(
        RefundReservationVoided(
            return_id=return_id,
            order_id=draft.order.order_id,
            decision_sequence=sequence,
            allocations=tuple(freed),
            currency=draft.order.currency,
            test=money.test,
        )
    )


def _reserve(draft: Draft, message: ReturnDecisionMade, total: int) -> None:
    order = draft.order
    known = order.returns.get(message.return_id) or ReturnMoney(return_id=message.return_id)
    money = known.model_copy(
        update={
            "sequence": message.sequence,
            "method": message.settlement.method,
            "test": message.test,
            "cause": draft.facts.cause,
        }
    )
    draft.order = order.with_return(money)
    allocations = message.settlement.allocations or _allocate(draft.order, money, total)
    refusal = _refusal(draft, money, allocations, total)
    if refusal is not None:
        draft.events.append(_refused(draft, message, allocations, refusal))
        return
    reserve = dict(money.reserve)
    for payment_id, target in _targets(draft.order, money, allocations).items():
        _reserve_on(draft, money, payment_id, target - reserve.get(payment_id, 0))
        reserve[payment_id] = target
    changes = {
        "reserve": {payment_id: amount for payment_id, amount in reserve.items() if amount > 0},
        "reserved_sequence": message.sequence,
        "allocations": allocations,
    }
    draft.order = draft.order.with_return(money.model_copy(update=changes))
    draft.events.append(
        RefundReserved(
            return_id=message.return_id,
            order_id=order.order_id,
            decision_sequence=message.sequence,
            allocations=allocations,
            currency=order.currency,
            test=message.test,
        )
    )


def _reserve_on(draft: Draft, money: ReturnMoney, payment_id: str, difference: int) -> None:
    if money.test:
        payment = draft.order.payment(payment_id)
        if payment is not None:
            book_captured(draft, payment, test=True)
    source, target = Account.AVAILABLE, Account.RESERVED
    if difference < 0:
        source, target = target, source
    draft.post(
        payment_id,
        source,
        target,
        abs(difference),
        test=money.test,
        return_id=money.return_id,
    )


def _targets(
    order: OrderMoney, money: ReturnMoney, allocations: tuple[Allocation, ...]
) -> Mapping[str, int]:
    """Payment -> what has to lie in the return's reserve: allocated, less what is released."""
    allocated = dict.fromkeys(money.reserve, 0)
    for each in allocations:
        allocated[each.payment_id] = allocated.get(each.payment_id, 0) + each.amount
    return {
        payment_id: max(
            amount - order.released(payment_id, test=money.test, only_return=money.return_id),
            0,
        )
        for payment_id, amount in allocated.items()
    }


def _allocate(order: OrderMoney, money: ReturnMoney, total: int) -> tuple[Allocation, ...]:
    """Where commerce names no payments: last captured first, each up to its room."""
    parts = []
    for payment in reversed(order.payments):
        own = order.room(payment, test=money.test, without_return=money.return_id)
        part = min(total, own)
        if part > 0:
            parts.append(Allocation(payment_id=payment.payment_id, amount=part))
            total -= part
    return tuple(parts)


def _refusal(
    draft: Draft, money: ReturnMoney, allocations: tuple[Allocation, ...], total: int
) -> Refusal | None:
    order = draft.order
    if sum(each.amount for each in allocations) < total:
        return Refusal(code="insufficient_captured", payment_id="")
    for payment_id, target in _targets(order, money, allocations).items():
        if target <= money.reserve.get(payment_id, 0):
            continue
        payment = order.payment(payment_id)
        if payment is None:
            return Refusal(code="payment_unknown", payment_id=payment_id)
        code = _code(draft, money, payment)
        if code is not None:
            return Refusal(code=code, payment_id=payment_id)
        room = order.room(payment, test=money.test) + money.reserve.get(payment_id, 0)
        if target > room:
            return Refusal(code="insufficient_captured", payment_id=payment_id)
    return None


def _code(draft: Draft, money: ReturnMoney, payment: PaymentFacts) -> str | None:
    dispute = draft.order.dispute_on(payment.payment_id, test=money.test)
    if dispute is not None and dispute.state is DisputeState.OPEN:
        return "dispute_open"  # it blocks every method until it closes
    if money.method is not PROCESSOR_METHOD:
        return None
    if dispute is not None and dispute.state is DisputeState.LOST:
        return "dispute_lost"
    if methods.refusal(payment, draft.now) is not None:
        return "not_refundable"
    seen = draft.order.standing(payment.payment_id, test=money.test)
    if seen is not None and (not seen.known or seen.refusal is not None):
        return "not_refundable"
    return None


def _refused(
    draft: Draft,
    message: ReturnDecisionMade,
    allocations: tuple[Allocation, ...],
    refusal: Refusal,
) -> RefundReservationRefused:
    return RefundReservationRefused(
        return_id=message.return_id,
        order_id=draft.order.order_id,
        decision_sequence=message.sequence,
        allocations=allocations,
        currency=draft.order.currency,
        code=refusal.code,
        alternatives=alternatives_to(message.settlement.method),
        test=message.test,
    )
