"""Looks up, lets `decide` decide, records. No branch here has a business meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from contracts.assessments import AssessmentRequested
from contracts.base import Message
from contracts.decisions import (
    Outcome,
    RefundReleased,
    ReplacementReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.fulfillment import ParcelUnmatched
from contracts.orders import OrderSnapshot
from contracts.quarantine import RecordQuarantined
from contracts.warehouse import ItemInspected, ItemReceived, ParcelScanned, WarehouseEvent
from services.chassis.decision import Decision
from services.chassis.errors import Poison
from services.chassis.service import Handler
from services.fulfillment import messages
from services.fulfillment.decide import (
    assess,
    clocks,
    decisions,
    disposal,
    labels,
    parcels,
    replacements,
    sendback,
)
from services.fulfillment.model import (
    ORDER_WAIT_HOURS_MAX,
    PARCEL_WAIT_HOURS_MAX,
    Goods,
    ReturnGoods,
)
from services.fulfillment.orders import order_facts
from services.fulfillment.sites import Sites
from services.fulfillment.store import FulfillmentWork

ORDER_WAIT = timedelta(hours=ORDER_WAIT_HOURS_MAX)
PARCEL_WAIT = timedelta(hours=PARCEL_WAIT_HOURS_MAX)

Decide = Callable[..., Decision[Goods]]
SeenBy = Callable[..., Decision[Goods]]


def on_order_snapshot(work: FulfillmentWork, message: OrderSnapshot) -> None:
    known = work.orders.get(message.order_id)
    if known is not None and known.version >= message.version:
        work.ignore("older snapshot")
        return
    work.orders.put(order_facts(message))


def on_quarantined(work: FulfillmentWork, message: RecordQuarantined) -> None:
    """Commerce moves the return that the record names to a person."""
    known = work.returns.get(message.return_id)
    order_id = known.order_id if known is not None else message.order_id
    work.publish(message, key=order_id or message.return_id or message.topic)


def _decided(work: FulfillmentWork, order_id: str, decide: Callable[[Goods], Any]) -> None:
    _insist(work.returns.get(getattr(work.message.body, "return_id", None)), order_id)
    goods = work.goods(order_id)
    decision = decide(goods)
    work.put_goods(goods, decision.state)
    work.record(decision, key=order_id)


def _insist(known: ReturnGoods | None, order_id: str | None) -> None:
    """A return belongs to one order for ever: whoever names another one is mistaken."""
    if known is not None and order_id not in (None, known.order_id):
        raise Poison(f"return {known.return_id} is of order {known.order_id}, not {order_id}")


def _plain(decide: Decide) -> Handler:
    """A message to self: its order is known."""

    def handle(work: FulfillmentWork, message: messages.OfReturn) -> None:
        _decided(work, message.order_id, lambda goods: decide(goods, message, now=work.now))

    return handle


def _of_order(decide: Decide) -> Handler:
    """A message that may come without an order: nothing of ours then."""

    def handle(work: FulfillmentWork, message: ReturnClosed) -> None:
        if message.order_id is None:
            work.ignore("no order")
            return
        _decided(work, message.order_id, lambda goods: decide(goods, message, now=work.now))

    return handle


def _placed(decide: Decide, sites: Sites) -> Handler:
    def handle(work: FulfillmentWork, message: messages.OfReturn) -> None:
        _decided(
            work,
            message.order_id,
            lambda goods: decide(goods, message, sites=sites, now=work.now),
        )

    return handle


def _assessed(sites: Sites) -> Handler:
    """A question that overtook its order waits for it."""

    def handle(work: FulfillmentWork, message: AssessmentRequested) -> None:
        order = work.orders.get(message.order_id)
        if order is None or order.version < message.order_version:
            reason = f"order {message.order_id} version {message.order_version}"
            work.park(keys=(message.order_id,), until=work.now + ORDER_WAIT, reason=reason)
            return
        _decided(
            work,
            message.order_id,
            lambda goods: assess.on_assessment_requested(goods, message, sites=sites, now=work.now),
        )

    return handle


def _commerce_decided(sites: Sites) -> Handler:
    def handle(work: FulfillmentWork, message: ReturnDecisionMade) -> None:
        if message.order_id is None:
            work.ignore("no order")
            return
        if work.orders.get(message.order_id) is None:
            if message.decision is Outcome.ESCALATED:  # it leaves the goods as they are
                work.ignore("escalated, and the order is not known")
                return
            reason = f"order {message.order_id}"
            work.park(keys=(message.order_id,), until=work.now + ORDER_WAIT, reason=reason)
            return
        _decided(
            work,
            message.order_id,
            lambda goods: decisions.on_decision(goods, message, sites=sites, now=work.now),
        )

    return handle


def _seen(decide: SeenBy) -> Handler:
    """An event of a carrier or warehouse, once it is known whose goods it is about."""

    def handle(work: FulfillmentWork, message: WarehouseEvent) -> None:
        found = work.return_of(message)
        if found is None:
            _unknown(work, message)
            return
        _insist(found, message.order_id)
        _decided(
            work,
            found.order_id,
            lambda goods: decide(goods, found.return_id, message, now=work.now),
        )

    return handle


def _unknown(work: FulfillmentWork, message: WarehouseEvent) -> None:
    """Wait for what it refers to; in the end a person looks for it: at the return that it names,
    or that its order waits for, else in the quarantine, from where it is driven again."""
    names = (message.return_id, message.tracking_number)
    keys = tuple(name for name in names if name is not None)
    reason = f"no return is known by {' or '.join(keys)}"
    if not work.last_chance:
        work.park(keys=keys, until=work.now + PARCEL_WAIT, reason=reason)
        return
    return_id = message.return_id or work.awaited_by(message.order_id)
    if return_id is None:
        raise Poison(reason)
    work.publish(
        ParcelUnmatched(
            return_id=return_id,
            order_id=message.order_id,
            occurred_at=message.occurred_at,
            tracking_number=message.tracking_number,
            reason=f"{type(message).__name__} {message.event_id}: {reason}; {_contents(message)}",
        ),
        key=message.order_id or keys[0],
    )


def _contents(message: WarehouseEvent) -> str:
    return message.model_dump_json(
        exclude_none=True, exclude={"event_id", "return_id", "tracking_number", "order_id"}
    )[:2000]


def all_handlers(sites: Sites) -> Mapping[type[Message], Handler]:
    """Message type -> handler. The first group comes from the bus, the rest from ourselves."""
    return {
        OrderSnapshot: on_order_snapshot,
        AssessmentRequested: _assessed(sites),
        ReturnDecisionMade: _commerce_decided(sites),
        ReturnClosed: _of_order(decisions.on_closed),
        RefundReleased: _plain(decisions.on_refund_released),
        ReplacementReleased: _plain(replacements.on_replacement_released),
        ParcelScanned: _seen(parcels.on_scan),
        ItemReceived: _seen(parcels.on_received),
        ItemInspected: _seen(parcels.on_inspected),
        RecordQuarantined: on_quarantined,
        messages.StockChecked: _placed(assess.on_stock_checked, sites),
        messages.AnotherLabelWanted: _placed(labels.on_another_wanted, sites),
        messages.LabelBought: _plain(labels.on_label_bought),
        messages.LabelRefused: _plain(labels.on_label_refused),
        messages.LabelOutcomeUnknown: _placed(labels.on_label_outcome_unknown, sites),
        messages.LabelAbsent: _placed(labels.on_label_absent, sites),
        messages.LabelExpires: _placed(labels.on_label_expires, sites),
        messages.LabelVoided: _plain(labels.on_label_voided),
        messages.LabelNotVoided: _plain(labels.on_label_not_voided),
        messages.StockReserved: _plain(replacements.on_stock_reserved),
        messages.StockRefused: _plain(replacements.on_stock_refused),
        messages.StockReleased: _done,
        messages.ReplacementDispatched: _plain(replacements.on_replacement_dispatched),
        messages.ReplacementRefused: _plain(replacements.on_replacement_refused),
        messages.Restocked: _done,
        messages.RestockRefused: _plain(disposal.on_restock_refused),
        messages.GoodsDispatchedBack: _plain(sendback.on_dispatched_back),
        messages.SendBackRefused: _plain(sendback.on_refused),
        messages.SendBackOverdue: _plain(sendback.on_overdue),
        messages.SendByPassed: _plain(clocks.on_send_by_passed),
        messages.ScanOverdue: _plain(clocks.on_scan_overdue),
        messages.DispositionDue: _plain(clocks.on_disposition_due),
    }


def _done(work: FulfillmentWork, message: Message) -> None:
    """The outside world did what it was told; nothing more follows."""
    work.ignore("carried out")
