"""What the gateway does with each message: move the view of the return that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts import decisions, fulfillment, lifecycle, orders, payment, requests
from contracts.base import Message
from services.chassis.service import Handler
from services.gateway import evolve
from services.gateway.model import View
from services.gateway.store import GatewayWork

NO_RETURN = "names no return"
NOTHING_NEW = "nothing new"

Move = Callable[[View, Any], View]

MOVES: dict[type[Message], Move] = {
    requests.ReturnRequest: evolve.requested,
    lifecycle.ReturnStatusChanged: evolve.status_changed,
    decisions.ReturnDecisionMade: evolve.decided,
    decisions.RefundReleased: evolve.released,
    decisions.RefundVoided: evolve.refund_voided,
    decisions.ReplacementReleased: evolve.replacement_released,
    payment.RefundReserved: evolve.reserved,
    payment.RefundReservationVoided: evolve.reservation_voided,
    payment.RefundPending: evolve.refund_reported,
    payment.RefundSettled: evolve.refund_reported,
    payment.RefundFailed: evolve.refund_reported,
    payment.RefundOutcomeUnknown: evolve.refund_reported,
    fulfillment.ReturnLabelIssued: evolve.labelled,
    fulfillment.ReturnShipped: evolve.shipped,
    fulfillment.ReturnDelivered: evolve.delivered,
    fulfillment.ReturnReceived: evolve.received,
    fulfillment.ReturnInspected: evolve.inspected,
    fulfillment.ReturnLost: evolve.lost,
    fulfillment.ReturnNotSent: evolve.never_sent,
    fulfillment.ReturnSentBack: evolve.sent_back,
    fulfillment.ItemDisposed: evolve.disposed,
    fulfillment.ReplacementFailed: evolve.replacement_failed,
}
"""Every other message of the topics that the gateway reads says nothing that is shown."""


def on_order(work: GatewayWork, message: orders.OrderSnapshot) -> None:
    known = work.orders.get(message.order_id)
    if known is not None and known.version >= message.version:
        work.ignore(NOTHING_NEW)
        return
    work.orders[message.order_id] = message


def _moving(move: Move) -> Handler:
    def on_message(work: GatewayWork, message: Any) -> None:
        if message.return_id is None:
            work.ignore(NO_RETURN)
            return
        before = work.view(message.return_id, message.order_id)
        after = move(before, message)
        if after is before:
            work.ignore(NOTHING_NEW)
            return
        work.views.put(after)

    return on_message


HANDLERS: dict[type[Message], Handler] = {orders.OrderSnapshot: on_order} | {
    message: _moving(move) for message, move in MOVES.items()
}
