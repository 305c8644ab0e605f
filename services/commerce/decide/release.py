"""Money and replacements are released: once reserved, once their condition holds, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from contracts.decisions import (
    Allocation,
    LineUnits,
    RefundOn,
    RefundReleased,
    ReplacementReleased,
    ShipOn,
)
from contracts.requests import Method
from services.commerce import judgement
from services.commerce.decide import asking
from services.commerce.decide.draft import Draft, derived
from services.commerce.judgement import Released
from services.commerce.model import (
    DONE,
    FACTS_AGE_MAX,
    HERE,
    Asked,
    Exchange,
    Goods,
    Refund,
    ReplacementState,
    Return,
    State,
    Terms,
    Unit,
    chosen,
    keys,
)
from services.commerce.papers import oldest_facts

RELEASE_REASONS = {
    RefundOn.APPROVAL: "approved",
    RefundOn.PROOF_OF_SENDING: "sent back",
    RefundOn.RECEIPT: "received",
    RefundOn.INSPECTION: "inspected",
    None: "inspected as agreed",
}


def carry_out(draft: Draft) -> None:
    """Release whatever may be released now. Safe to call after every change."""
    current = draft.current
    if current.terms is None or current.missing:
        return
    if current.state is State.AWAITING_REVIEW:
        _pay_the_undisputed(draft)
    elif current.state is State.APPROVED:
        _carry_out(draft, current, current.terms)


def _pay_the_undisputed(draft: Draft) -> None:
    """What nobody doubts is paid while a person looks at the rest, if nothing else speaks against
    it: its reservation stands, no dispute is open, the facts are fresh."""
    current, terms = draft.current, draft.current.terms
    if current.undisputed is None or current.exchange is not None or terms is None:
        return
    named = frozenset(keys(current.undisputed)) - current.released_keys
    units = tuple(unit for unit in current.units_at(*DONE) if unit.key in named)
    if not units or current.unpaid or current.disputes or _voiding(current):
        return
    if current.reserved_sequence != terms.sequence:
        return
    if not _fresh(draft):
        asking.ask(draft, Asked.RELEASE)
        return
    _release(draft, units)


def _carry_out(draft: Draft, current: Return, terms: Terms) -> None:
    if current.exchange is not None:
        _replacement(draft, current.exchange)
        return
    units = payable(current)
    unpaid = tuple(_shares(current))
    if not (units or unpaid) or terms.total == 0:
        return
    if current.reserved_sequence != terms.sequence or _voiding(current):
        return
    if not _fresh(draft):
        asking.ask(draft, Asked.RELEASE)
        return
    for failed, amount in unpaid:
        _replace(draft, failed, amount)
    if units:
        _release(draft, units)
    draft.show()


def _voiding(current: Return) -> bool:
    return any(each.money == "voiding" for each in current.refunds)


def _fresh(draft: Draft) -> bool:
    oldest = draft.current.facts_as_of or oldest_facts(draft.facts)
    return oldest is not None and draft.now - oldest <= FACTS_AGE_MAX


def payable(current: Return) -> tuple[Unit, ...]:
    """The units whose condition holds and for which nothing was released yet."""
    terms = current.terms
    assert terms is not None
    released = current.released_keys
    allowed = None if terms.payable is None else frozenset(keys(terms.payable))
    return tuple(
        unit
        for unit in current.units
        if unit.key not in released
        and (allowed is None or unit.key in allowed or unit.goods is Goods.CLOSED)
        and _condition_holds(terms, unit)
    )


def _condition_holds(terms: Terms, unit: Unit) -> bool:
    if unit.goods in (Goods.CLOSED, Goods.NOT_REQUIRED):
        return True
    match terms.refund_on:
        case RefundOn.APPROVAL:
            return True
        case RefundOn.PROOF_OF_SENDING:
            return unit.goods in (Goods.IN_TRANSIT, Goods.DELIVERED, *HERE)
        case RefundOn.RECEIPT:
            return unit.goods in HERE
        case RefundOn.INSPECTION:
            # Only a decision that has seen the inspection pays for it; it names no condition.
            return False
        case _:
            return unit.goods in DONE


def _release(draft: Draft, units: tuple[Unit, ...]) -> None:
    current, terms, standing = draft.current, draft.current.terms, draft.standing
    assert terms is not None and standing is not None
    part = None
    if not current.parts and draft.order is not None:
        part = judgement.release_all(draft.order, standing, chosen(units))
    if part is None:
        part = judgement.release(draft.case(), standing, chosen(units), already=current.parts)
    number = len(current.parts) + 1
    draft.change(parts=(*current.parts, part))
    if part.release.amount <= 0:
        return
    lines = part.release.lines
    for position, tender in enumerate(_tenders(terms, part)):
        refund = Refund(
            refund_id=derived(
                "refund", current.return_id, terms.sequence, number, tender.payment_id
            ),
            method=terms.method,
            payment_id=tender.payment_id or None,
            amount=tender.amount,
            sequence=terms.sequence,
            lines={line.line_id: line.units for line in lines},
        )
        legs = part.legs if position == 0 else None
        _announce(draft, refund, RELEASE_REASONS[terms.refund_on], legs=legs)
        draft.change(refunds=(*draft.current.refunds, refund))


def _tenders(terms: Terms, part: Released) -> tuple[Allocation, ...]:
    """One refund for each payment; any other method is paid at once."""
    if terms.method is Method.ORIGINAL_PAYMENT_METHOD:
        return tuple(each for each in part.allocations if each.amount > 0)
    return (Allocation.model_construct(payment_id="", amount=part.release.amount),)


def _shares(current: Return) -> Iterator[tuple[Refund, int]]:
    """(refund, minor units): what is paid instead of each unpaid refund. A person may have agreed
    to less than all of them, or to more: the last one takes what is over."""
    unpaid, rest = current.unpaid, current.owed
    for position, failed in enumerate(unpaid, start=1):
        share = rest if position == len(unpaid) else min(failed.amount, rest)
        rest -= share
        if share:
            yield failed, share


def _replace(draft: Draft, failed: Refund, amount: int) -> None:
    """Another refund stands in for one that is proven failed or was taken back."""
    current, terms = draft.current, draft.current.terms
    assert terms is not None
    for payment_id, part in _sources(draft, failed, terms, amount):
        refund = Refund(
            refund_id=derived(
                "refund", current.return_id, terms.sequence, failed.refund_id, payment_id
            ),
            method=terms.method,
            payment_id=payment_id,
            amount=part,
            sequence=terms.sequence,
            lines=failed.lines,
        )
        _announce(draft, refund, "another way to pay", replaces=failed.refund_id)
        draft.change(refunds=(*draft.current.refunds, refund))
    draft.refund_changed(failed.model_copy(update={"replaced": True}))


def _sources(
    draft: Draft, failed: Refund, terms: Terms, amount: int
) -> list[tuple[str | None, int]]:
    """(payment, amount): by which payments the amount of a failed refund goes back."""
    if terms.method is not Method.ORIGINAL_PAYMENT_METHOD:
        return [(None, amount)]
    if failed.payment_id is not None:
        return [(failed.payment_id, amount)]
    rest, found = amount, []
    for payment_id, room in _rooms(draft):
        part = min(rest, room)
        if part > 0:
            found.append((payment_id, part))
            rest -= part
    return [*found]


def _rooms(draft: Draft) -> Iterator[tuple[str, int]]:
    """(payment, minor units): what is allocated to it and not live. Live money that names no
    payment lies on the first ones, as payment takes it from there."""
    standing, live = draft.standing, draft.current.live
    assert standing is not None
    unnamed = live.get("", 0)
    for each in standing.settlement.allocations:
        room = max(each.amount - live.get(each.payment_id, 0), 0)
        taken = min(unnamed, room)
        unnamed -= taken
        yield each.payment_id, room - taken


def _announce(
    draft: Draft,
    refund: Refund,
    reason: str,
    *,
    legs: object = None,
    replaces: str | None = None,
) -> None:
    current, terms = draft.current, draft.current.terms
    assert terms is not None and current.order_id is not None
    draft.events.append(
        RefundReleased.model_validate(
            {
                "return_id": current.return_id,
                "order_id": current.order_id,
                "refund_id": refund.refund_id,
                "method": refund.method,
                "payment_id": refund.payment_id,
                "amount": refund.amount,
                "currency": terms.currency,
                "decision_sequence": terms.sequence,
                "lines": tuple(
                    LineUnits(line_id=line_id, units=units)
                    for line_id, units in refund.lines.items()
                ),
                "legs": legs,
                "replaces_refund_id": replaces,
                "reference": terms.reference,
                "release_reason": reason,
                "test": current.test,
                "released_at": draft.now,
            }
        )
    )


def _replacement(draft: Draft, exchange: Exchange) -> None:
    """Send the replacement once its condition holds; the goods then count as exchanged."""
    current = draft.current
    if exchange.state is not ReplacementState.NONE or not may_ship(current, exchange):
        return
    if not _fresh(draft):
        asking.ask(draft, Asked.RELEASE)
        return
    send(draft, exchange)
    draft.show()


def send(draft: Draft, exchange: Exchange) -> None:
    """Tell fulfillment to send it; the same id again means: try again."""
    current = draft.current
    assert current.order_id is not None
    draft.events.append(
        ReplacementReleased(
            return_id=current.return_id,
            order_id=current.order_id,
            replacement_id=derived("replacement", current.return_id),
            sku=exchange.sku,
            quantity=exchange.quantity,
            ship_by=exchange.ship_by,
            test=current.test,
        )
    )
    draft.change(exchange=exchange.model_copy(update={"state": ReplacementState.RELEASED}))


def may_ship(current: Return, exchange: Exchange) -> bool:
    """Whether what the replacement waits for has happened."""
    if exchange.ship_on is ShipOn.APPROVAL:
        return True
    places = {unit.goods for unit in current.units}
    here = {*HERE, Goods.CLOSED, Goods.NOT_REQUIRED}
    if exchange.ship_on is ShipOn.PROOF_OF_SENDING:
        return places <= {*here, Goods.IN_TRANSIT, Goods.DELIVERED}
    return places <= here


def alternatives(draft: Draft) -> Mapping[str, object]:
    """What a person is told of other ways to pay."""
    money = draft.facts.refundability
    return {"alternatives": [str(each) for each in money.alternatives]} if money else {}
