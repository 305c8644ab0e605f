"""What commerce decided: units are authorised, exempted or withdrawn, labels bought or voided."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.decisions import (
    CloseOutcome,
    Outcome,
    RefundReleased,
    ReturnClosed,
    ReturnDecisionMade,
    Verdict,
)
from services.chassis.decision import Deadline, Decision
from services.fulfillment.decide import arrivals, disposal, labels, replacements, sendback
from services.fulfillment.decide.draft import SCAN_OVERDUE, SEND_BY, Draft, ignored, moved
from services.fulfillment.messages import SendByPassed
from services.fulfillment.model import (
    SEND_WITHIN_DAYS,
    UNITS_MAX,
    Goods,
    RequestedLine,
    ReturnGoods,
    Standing,
    Unit,
    UnitState,
)
from services.fulfillment.orders import LineFacts
from services.fulfillment.sites import Sites
from services.fulfillment.transitions import OWED, Impossible, UnitEvent

STANDING = {
    Outcome.APPROVED: Standing.APPROVED,
    Outcome.REJECTED: Standing.REJECTED,
    Outcome.ESCALATED: Standing.ESCALATED,
}


def on_decision(
    goods: Goods, message: ReturnDecisionMade, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """A later sequence replaces an earlier one. An escalation leaves the goods as they are."""
    known = goods.returns.get(message.return_id)
    standing = STANDING.get(message.decision)
    if standing is None:
        return ignored(goods, "unknown decision")
    if known is not None and message.sequence <= known.sequence:
        return ignored(goods, "a later decision stands")
    draft = Draft(goods=goods, now=now)
    current = _standing(known, message, standing, goods.order_id)
    if standing is Standing.APPROVED:
        current = _approved(draft, current, message, sites)
    elif standing is Standing.REJECTED:
        current = _withdrawn(draft, current)
        counted = (count.sku for count in current.counts)
        current = sendback.send_back(draft, current, current.units, counted)
    draft.put(current)
    return draft.done()


def _standing(
    known: ReturnGoods | None, message: ReturnDecisionMade, standing: Standing, order_id: str
) -> ReturnGoods:
    requested = tuple(
        RequestedLine(line_id=line.line_id, sku=line.sku or line.line_id, quantity=line.quantity)
        for line in message.lines
        if line.line_id is not None
    )
    base = known or ReturnGoods(return_id=message.return_id, order_id=order_id, requested=requested)
    return base.but(
        test=message.test or base.test,
        standing=standing,
        sequence=message.sequence,
        resolution=message.resolution,
        requested=base.requested or requested,
    )


def _approved(
    draft: Draft, current: ReturnGoods, message: ReturnDecisionMade, sites: Sites
) -> ReturnGoods:
    way = message.return_
    current = current.but(
        required=way.required, label_provided=way.label_provided, address=way.address
    )
    wanted = {
        (line.line_id, ordinal)
        for line in message.lines
        if line.verdict is Verdict.APPROVED and line.line_id is not None
        for ordinal in line.units
    }
    if len(wanted) > UNITS_MAX:
        raise Impossible(f"a return of {len(wanted)} units: at most {UNITS_MAX} can be carried out")
    current = _with_new_units(draft.goods, current, message, wanted)
    dropped = [unit for unit in current.units if unit.key not in wanted]
    current = current.but(left_out=tuple(unit.key for unit in dropped))
    chosen = [unit for unit in current.units if unit.key in wanted]
    current, _ = moved(current, dropped, UnitEvent.WITHDRAWN)
    authorised = UnitEvent.AUTHORISED if way.required else UnitEvent.EXEMPTED
    current, _ = moved(current, chosen, authorised)
    current = arrivals.take_up_earlier(draft, current)
    current = _labelled(draft, current, sites)
    current = _send_by(draft, current, message)
    labels.watch_expiry(draft, current)
    current = replacements.hold(draft, current, message.replacement)
    current = sendback.send_back(draft, current, dropped, _rejected_skus(message))
    sendback.tell_what_is_leaving(draft, current, wanted)
    return disposal.approved_after_inspection(draft, current, wanted)


def _rejected_skus(message: ReturnDecisionMade) -> set[str]:
    """SKUs of rejected lines, unless another line of the same SKU is approved."""
    skus: dict[Verdict, set[str]] = {}
    for line in message.lines:
        if line.sku is not None:
            skus.setdefault(line.verdict, set()).add(line.sku)
    return skus.get(Verdict.REJECTED, set()) - skus.get(Verdict.APPROVED, set())


def _with_new_units(
    goods: Goods,
    current: ReturnGoods,
    message: ReturnDecisionMade,
    wanted: set[tuple[str, int]],
) -> ReturnGoods:
    known = {unit.key for unit in current.units}
    assert goods.order is not None
    added = []
    for line_id, ordinal in sorted(wanted - known):
        line = goods.order.line(line_id)
        if line is None or ordinal > line.quantity:
            raise Impossible(f"order {goods.order_id} has no unit {ordinal} of line {line_id}")
        added.append(_new_unit(goods, current.return_id, line, ordinal))
    units = sorted((*current.units, *added), key=lambda unit: unit.key)
    return current.but(units=tuple(units)) if added else current


def _new_unit(goods: Goods, return_id: str, line: LineFacts, ordinal: int) -> Unit:
    """The thing that the customer has: what was sold, or what was last sent in its place."""
    sent = goods.sent_in_place((line.line_id, ordinal), return_id)
    return Unit(
        line_id=line.line_id,
        sku=line.sku if sent is None else sent[1].sku,
        ordinal=ordinal,
        sold=line.quantity,
        life=1 if sent is None else sent[0].life + 1,
    )


def _labelled(draft: Draft, current: ReturnGoods, sites: Sites) -> ReturnGoods:
    if not current.required:
        return labels.withdraw(draft, current)
    at_home = (UnitState.AUTHORISED, UnitState.SHORT_SHIPPED)
    waiting = [unit for unit in current.units if unit.state in at_home and unit.grade is None]
    if not waiting or not current.label_provided:
        return current
    current = labels.intend(draft, current, sites)
    if current.label is not None and current.label.tracking_number is not None:
        current, _ = moved(current, waiting, UnitEvent.LABELLED)
    return current


def _send_by(draft: Draft, current: ReturnGoods, message: ReturnDecisionMade) -> ReturnGoods:
    """The customer's last day; nobody waits for ever where a decision names none."""
    owed = any(unit.state in OWED for unit in current.units)
    at = message.return_.send_by or message.decided_at + timedelta(days=SEND_WITHIN_DAYS)
    if not current.required or not owed:
        draft.deadlines.append(Deadline(name=SEND_BY, subject=current.return_id))
        return current.but(send_by=at if current.required else None)
    draft.deadlines.append(
        Deadline(
            name=SEND_BY,
            subject=current.return_id,
            at=at,
            message=SendByPassed(
                order_id=current.order_id,
                return_id=current.return_id,
                test=current.test,
                send_by=at,
            ),
        )
    )
    return current.but(send_by=at)


def _withdrawn(draft: Draft, current: ReturnGoods) -> ReturnGoods:
    """Nothing is expected any more: what was sent stays sent, what was not is the customer's."""
    current, _ = moved(current, current.units, UnitEvent.WITHDRAWN)
    draft.deadlines.append(Deadline(name=SEND_BY, subject=current.return_id))
    current = replacements.closed(draft, current)
    return labels.withdraw(draft, current)


def on_closed(goods: Goods, message: ReturnClosed, *, now: datetime) -> Decision[Goods]:
    """Cancelled, expired or rejected: the label is voided, reserved stock is given back."""
    current = goods.returns.get(message.return_id) or ReturnGoods(
        return_id=message.return_id, order_id=goods.order_id, test=message.test
    )
    if message.sequence is not None and message.sequence < current.sequence:
        return ignored(goods, "a later decision stands")
    if current.standing is Standing.CLOSED:
        return ignored(goods, "closed already")
    rejected = message.outcome is CloseOutcome.REJECTED
    draft = Draft(goods=goods, now=now)
    current = current.but(standing=Standing.REJECTED if rejected else Standing.CLOSED)
    current = _withdrawn(draft, current)
    for parcel in current.parcels:
        subject = f"{current.return_id}:{parcel.tracking_number or ''}"
        draft.deadlines.append(Deadline(name=SCAN_OVERDUE, subject=subject))
    draft.put(current)
    return draft.done()


def on_refund_released(goods: Goods, message: RefundReleased, *, now: datetime) -> Decision[Goods]:
    """These units are paid for: what was inspected of them may be disposed of."""
    current = goods.returns.get(message.return_id)
    if current is None:
        return ignored(goods, "no goods of this return")
    keys = {(line.line_id, ordinal) for line in message.lines for ordinal in line.units}
    draft = Draft(goods=goods, now=now)
    draft.put(disposal.paid(draft, current, keys))
    return draft.done()
