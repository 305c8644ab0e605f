"""Looks up, lets `decide` decide, records. No branch here has a business meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.base import Message
from contracts.orders import OrderSnapshot
from contracts.payment import DisputeClosed, DisputeOpened
from contracts.quarantine import RecordQuarantined
from contracts.requests import ReturnRequest
from contracts.reviews import ReviewDecided
from services.chassis.service import Handler
from services.commerce import messages
from services.commerce.decide import intake, table
from services.commerce.decide.money import says_not_received
from services.commerce.model import ORDER_WAIT, PARKED_WAIT
from services.commerce.papers import Dossier, Order
from services.commerce.store import CommerceWork


def on_order(work: CommerceWork, message: OrderSnapshot) -> None:
    """An older version says nothing new; a newer one may be what a return waits for."""
    known = work.orders.get(message.order_id)
    if known is not None and known.version >= message.version:
        work.ignore("older snapshot")
        return
    disputes = known.disputes if known is not None else ()
    work.put_order(Order.of(message, disputes))
    for dossier in work.waiting_for(message):
        _decide(work, dossier, message, order_id=message.order_id)


def on_request(work: CommerceWork, message: ReturnRequest) -> None:
    known = work.returns.get(message.return_id)
    if known is not None:
        same = known.request.read().lines == message.lines
        work.ignore("known return" if same else "known return, other content")
        return
    order = work.order_named(message)
    desk = work.desk(order, message.return_id)
    decision = intake.requested(message, desk, work.promise(message))
    work.settle(decision)


def on_review(work: CommerceWork, message: ReviewDecided) -> None:
    """Linking waits a moment for the order that is to be linked."""
    linked = message.linked_order_id
    if linked is not None and work.orders.get(linked) is None and not work.last_chance:
        until = work.now + ORDER_WAIT
        work.park(keys=(linked,), until=until, reason=f"order {linked} is not known")
        return
    dossier = _found(work, message)
    if dossier is not None:
        _decide(work, dossier, message, order_id=linked)


def on_dispute(work: CommerceWork, message: DisputeOpened) -> None:
    """A dispute is about a payment: every return of the order may be concerned."""
    order = work.orders.get(message.order_id)
    if order is None:
        work.ignore("order is not known")
        return
    without = tuple(each for each in order.disputes if each != message.payment_id)
    closed = isinstance(message, DisputeClosed)
    disputes = without if closed else (*without, message.payment_id)
    changed = Order(order.order_id, order.version, order.paper, disputes)
    new = not closed and message.payment_id not in order.disputes
    never_came = new and says_not_received(message, order.snapshot)
    work.put_order(changed, counted=new, not_received=never_came)
    _each(work, work.of_order(message.order_id), message)


def on_quarantined(work: CommerceWork, message: RecordQuarantined) -> None:
    """Only the return that the record's readable body names is moved."""
    dossier = work.returns.get(message.return_id)
    if dossier is None:
        work.ignore("names no return of ours")
        return
    _decide(work, dossier, message)


def on_notified(work: CommerceWork, message: messages.ReviewersNotified) -> None:
    work.ignore("sent")


def on_quote(work: CommerceWork, message: messages.QuoteGiven) -> None:
    work.quotes.append(message)


def of_return(work: CommerceWork, message: Any) -> None:
    """A message about a return that has to be known first."""
    dossier = _found(work, message)
    if dossier is not None:
        _decide(work, dossier, message)


def _found(work: CommerceWork, message: Any) -> Dossier | None:
    """The return. Where it is not known yet, the message waits for it."""
    return_id = message.return_id
    dossier = work.returns.get(return_id)
    if return_id is None:
        work.ignore("names no return")
    elif dossier is None:
        until = work.now + PARKED_WAIT
        work.park(keys=(return_id,), until=until, reason=f"return {return_id} is not known")
    return dossier


def _each(work: CommerceWork, dossiers: Iterable[Dossier], message: Message) -> None:
    for dossier in dossiers:
        _decide(work, dossier, message)


def _decide(
    work: CommerceWork, dossier: Dossier, message: Message, *, order_id: str | None = None
) -> None:
    order = work.order_of(dossier, order_id)
    work.settle(table.decide(dossier, message, work.desk(order, dossier.return_id)))


HANDLERS: Mapping[type[Message], Handler] = {
    **dict.fromkeys(table.DECIDERS, of_return),
    OrderSnapshot: on_order,
    ReturnRequest: on_request,
    ReviewDecided: on_review,
    DisputeOpened: on_dispute,
    DisputeClosed: on_dispute,
    RecordQuarantined: on_quarantined,
    messages.ReviewersNotified: on_notified,
    messages.QuoteGiven: on_quote,
}
