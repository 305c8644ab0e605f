"""What is booked beside the money: points and tax. They settle with the refund and fail with it."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.decisions import TaxLeg
from contracts.payment import LoyaltyReversed, TaxReversalRecorded
from services.payment.decide.draft import Draft
from services.payment.decide.orders import points_posting
from services.payment.decide.rows import CreditNote
from services.payment.model import OrderMoney, Refund, RefundState, ReversalState

SERIES = {False: "CN", True: "TEST"}
"""Live and test returns have numbers of their own; both without gaps within a year."""
NUMBER_DIGITS = 6


def book(draft: Draft, refund: Refund) -> Refund:
    """Book the legs of a refund that has settled, once."""
    if refund.legs is None or refund.legs_booked:
        return refund
    points = refund.legs.loyalty
    reversed_, restored = points.points_to_reverse, points.points_to_restore
    if reversed_ or restored:
        _points(draft, refund, reversed_=reversed_, restored=restored)
    for tax in refund.legs.tax:
        if tax.tax != 0:  # a rate without tax has nothing to take back
            _tax(draft, refund, tax, sign=1)
    return draft.keep(refund.model_copy(update={"legs_booked": True}))


def take_back(draft: Draft, refund: Refund) -> Refund:
    """The same messages with negative numbers, when a settled refund failed later.

    What reversals have taken back already is not taken back twice.
    """
    if refund.legs is None or not refund.legs_booked:
        return refund
    others = _settled(draft.order, refund.return_id, without=refund.refund_id)
    _take(draft, refund, _Part(begin=_reversed(draft.order, refund), total=others + refund.amount))
    return draft.keep(refund.model_copy(update={"legs_booked": False}))


def reverse(draft: Draft, return_id: str, *, before: int, after: int) -> None:
    """Take back the part of a return's legs that belongs to the money that was taken back.

    `before` and `after`: what reversals have taken of its refunds in all, minor units.
    """
    part = _Part(begin=before, end=after, total=_settled(draft.order, return_id))
    for refund in draft.order.refunds.values():
        if refund.return_id == return_id and refund.legs_booked:
            _take(draft, refund, part)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """From `begin` to `end` of `total` minor units that were paid; by default up to the end.

    Each part is the difference of two floors, so that the parts of many reversals add up to the
    whole.
    """

    begin: int
    end: int | None = None
    total: int

    def of(self, amount: int) -> int:
        begin = min(self.begin, self.total)
        end = self.total if self.end is None else min(self.end, self.total)
        return amount * end // self.total - amount * begin // self.total


def _take(draft: Draft, refund: Refund, part: _Part) -> None:
    assert refund.legs is not None
    points = refund.legs.loyalty
    reversed_, restored = part.of(points.points_to_reverse), part.of(points.points_to_restore)
    if reversed_ or restored:
        _points(draft, refund, reversed_=-reversed_, restored=-restored)
    for tax in refund.legs.tax:
        leg = tax.model_copy(update={"net": part.of(tax.net), "tax": part.of(tax.tax)})
        if leg.tax != 0:
            _tax(draft, refund, leg, sign=-1)


def _settled(order: OrderMoney, return_id: str, *, without: str = "") -> int:
    return sum(
        each.amount
        for each in order.refunds.values()
        if each.return_id == return_id
        and each.state is RefundState.SETTLED
        and each.refund_id != without
    )


def _reversed(order: OrderMoney, refund: Refund) -> int:
    return sum(
        each.amount
        for each in order.reversals.values()
        if each.return_id == refund.return_id and each.state is ReversalState.SETTLED
    )


def _points(draft: Draft, refund: Refund, *, reversed_: int, restored: int) -> None:
    change = restored - reversed_
    if change != 0:
        draft.postings.append(
            points_posting(
                draft.order,
                change,
                return_id=refund.return_id,
                refund_id=refund.refund_id,
                test=refund.test,
            )
        )
    if not refund.test:
        draft.points += change
    draft.events.append(
        LoyaltyReversed(
            return_id=refund.return_id,
            order_id=draft.order.order_id,
            refund_id=refund.refund_id,
            points_reversed=reversed_,
            points_restored=restored,
            balance=draft.facts.points + draft.points + (change if refund.test else 0),
            test=refund.test,
        )
    )


def series_of(year: int, *, test: bool) -> str:
    return f"{SERIES[test]}-{year}"


def _tax(draft: Draft, refund: Refund, leg: TaxLeg, *, sign: int) -> None:
    series = series_of(draft.now.year, test=refund.test)
    used = sum(1 for note in draft.notes if note.series == series)
    ordinal = draft.facts.last_notes.get(series, 0) + used + 1
    note = CreditNote(
        series=series,
        ordinal=ordinal,
        number=f"{series}-{ordinal:0{NUMBER_DIGITS}d}",
        return_id=refund.return_id,
        refund_id=refund.refund_id,
        rate_bps=leg.rate_bps,
        net=sign * leg.net,
        tax=sign * leg.tax,
        currency=refund.currency,
        original_reference=draft.order.order_number,
        period=f"{draft.now:%Y-%m}",
        test=refund.test,
    )
    draft.notes.append(note)
    draft.events.append(
        TaxReversalRecorded(
            return_id=refund.return_id,
            order_id=draft.order.order_id,
            refund_id=refund.refund_id,
            rate_bps=note.rate_bps,
            net=note.net,
            tax=note.tax,
            currency=note.currency,
            credit_note_number=note.number,
            original_reference=note.original_reference,
            period=note.period,
            test=note.test,
        )
    )
