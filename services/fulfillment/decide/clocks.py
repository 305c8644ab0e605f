"""What happens when nothing happens: the last day to send, the lost parcel, goods left lying."""

from __future__ import annotations

from datetime import datetime

from contracts.fulfillment import ReturnLost, ReturnNotSent
from services.chassis.decision import Decision
from services.fulfillment.decide import disposal
from services.fulfillment.decide.draft import Draft, counted_lines, ignored, moved
from services.fulfillment.messages import DispositionDue, ScanOverdue, SendByPassed
from services.fulfillment.model import Goods, Scanned, Standing
from services.fulfillment.transitions import UnitEvent


def on_send_by_passed(goods: Goods, message: SendByPassed, *, now: datetime) -> Decision[Goods]:
    """Units that no carrier and no warehouse has seen were never sent."""
    current = goods.returns.get(message.return_id)
    if current is None or current.standing in (Standing.CLOSED, Standing.REJECTED):
        return ignored(goods, "nothing is expected")
    if current.send_by != message.send_by:
        return ignored(goods, "the last day was moved")
    owed = [unit for unit in current.units if unit.grade is None]
    current, units = moved(current, owed, UnitEvent.SEND_BY_PASSED)
    if not units:
        return ignored(goods, "everything was sent")
    draft = Draft(goods=goods, now=now)
    draft.put(current)
    draft.events.append(
        ReturnNotSent(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=now,
            test=current.test,
            lines=counted_lines(units),
        )
    )
    return draft.done()


def on_scan_overdue(goods: Goods, message: ScanOverdue, *, now: datetime) -> Decision[Goods]:
    """The parcel is lost: a claim at the carrier, and a person."""
    current = goods.returns.get(message.return_id)
    number = None if message.parcel == "-" else message.parcel
    parcel = current.parcel(number) if current else None
    if current is None or parcel is None or parcel.opened:
        return ignored(goods, "the parcel arrived")
    if parcel.scanned is not Scanned.ACCEPTED:
        return ignored(goods, "the parcel arrived")
    lost = parcel.model_copy(update={"scanned": Scanned.LOST})
    current = current.with_parcel(lost, instead_of=parcel)
    others = any(each.scanned is Scanned.ACCEPTED and not each.opened for each in current.parcels)
    units = () if others else current.units
    current, gone = moved(current, units, UnitEvent.SCAN_OVERDUE)
    draft = Draft(goods=goods, now=now)
    draft.put(current)
    draft.events.append(
        ReturnLost(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=now,
            test=current.test,
            tracking_number=parcel.tracking_number,
            lines=counted_lines(gone),
            reason="no carrier has scanned the parcel any more; claim it at the carrier",
        )
    )
    return draft.done()


def on_disposition_due(goods: Goods, message: DispositionDue, *, now: datetime) -> Decision[Goods]:
    """Inspected goods that an approval takes do not wait for ever for their release."""
    current = goods.returns.get(message.return_id)
    if current is None or current.standing is not Standing.APPROVED:
        return ignored(goods, "a person decides about the goods")
    draft = Draft(goods=goods, now=now)
    draft.put(disposal.paid(draft, current, current.standing_keys))
    return draft.done()
