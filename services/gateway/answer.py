"""What `GET /returns/{return_id}` says: the pinned shape, from a view. Pure."""

from __future__ import annotations

from datetime import timedelta

from contracts.base import Identifier, Instant, MinorUnits, Part, ReturnId, Text
from contracts.decisions import Outcome, ReturnDecisionMade
from contracts.fulfillment import ReturnLabelIssued
from contracts.lifecycle import Party, Status
from contracts.requests import Method
from contracts.warehouse import Grade
from services.gateway import reserve
from services.gateway.model import Goods, GoodsState, RefundState, Sighting, View

REQUESTED_WAIT = timedelta(seconds=10)
"""How long commerce may take to look at a request: the states table of the domain."""
REQUESTED_EXPLANATION = "We have received your return request and are looking at it."


class RefundAnswer(Part):
    refund_id: Identifier | None = None
    """Absent while the money is only reserved."""
    method: Method
    payment_id: Identifier | None = None
    amount: MinorUnits
    currency: str
    state: RefundState
    processor_reference: Identifier | None = None


class GoodsLine(Part):
    line_id: Identifier
    received: int
    grade: Grade | None = None


class GoodsAnswer(Part):
    state: GoodsState
    lines: tuple[GoodsLine, ...] = ()
    tracking: tuple[Sighting, ...] = ()
    """The parcels' way, both ways, earliest first."""


class TimelineEntry(Part):
    at: Instant
    status: Status
    explanation: Text


class ReturnAnswer(Part):
    """A return as it stands."""

    return_id: ReturnId
    order_id: Identifier | None = None
    status: Status
    waiting_on: Party
    until: Instant | None = None
    refund_due: Instant | None = None
    """By when the refund must have been made by law, as far as that is known now."""
    explanation: Text
    decision: ReturnDecisionMade | None = None
    refunds: tuple[RefundAnswer, ...] = ()
    label: ReturnLabelIssued | None = None
    goods: GoodsAnswer
    timeline: tuple[TimelineEntry, ...] = ()


class Page(Part):
    items: tuple[ReturnAnswer, ...]
    next_cursor: str | None = None
    """Absent on the last page."""


def answer(view: View) -> ReturnAnswer:
    latest = view.latest
    return ReturnAnswer(
        return_id=view.return_id,
        order_id=view.order_id,
        status=latest.status if latest else Status.REQUESTED,
        waiting_on=latest.waiting_on if latest else Party.COMMERCE,
        until=latest.until if latest else view.requested_at + REQUESTED_WAIT,
        refund_due=latest.refund_due if latest else None,
        explanation=latest.explanation if latest else REQUESTED_EXPLANATION,
        decision=view.decision,
        refunds=_refunds(view),
        label=view.label,
        goods=GoodsAnswer(
            state=goods_state(view), lines=_goods_lines(view), tracking=view.goods.tracking
        ),
        timeline=_timeline(view),
    )


def _timeline(view: View) -> tuple[TimelineEntry, ...]:
    if not view.changes:
        return (
            TimelineEntry(
                at=view.requested_at, status=Status.REQUESTED, explanation=REQUESTED_EXPLANATION
            ),
        )
    return tuple(
        TimelineEntry(at=each.changed_at, status=each.status, explanation=each.explanation)
        for each in view.changes
    )


def _refunds(view: View) -> tuple[RefundAnswer, ...]:
    """Released refunds by id; what is only reserved, or was given back unused, without one."""
    listed = [
        RefundAnswer(
            refund_id=each.refund_id,
            method=each.method,
            payment_id=each.payment_id,
            amount=each.amount,
            currency=each.currency,
            state=each.state,
            processor_reference=each.processor_reference,
        )
        for each in view.refunds
    ]
    held = ((RefundState.RESERVED, each) for each in reserve.still_held(view))
    given_back = ((RefundState.VOIDED, each) for each in reserve.given_back(view))
    for state, allocation in (*held, *given_back):
        assert view.reservation is not None
        listed.append(
            RefundAnswer(
                method=(
                    view.decision.settlement.method
                    if view.decision
                    else Method.ORIGINAL_PAYMENT_METHOD
                ),
                payment_id=allocation.payment_id,
                amount=allocation.amount,
                currency=view.reservation.currency,
                state=state,
            )
        )
    return tuple(listed)


def goods_state(view: View) -> GoodsState:
    """How far the furthest unit has come; the first line that holds wins."""
    goods = view.goods
    decision = view.decision
    approved = decision is not None and decision.decision is Outcome.APPROVED
    ladder = (
        (GoodsState.INSPECTED, any(line.inspected for line in goods.lines)),
        (GoodsState.RECEIVED, any(line.received for line in goods.lines)),
        (GoodsState.LOST, goods.lost),
        (GoodsState.DELIVERED, goods.delivered),
        (GoodsState.IN_TRANSIT, goods.shipped),
        (GoodsState.NEVER_SENT, goods.never_sent),
        (GoodsState.LABEL_ISSUED, view.label is not None),
        (GoodsState.NOT_REQUIRED, approved and not _return_required(view)),
        (GoodsState.AUTHORISED, approved),
    )
    if goods.disposition is not None:
        return _disposition(goods)
    return next((state for state, holds in ladder if holds), GoodsState.NONE)


def _disposition(goods: Goods) -> GoodsState:
    try:
        return GoodsState(str(goods.disposition))
    except ValueError:  # a disposition that a newer service invented
        return GoodsState.INSPECTED


def _return_required(view: View) -> bool:
    return view.decision is not None and view.decision.return_.required


def _goods_lines(view: View) -> tuple[GoodsLine, ...]:
    """Every line of the decision and every line that something came in for."""
    seen = {line.line_id: line for line in view.goods.lines}
    promised = [line.line_id for line in view.decision.lines] if view.decision else []
    ids = dict.fromkeys([*(id_ for id_ in promised if id_ is not None), *seen])
    return tuple(
        GoodsLine(
            line_id=id_,
            received=seen[id_].received if id_ in seen else 0,
            grade=seen[id_].grade if id_ in seen else None,
        )
        for id_ in ids
    )
