"""How each message moves a view. Pure; the same whatever the order in which topics arrive.

Within a topic the messages of one order are in order, between topics they are not. So statuses
are trusted by `number`, decisions by `sequence`, and each other fact has one topic it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from contracts import decisions, fulfillment, lifecycle, payment, requests
from contracts.base import Message
from contracts.warehouse import Grade
from services.gateway.model import (
    LineGoods,
    Refund,
    RefundState,
    Reservation,
    Sighting,
    View,
)

SIGHTINGS_MAX = 100

GRADES_FROM_BEST = (
    Grade.AS_NEW,
    Grade.OPENED,
    Grade.WORN,
    Grade.DAMAGED,
    Grade.WRONG_ITEM,
    Grade.MISSING,
    Grade.UNKNOWN,
)
FAILED = {
    payment.FailedState.REFUSED: RefundState.REFUSED,
    payment.FailedState.SETTLEMENT_FAILED: RefundState.SETTLEMENT_FAILED,
    payment.FailedState.UNKNOWN: RefundState.SETTLEMENT_FAILED,
}
REPORTED: dict[type[Message], RefundState] = {
    payment.RefundPending: RefundState.PENDING_SETTLEMENT,
    payment.RefundSettled: RefundState.SETTLED,
    payment.RefundOutcomeUnknown: RefundState.OUTCOME_UNKNOWN,
}


def requested(view: View, request: requests.ReturnRequest) -> View:
    return view.model_copy(
        update={"asked_order_id": request.order_id, "requested_at": request.requested_at}
    )


def status_changed(view: View, change: lifecycle.ReturnStatusChanged) -> View:
    if any(known.number == change.number for known in view.changes):
        return view
    changes = sorted((*view.changes, change), key=lambda each: each.number)
    return view.model_copy(update={"changes": tuple(changes)})


def decided(view: View, decision: decisions.ReturnDecisionMade) -> View:
    if view.decision is not None and view.decision.sequence >= decision.sequence:
        return view
    return view.model_copy(update={"decision": decision})


def reserved(view: View, message: payment.RefundReserved) -> View:
    """A later reservation stands for the whole of its decision and replaces the earlier one."""
    standing = view.reservation
    if standing is not None and standing.sequence > message.decision_sequence:
        return view
    return view.model_copy(
        update={
            "reservation": Reservation(
                sequence=message.decision_sequence,
                currency=message.currency,
                allocations=message.allocations,
            )
        }
    )


def reservation_voided(view: View, message: payment.RefundReservationVoided) -> View:
    """What a superseded reservation gave back is no longer part of the standing one."""
    standing = view.reservation
    if standing is None or message.decision_sequence < standing.sequence:
        return view
    voided = (*standing.voided, *message.allocations)
    return view.model_copy(update={"reservation": standing.model_copy(update={"voided": voided})})


def released(view: View, message: decisions.RefundReleased) -> View:
    """The payment agent may have reported on the refund before its release is seen here."""
    known = _refund(view, message.refund_id)
    if known is not None:
        return _with_refund(view, known.model_copy(update={"sequence": message.decision_sequence}))
    return _with_refund(
        view,
        Refund(
            refund_id=message.refund_id,
            method=message.method,
            payment_id=message.payment_id,
            amount=message.amount,
            currency=message.currency,
            state=RefundState.SUBMITTING,
            sequence=message.decision_sequence,
        ),
    )


def refund_voided(view: View, message: decisions.RefundVoided) -> View:
    """Money that has moved stays what payment says of it."""
    known = _refund(view, message.refund_id)
    if known is None or known.state is not RefundState.SUBMITTING:
        return view
    return _with_refund(view, known.model_copy(update={"state": RefundState.VOIDED}))


def refund_reported(view: View, message: payment.RefundMessage) -> View:
    known = _refund(view, message.refund_id)
    if known is not None and known.attempt > message.attempt:
        return view
    state = REPORTED.get(type(message)) or (
        FAILED[message.state]
        if isinstance(message, payment.RefundFailed)
        else RefundState.OUTCOME_UNKNOWN
    )
    reference = message.processor_reference or (known.processor_reference if known else None)
    return _with_refund(
        view,
        Refund(
            refund_id=message.refund_id,
            method=message.method,
            payment_id=message.payment_id or (known.payment_id if known else None),
            amount=message.amount,
            currency=message.currency,
            state=state,
            processor_reference=reference,
            sequence=known.sequence if known else None,
            attempt=message.attempt,
        ),
    )


def _refund(view: View, refund_id: str) -> Refund | None:
    return next((each for each in view.refunds if each.refund_id == refund_id), None)


def _with_refund(view: View, refund: Refund) -> View:
    if _refund(view, refund.refund_id) is None:
        return view.model_copy(update={"refunds": (*view.refunds, refund)})
    refunds = tuple(refund if each.refund_id == refund.refund_id else each for each in view.refunds)
    return view.model_copy(update={"refunds": refunds})


def labelled(view: View, label: fulfillment.ReturnLabelIssued) -> View:
    """The newest label replaces an older one."""
    return view.model_copy(update={"label": label})


def shipped(view: View, message: fulfillment.ReturnShipped) -> View:
    return _seen(_with_goods(view, shipped=True), message, message.tracking_number)


def delivered(view: View, message: fulfillment.ReturnDelivered) -> View:
    goods = _with_goods(view, shipped=True, delivered=True)
    return _seen(goods, message, message.tracking_number)


def lost(view: View, message: fulfillment.ReturnLost) -> View:
    return _seen(_with_goods(view, lost=True), message, message.tracking_number)


SEEN: dict[type[fulfillment.GoodsMessage], str] = {
    fulfillment.ReturnShipped: "The carrier has your parcel.",
    fulfillment.ReturnDelivered: "Your parcel arrived at our warehouse.",
    fulfillment.ReturnReceived: "We have unpacked your parcel and counted what is in it.",
    fulfillment.ReturnInspected: "We have looked at your items.",
    fulfillment.ReturnLost: "The carrier has not seen your parcel any more; we are looking for it.",
    fulfillment.ReturnSentBack: "Your items are on their way back to you.",
    fulfillment.ReplacementShipped: "Your replacement is on its way to you.",
}


def _seen(
    view: View, message: fulfillment.GoodsMessage, tracking_number: str | None = None
) -> View:
    """Told twice, or late, it stands in its place once."""
    entry = Sighting(
        at=message.occurred_at, what=SEEN[type(message)], tracking_number=tracking_number
    )
    entries = {*view.goods.tracking, entry}
    ordered = sorted(entries, key=lambda each: (each.at, list(SEEN.values()).index(each.what)))
    return _with_goods(view, tracking=tuple(ordered[-SIGHTINGS_MAX:]))


def never_sent(view: View, message: fulfillment.ReturnNotSent) -> View:
    return _with_goods(view, never_sent=True)


def disposed(view: View, message: fulfillment.ItemDisposed) -> View:
    return _with_goods(view, disposition=message.disposition)


def sent_back(view: View, message: fulfillment.ReturnSentBack) -> View:
    goods = _with_goods(view, disposition=fulfillment.Disposition.SENT_BACK)
    return _seen(goods, message, message.tracking_number)


def received(view: View, message: fulfillment.ReturnReceived) -> View:
    """Units that nobody had approved are counted without ordinals and may be named later."""
    for line in message.lines:
        known = _line(view, line.line_id)
        units = tuple(sorted({*known.units, *line.units}))
        named = len(units) - len(known.units)
        unnamed = known.unnamed + (0 if line.units else line.quantity)
        update = {"units": units, "unnamed": max(unnamed - named, 0)}
        view = _with_line(view, known.model_copy(update=update))
    return _seen(_with_goods(view, shipped=True, delivered=True), message)


def inspected(view: View, message: fulfillment.ReturnInspected) -> View:
    for line in message.lines:
        known = _line(view, line.line_id)
        seen = [grade for grade in (known.grade, line.grade) if grade is not None]
        update = {
            "grade": max(seen, key=GRADES_FROM_BEST.index),
            "inspected": known.inspected + line.quantity,
        }
        view = _with_line(view, known.model_copy(update=update))
    return _seen(_with_goods(view, shipped=True, delivered=True), message)


def _with_goods(view: View, **changes: object) -> View:
    return view.model_copy(update={"goods": view.goods.model_copy(update=changes)})


def _line(view: View, line_id: str) -> LineGoods:
    known = (each for each in view.goods.lines if each.line_id == line_id)
    return next(known, LineGoods(line_id=line_id))


def _with_line(view: View, line: LineGoods) -> View:
    others = (each for each in view.goods.lines if each.line_id != line.line_id)
    lines = sorted((*others, line), key=lambda each: each.line_id)
    return _with_goods(view, lines=tuple(lines))


def replacement_released(view: View, message: decisions.ReplacementReleased) -> View:
    return view.model_copy(update={"replacement_released": True})


def replacement_shipped(view: View, message: fulfillment.ReplacementShipped) -> View:
    return _seen(view, message, message.tracking_number)


def replacement_failed(view: View, message: fulfillment.ReplacementFailed) -> View:
    return view.model_copy(update={"replacement_failed": True})


Move = Callable[[View, Any], View]

MOVES: dict[type[Message], Move] = {
    requests.ReturnRequest: requested,
    lifecycle.ReturnStatusChanged: status_changed,
    decisions.ReturnDecisionMade: decided,
    decisions.RefundReleased: released,
    decisions.RefundVoided: refund_voided,
    decisions.ReplacementReleased: replacement_released,
    payment.RefundReserved: reserved,
    payment.RefundReservationVoided: reservation_voided,
    payment.RefundPending: refund_reported,
    payment.RefundSettled: refund_reported,
    payment.RefundFailed: refund_reported,
    payment.RefundOutcomeUnknown: refund_reported,
    fulfillment.ReturnLabelIssued: labelled,
    fulfillment.ReturnShipped: shipped,
    fulfillment.ReturnDelivered: delivered,
    fulfillment.ReturnReceived: received,
    fulfillment.ReturnInspected: inspected,
    fulfillment.ReturnLost: lost,
    fulfillment.ReturnNotSent: never_sent,
    fulfillment.ReturnSentBack: sent_back,
    fulfillment.ItemDisposed: disposed,
    fulfillment.ReplacementShipped: replacement_shipped,
    fulfillment.ReplacementFailed: replacement_failed,
}
"""Every other message of the topics that the gateway reads says nothing that is shown."""


def folded(return_id: str, facts: Iterable[Message], *, first_seen: datetime, changed: int) -> View:
    """The view of a return from its messages, in the order in which they were received."""
    view = View(return_id=return_id, requested_at=first_seen, changed=changed)
    for fact in facts:
        view = MOVES[type(fact)](view, fact)
    return view
