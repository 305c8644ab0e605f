"""What the customer gets back: goods in the warehouse that the standing decision does not take."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from contracts.fulfillment import Disposition, ReturnSentBack
from contracts.requests import CountedLine
from services.chassis.decision import Deadline, Decision, Effect
from services.fulfillment.decide.draft import (
    Draft,
    by_line,
    counted_lines,
    disposed,
    ignored,
    moved,
)
from services.fulfillment.messages import (
    GoodsDispatchedBack,
    SendBack,
    SendBackOverdue,
    SendBackRefused,
    SentBackLine,
)
from services.fulfillment.model import (
    SEND_BACK_WAIT_HOURS_MAX,
    Goods,
    ReturnGoods,
    SendingBack,
    Unit,
    UnitState,
)
from services.fulfillment.transitions import UnitEvent

RETURNABLE = frozenset({UnitState.RECEIVED, UnitState.INSPECTED, UnitState.WRONG_ITEM})
"""Here, and not disposed of yet."""
SEND_BACK = "send_back"


def send_back(
    draft: Draft, goods: ReturnGoods, units: Iterable[Unit], skus: Iterable[str]
) -> ReturnGoods:
    """These units as far as they are here and unpaid, and all loose pieces of these SKUs.

    One parcel, with a label of its own; what is on its way back already is not sent twice.
    """
    leaving = goods.leaving
    here = [
        unit
        for unit in units
        if unit.state in RETURNABLE and not unit.paid and unit.key not in leaving
    ]
    lines = (*_lines(here), *_loose_lines(goods, skus))
    if not lines:
        return goods
    shipment = SendingBack(
        shipment_id=f"back:{goods.return_id}:{goods.sequence}",
        units=tuple(unit.key for unit in here),
        skus=tuple(sorted({line.sku for line in lines if line.loose})),
    )
    draft.effects.append(
        Effect(
            id=shipment.shipment_id,
            payload=SendBack(
                order_id=goods.order_id,
                return_id=goods.return_id,
                test=goods.test,
                shipment_id=shipment.shipment_id,
                recipient=draft.goods.order.ship_to if draft.goods.order else None,
                lines=lines,
            ),
        )
    )
    draft.deadlines.append(
        Deadline(
            name=SEND_BACK,
            subject=shipment.shipment_id,
            at=draft.now + timedelta(hours=SEND_BACK_WAIT_HOURS_MAX),
            message=SendBackOverdue(
                order_id=goods.order_id,
                return_id=goods.return_id,
                test=goods.test,
                shipment_id=shipment.shipment_id,
            ),
        )
    )
    return goods.but(sending_back=(*goods.sending_back, shipment))


def tell_what_is_leaving(draft: Draft, goods: ReturnGoods, wanted: set[tuple[str, int]]) -> None:
    """An approval cannot call back what the warehouse was asked to send: a person has to know."""
    leaving = [unit for unit in goods.units if unit.key in goods.leaving & wanted]
    for (_, sku), ordinals in by_line(leaving).items():
        what = f"{len(ordinals)} × {sku} that is approved now is on its way back to the customer"
        draft.unmatched(goods, draft.now, what)


def _lines(units: Iterable[Unit]) -> tuple[SentBackLine, ...]:
    return tuple(
        SentBackLine(line_id=line_id, sku=sku, units=ordinals)
        for (line_id, sku), ordinals in by_line(units).items()
    )


def _loose_lines(goods: ReturnGoods, skus: Iterable[str]) -> tuple[SentBackLine, ...]:
    """Counted pieces that no unit accounts for; one that nobody announced has its SKU as line."""
    under_way = {sku for each in goods.sending_back for sku in each.skus}
    line_ids = {line.sku: line.line_id for line in goods.requested}
    return tuple(
        SentBackLine(line_id=line_ids.get(sku, sku), sku=sku, loose=pieces)
        for sku in sorted(set(skus) - under_way)
        if (pieces := goods.count_of(sku).unassigned) > 0
    )


def on_dispatched_back(
    goods: Goods, message: GoodsDispatchedBack, *, now: datetime
) -> Decision[Goods]:
    """The goods left the warehouse: a parcel of its own."""
    current = goods.returns.get(message.return_id)
    if current is None:
        return ignored(goods, "no goods of this return")
    keys = {(line.line_id, ordinal) for line in message.lines for ordinal in line.units}
    leaving = [unit for unit in current.units if unit.key in keys and unit.state in RETURNABLE]
    draft = Draft(goods=goods, now=now)
    current, units = moved(current, leaving, UnitEvent.SENT_BACK)
    for line in message.lines:
        current = current.with_count(current.count_of(line.sku).without_loose(line.loose))
    current = _ended(draft, current, message.shipment_id)
    draft.put(current.sent(message.tracking_number))
    loose = tuple(
        CountedLine(line_id=line.line_id, quantity=line.loose)
        for line in message.lines
        if line.loose
    )
    draft.events.append(
        ReturnSentBack(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=message.shipped_at,
            test=current.test,
            tracking_number=message.tracking_number,
            lines=(*counted_lines(units), *loose),
            reason="the decision does not take these goods",
        )
    )
    for (line_id, sku), ordinals in by_line(units).items():
        disposed(draft, current, line_id, sku, ordinals, Disposition.SENT_BACK)
    return draft.done()


def _ended(draft: Draft, current: ReturnGoods, shipment_id: str) -> ReturnGoods:
    draft.deadlines.append(Deadline(name=SEND_BACK, subject=shipment_id))
    left = tuple(each for each in current.sending_back if each.shipment_id != shipment_id)
    return current.but(sending_back=left)


def on_refused(goods: Goods, message: SendBackRefused, *, now: datetime) -> Decision[Goods]:
    """The warehouse does not send them: a person decides, and that decision tries again."""
    current = goods.returns.get(message.return_id)
    if current is None or not _under_way(current, message.shipment_id):
        return ignored(goods, "nothing is being sent back")
    draft = Draft(goods=goods, now=now)
    current = draft.put(_ended(draft, current, message.shipment_id))
    reason = f"the warehouse does not send the goods back to the customer: {message.reason}"
    draft.unmatched(current, now, reason)
    return draft.done()


def on_overdue(goods: Goods, message: SendBackOverdue, *, now: datetime) -> Decision[Goods]:
    """Still tried, but a person has to know."""
    current = goods.returns.get(message.return_id)
    if current is None or not _under_way(current, message.shipment_id):
        return ignored(goods, "the goods were sent back")
    draft = Draft(goods=goods, now=now)
    draft.unmatched(
        current,
        now,
        f"the warehouse has not sent the goods back within {SEND_BACK_WAIT_HOURS_MAX} hours;"
        " it is still asked to",
    )
    return draft.done()


def _under_way(current: ReturnGoods, shipment_id: str) -> bool:
    return any(each.shipment_id == shipment_id for each in current.sending_back)
