"""What carriers and warehouses saw: scans, receipts and inspections, in any order and twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from contracts.fulfillment import ReceivedLine, ReturnDelivered, ReturnShipped, ShippedLine
from contracts.warehouse import (
    Grade,
    InspectedItem,
    ItemInspected,
    ItemReceived,
    ParcelScanned,
    Scan,
)
from services.chassis.decision import Deadline, Decision
from services.fulfillment.decide import arrivals, disposal, shares
from services.fulfillment.decide.arrivals import Tally
from services.fulfillment.decide.draft import (
    DISPOSITION,
    SCAN_OVERDUE,
    Draft,
    by_line,
    ignored,
    moved,
    shipped_lines,
)
from services.fulfillment.messages import DispositionDue, ScanOverdue
from services.fulfillment.model import (
    DISPOSITION_WAIT_HOURS_MAX,
    SCAN_WAIT_DAYS_MAX,
    Goods,
    LooseGrade,
    Parcel,
    ReturnGoods,
    Scanned,
    Standing,
    Unit,
    UnitState,
)
from services.fulfillment.transitions import AT_HOME, OWED, UnitEvent

TRAIL_MAX = 100
SEEN_MAX = 20_000
REACHES = {
    Scan.ACCEPTED: Scanned.ACCEPTED,
    Scan.IN_TRANSIT: Scanned.ACCEPTED,
    Scan.DELIVERED: Scanned.DELIVERED,
}
"""Any scan proves that a carrier has the parcel; the first accepted one may never be told."""


def parcel_of(goods: ReturnGoods, tracking_number: str | None) -> Parcel:
    """The parcel that an event means.

    Without a number: the one that went furthest and is not opened, else the label's. A number
    that is new names the parcel that had none.
    """
    if tracking_number is not None:
        known = goods.parcel(tracking_number)
        if known is None:
            known = goods.parcel(None)
        return known or Parcel(tracking_number=tracking_number)
    by_progress = {Scanned.DELIVERED: 0, Scanned.ACCEPTED: 1, Scanned.NOT_YET: 2, Scanned.LOST: 3}
    unopened = sorted(
        (parcel for parcel in goods.parcels if not parcel.opened),
        key=lambda parcel: by_progress[parcel.scanned],
    )
    if unopened:
        return unopened[0]
    if len(goods.parcels) == 1:
        return goods.parcels[0]
    label = goods.label
    number = label.tracking_number if label else None
    return goods.parcel(number) or Parcel(tracking_number=number)


def scanned_parcel(goods: ReturnGoods, message: ParcelScanned) -> Parcel:
    """As `parcel_of`, but what is scanned after the only parcel was opened is another one.

    Only where something is still owed: otherwise two clocks differ, and the scan is late.
    """
    found = parcel_of(goods, message.tracking_number)
    named = message.tracking_number is not None and goods.parcel(message.tracking_number)
    owed = any(unit.state in OWED and unit.grade is None for unit in goods.units)
    if named or not owed or found.opened_at is None or message.occurred_at <= found.opened_at:
        return found
    return Parcel(tracking_number=message.tracking_number)


def on_scan(goods: Goods, return_id: str, message: ParcelScanned, *, now: datetime) -> Decision[
    Goods
]:  # fmt: skip
    """The first scan of a parcel is the proof of sending, also after the return was closed."""
    reaches = REACHES.get(message.scan)
    if reaches is None:
        return ignored(goods, "unknown kind of scan")
    draft = Draft(goods=goods, now=now)
    current = goods.returns[return_id]
    if _outbound(current, message.tracking_number) is not None:
        return _on_its_way_to_the_customer(draft, current, message, reaches)
    old = scanned_parcel(current, message)
    entry = (message.occurred_at, message.scan.value, message.location)
    if entry in old.trail:
        return ignored(goods, "scan is known")
    trail = tuple(sorted((*old.trail, entry), key=lambda each: each[0]))[-TRAIL_MAX:]
    parcel = old.model_copy(
        update={"tracking_number": old.tracking_number or message.tracking_number, "trail": trail}
    )
    late = old.opened or old.scanned is Scanned.DELIVERED
    if late:
        draft.put(current.with_parcel(parcel, instead_of=old))
        return draft.done("scan is late")
    parcel = parcel.model_copy(update={"scanned": reaches})
    current = current.with_parcel(parcel, instead_of=old)
    if old.scanned in (Scanned.NOT_YET, Scanned.LOST):
        current = _shipped(draft, current, parcel, message)
    if reaches is Scanned.DELIVERED:
        current = _delivered(draft, current, parcel, message)
    draft.put(current)
    draft.deadlines.append(_scan_clock(current, parcel, now))
    return draft.done()


def _outbound(current: ReturnGoods, tracking_number: str | None) -> Parcel | None:
    if tracking_number is None:
        return None
    return next((p for p in current.outbound if p.tracking_number == tracking_number), None)


def _on_its_way_to_the_customer(
    draft: Draft, current: ReturnGoods, message: ParcelScanned, reaches: Scanned
) -> Decision[Goods]:
    """A replacement, or goods sent back: nobody's proof of sending."""
    old = _outbound(current, message.tracking_number)
    assert old is not None
    entry = (message.occurred_at, message.scan.value, message.location)
    trail = tuple(sorted({*old.trail, entry}, key=lambda each: each[0]))[-TRAIL_MAX:]
    scanned = old.scanned if old.scanned is Scanned.DELIVERED else reaches
    parcel = old.model_copy(update={"trail": trail, "scanned": scanned})
    outbound = tuple(parcel if each is old else each for each in current.outbound)
    draft.put(current.but(outbound=outbound))
    return draft.done("a parcel to the customer")


def _shipped(
    draft: Draft, current: ReturnGoods, parcel: Parcel, message: ParcelScanned
) -> ReturnGoods:
    home = _sendable(current)
    current, units = moved(current, home, UnitEvent.ACCEPTED)
    draft.events.append(
        ReturnShipped(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=message.occurred_at,
            test=current.test,
            tracking_number=parcel.tracking_number,
            lines=_lines_on_the_way(current, units),
        )
    )
    return current


def _sendable(current: ReturnGoods) -> list[Unit]:
    return [
        unit
        for unit in current.units
        if unit.state in (*AT_HOME, UnitState.LOST) and arrivals.expected(current, unit)
    ]


def _delivered(
    draft: Draft, current: ReturnGoods, parcel: Parcel, message: ParcelScanned
) -> ReturnGoods:
    on_the_way = [
        unit
        for unit in current.units
        if unit.state in (*AT_HOME, UnitState.IN_TRANSIT, UnitState.LOST)
        and arrivals.expected(current, unit)
    ]
    current, units = moved(current, on_the_way, UnitEvent.DELIVERED)
    draft.events.append(
        ReturnDelivered(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=message.occurred_at,
            test=current.test,
            tracking_number=parcel.tracking_number,
            lines=_lines_on_the_way(current, units),
        )
    )
    return current


def _lines_on_the_way(current: ReturnGoods, units: tuple[Unit, ...]) -> tuple[ShippedLine, ...]:
    if current.units:
        return shipped_lines(units)
    return tuple(
        ShippedLine(line_id=line.line_id, sku=line.sku, quantity=line.quantity)
        for line in current.requested
    )


def _scan_clock(current: ReturnGoods, parcel: Parcel, now: datetime) -> Deadline:
    """A parcel that no carrier scans again is lost; one that was delivered is not."""
    subject = f"{current.return_id}:{parcel.tracking_number or ''}"
    if parcel.scanned is not Scanned.ACCEPTED or parcel.opened:
        return Deadline(name=SCAN_OVERDUE, subject=subject)
    message = ScanOverdue(
        order_id=current.order_id,
        return_id=current.return_id,
        test=current.test,
        parcel=parcel.tracking_number or "-",
    )
    at = now + timedelta(days=SCAN_WAIT_DAYS_MAX)
    return Deadline(name=SCAN_OVERDUE, subject=subject, at=at, message=message)


def on_received(
    goods: Goods, return_id: str, message: ItemReceived, *, now: datetime
) -> Decision[Goods]:
    """Count the contents. What is expected and not in the box is short, not lost."""
    current = goods.returns[return_id]
    key = f"received:{message.event_id}"
    if key in current.seen:
        return ignored(goods, "receipt is known")
    draft = Draft(goods=goods, now=now)
    if _outbound(current, message.tracking_number) is not None:
        draft.put(current.but(seen=(*current.seen, key)[-SEEN_MAX:]))
        came_back = f"a parcel that was sent to the customer came back: {_contents(message)}"
        _report(draft, current, [came_back], message.occurred_at, message.tracking_number)
        return draft.done()
    old = parcel_of(current, message.tracking_number)
    parcel = old.model_copy(
        update={
            "tracking_number": old.tracking_number or message.tracking_number,
            "opened": True,
            "opened_at": old.opened_at or message.occurred_at,
        }
    )
    current = current.with_parcel(parcel, instead_of=old)
    current = current.but(seen=(*current.seen, key)[-SEEN_MAX:])
    tally = Tally(goods=current)
    strange: list[str] = []
    for sku, quantity in _by_sku((line.sku, line.quantity) for line in message.lines):
        draft.put(tally.goods)
        own = quantity
        for other, pieces in shares.of_others(
            draft, tally.goods, sku, quantity, shares.room_for_receipts
        ):
            there = Tally(goods=other)
            arrivals.count_in(draft, there, sku, pieces)
            arrivals.announce(draft, there, message.occurred_at)
            draft.put(there.goods)
            own -= pieces
        _left_over(tally, sku, arrivals.count_in(draft, tally, sku, own), strange)
    current = arrivals.short(tally.goods)
    tally.goods = current
    strange += _left_out(tally)
    arrivals.announce(
        draft,
        tally,
        message.occurred_at,
        weight_grams=message.carton_weight_grams,
        empty=_empty(current, message),
    )
    if sum(line.quantity for line in message.lines) == 0:
        strange.append("the parcel was empty")
    _report(draft, current, strange, message.occurred_at, message.tracking_number)
    draft.put(current)
    draft.deadlines.append(_scan_clock(current, parcel, now))
    return draft.done()


def _contents(message: ItemReceived) -> str:
    return ", ".join(f"{line.quantity} × {line.sku}" for line in message.lines) or "nothing"


def _by_sku(lines: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for sku, quantity in lines:
        totals[sku] = totals.get(sku, 0) + quantity
    return list(totals.items())


def _left_over(tally: Tally, sku: str, left: int, strange: list[str]) -> None:
    if not left:
        return
    announced = any(line.sku == sku for line in tally.goods.requested)
    if announced and tally.goods.standing is not Standing.APPROVED:
        tally.loose_received[sku] = left
    elif announced:
        strange.append(f"{left} × {sku} more than announced")
    else:
        strange.append(f"{left} × {sku} that nobody announced")


def _left_out(tally: Tally) -> list[str]:
    """Units that came although the standing approval does without them: nobody paid them."""
    keys = set(tally.goods.left_out)
    late = [unit for unit in tally.received if unit.key in keys]
    return [
        f"{len(ordinals)} × {sku} that the decision leaves out"
        for (_, sku), ordinals in by_line(late).items()
    ]


def _empty(current: ReturnGoods, message: ItemReceived) -> tuple[ReceivedLine, ...]:
    """An empty box is a receipt too: of nothing."""
    if any(line.quantity for line in message.lines):
        return ()
    return tuple(
        ReceivedLine(line_id=line.line_id, sku=line.sku, quantity=0) for line in current.requested
    )


def _report(
    draft: Draft,
    current: ReturnGoods,
    strange: list[str],
    occurred_at: datetime,
    tracking_number: str | None,
) -> None:
    if strange:
        draft.unmatched(current, occurred_at, "; ".join(strange), tracking_number)


def on_inspected(
    goods: Goods, return_id: str, message: ItemInspected, *, now: datetime
) -> Decision[Goods]:
    """Grade units. What nobody counted before is counted by being inspected."""
    current = goods.returns[return_id]
    key = f"inspected:{message.event_id}"
    if key in current.seen:
        return ignored(goods, "inspection is known")
    draft = Draft(goods=goods, now=now)
    tally = Tally(goods=current.but(seen=(*current.seen, key)[-SEEN_MAX:]))
    strange: list[str] = []
    for item in message.lines:
        draft.put(tally.goods)
        own = item.quantity
        for other, pieces in shares.of_others(
            draft, tally.goods, item.sku, own, shares.room_for_inspections
        ):
            there = Tally(goods=other)
            _graded(draft, there, item, pieces, strange)
            _inspection_done(draft, there, message)
            own -= pieces
        if own:
            _graded(draft, tally, item, own, strange)
    strange += _left_out(tally)
    _inspection_done(draft, tally, message)
    _report(draft, tally.goods, strange, message.occurred_at, message.tracking_number)
    return draft.done()


def _graded(
    draft: Draft, tally: Tally, item: InspectedItem, pieces: int, strange: list[str]
) -> None:
    known = item.grade
    if known is Grade.UNKNOWN:
        known = Grade.DAMAGED
        strange.append(f"a grade for {item.sku} that nobody knows, taken as damaged")
    found = LooseGrade(grade=known, defect_confirmed=item.defect_confirmed, quantity=pieces)
    left = arrivals.grade(draft, tally, item.sku, found, item.note, item.evidence)
    _left_over(tally, item.sku, left, strange)


def _inspection_done(draft: Draft, tally: Tally, message: ItemInspected) -> None:
    arrivals.announce(draft, tally, message.occurred_at, inspector=message.inspector)
    current = draft.put(disposal.dispose(draft, tally.goods))
    if any(unit.state is UnitState.INSPECTED for unit in current.units):
        draft.deadlines.append(_disposition_clock(current, draft.now))


def _disposition_clock(current: ReturnGoods, now: datetime) -> Deadline:
    return Deadline(
        name=DISPOSITION,
        subject=current.return_id,
        at=now + timedelta(hours=DISPOSITION_WAIT_HOURS_MAX),
        message=DispositionDue(
            order_id=current.order_id, return_id=current.return_id, test=current.test
        ),
    )
