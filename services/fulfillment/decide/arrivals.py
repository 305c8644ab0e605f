"""Counting goods into units, so that the order in which the warehouse tells us does not matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from contracts.fulfillment import InspectedLine, ReceivedLine, ReturnInspected, ReturnReceived
from contracts.requests import Evidence
from contracts.warehouse import Grade
from services.fulfillment.decide import labels
from services.fulfillment.decide.draft import (
    Draft,
    accounted_for,
    by_line,
    in_hand_elsewhere,
    moved,
)
from services.fulfillment.model import (
    Counted,
    LooseGrade,
    ReturnGoods,
    Scanned,
    Standing,
    Unit,
    UnitState,
)
from services.fulfillment.transitions import AT_HOME, UnitEvent

GRADED = {
    Grade.AS_NEW: UnitEvent.GRADED,
    Grade.OPENED: UnitEvent.GRADED,
    Grade.WORN: UnitEvent.GRADED,
    Grade.DAMAGED: UnitEvent.GRADED,
    Grade.WRONG_ITEM: UnitEvent.GRADED_WRONG_ITEM,
    Grade.MISSING: UnitEvent.GRADED_MISSING,
}


@dataclass(kw_only=True)
class Tally:
    """What one warehouse event did to one return."""

    goods: ReturnGoods
    received: list[Unit] = field(default_factory=list)
    inspected: list[tuple[Unit, str | None, tuple[Evidence, ...]]] = field(default_factory=list)
    """(unit, note, evidence)"""
    loose_received: dict[str, int] = field(default_factory=dict)
    """SKU -> pieces that no unit accounts for."""
    loose_inspected: list[tuple[str, LooseGrade, str | None, tuple[Evidence, ...]]] = field(
        default_factory=list
    )
    """(SKU, grade and pieces, note, evidence)"""


def free_units(draft: Draft, goods: ReturnGoods, sku: str) -> list[Unit]:
    """Units that a counted piece may be: those still expected first, lowest ordinals first."""
    elsewhere = in_hand_elsewhere(draft.goods, goods.return_id)
    candidates = [
        unit
        for unit in goods.units
        if unit.sku == sku and not accounted_for(unit) and unit.thing not in elsewhere
    ]
    return sorted(candidates, key=lambda unit: (unit.state is UnitState.NONE, unit.key))


def count_in(draft: Draft, tally: Tally, sku: str, quantity: int) -> int:
    """Count pieces into the return's units; how many are left over."""
    count = tally.goods.count_of(sku)
    grown = count.model_copy(update={"counted": count.counted + quantity})
    pieces = grown.reported - count.reported
    return pieces - assign(draft, tally, grown, pieces)


def assign(draft: Draft, tally: Tally, count: Counted, pieces: int) -> int:
    """Let up to `pieces` counted pieces be units of this return; how many were."""
    chosen = free_units(draft, tally.goods, count.sku)[:pieces]
    goods, units = moved(tally.goods, chosen, UnitEvent.COUNTED)
    tally.received.extend(units)
    tally.goods = goods.with_count(
        count.model_copy(update={"assigned": count.assigned + len(units)})
    )
    return len(units)


def grade(
    draft: Draft,
    tally: Tally,
    sku: str,
    item: LooseGrade,
    note: str | None,
    evidence: tuple[Evidence, ...],
) -> int:
    """Grade pieces; an inspection of what nobody counted implies its receipt.

    How many pieces are new in the warehouse and no unit of this return.
    """
    count = tally.goods.count_of(sku)
    grown = count.model_copy(update={"graded": count.graded + item.quantity})
    implied = grown.reported - count.reported
    tally.goods = tally.goods.with_count(grown)
    here = sorted(
        (u for u in tally.goods.units if u.sku == sku and u.state is UnitState.RECEIVED),
        key=lambda unit: unit.key,
    )[: item.quantity]
    more = min(implied, item.quantity - len(here))
    new = free_units(draft, tally.goods, sku)[:more] if more > 0 else []
    _set_grade(tally, [*here, *new], new, item, note, evidence)
    left = item.quantity - len(here) - len(new)
    grown = grown.model_copy(update={"assigned": grown.assigned + len(new)})
    if left:
        loose = item.model_copy(update={"quantity": left})
        tally.loose_inspected.append((sku, loose, note, evidence))
        grown = _with_loose(grown, item, left)
    tally.goods = tally.goods.with_count(grown)
    return implied - len(new)


def _with_loose(count: Counted, item: LooseGrade, pieces: int) -> Counted:
    """Remember the grade of what is still here: an inspection may be told after its goods left."""
    here = count.unassigned - sum(known.quantity for known in count.loose)
    kept = min(pieces, here)
    if kept <= 0:
        return count
    graded = item.model_copy(update={"quantity": kept})
    return count.model_copy(update={"loose": (*count.loose, graded)})


def _set_grade(
    tally: Tally,
    units: Sequence[Unit],
    implied: Sequence[Unit],
    item: LooseGrade,
    note: str | None,
    evidence: tuple[Evidence, ...],
) -> None:
    tally.goods, changed = moved(
        tally.goods,
        units,
        GRADED[item.grade],
        grade=item.grade,
        defect_confirmed=item.defect_confirmed,
        graded_sequence=tally.goods.sequence,
    )
    uncounted = {unit.key for unit in implied}
    # A unit that was short already does not move, but now somebody looked for it.
    unmoved = {unit.key for unit in units} - {unit.key for unit in changed}
    looked_for = {
        unit.key: unit.model_copy(
            update={"grade": item.grade, "graded_sequence": tally.goods.sequence}
        )
        for unit in tally.goods.units
        if unit.key in unmoved
    }
    tally.goods = tally.goods.with_units(looked_for)
    for unit in (*changed, *looked_for.values()):
        if unit.key in uncounted and item.grade is not Grade.MISSING:
            tally.received.append(unit)
        tally.inspected.append((unit, note, evidence))


def take_up_earlier(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Units that were authorised after their parcel was seen catch up with it."""
    goods = _catch_up_with_parcels(goods)
    tally = Tally(goods=goods)
    leaving = {sku for each in goods.sending_back for sku in each.skus}
    for count in goods.counts:
        if count.unassigned > 0 and count.sku not in leaving:
            _take_up_loose(draft, tally, count)
    announce(draft, tally, draft.now)
    return short(tally.goods)


def short(goods: ReturnGoods) -> ReturnGoods:
    """What was not in the opened parcels is short, unless one on its way may still bring it."""
    opened = any(parcel.opened for parcel in goods.parcels)
    awaited = any(
        parcel.scanned in (Scanned.ACCEPTED, Scanned.DELIVERED) and not parcel.opened
        for parcel in goods.parcels
    )
    if not opened or awaited:
        return goods
    return moved(goods, goods.units, UnitEvent.NOT_IN_PARCEL)[0]


def _catch_up_with_parcels(goods: ReturnGoods) -> ReturnGoods:
    on_its_way = [p for p in goods.parcels if not p.opened]
    home = [unit for unit in goods.units if unit.state in AT_HOME and expected(goods, unit)]
    if any(parcel.scanned is Scanned.DELIVERED for parcel in on_its_way):
        return moved(goods, home, UnitEvent.DELIVERED)[0]
    if any(parcel.scanned is Scanned.ACCEPTED for parcel in on_its_way):
        return moved(goods, home, UnitEvent.ACCEPTED)[0]
    return goods


def expected(goods: ReturnGoods, unit: Unit) -> bool:
    """Whether a parcel of this return may hold the unit.

    A withdrawn unit only where the whole return is withdrawn: then the parcel holds just that.
    """
    if unit.grade is not None:
        return False
    return unit.state is not UnitState.NONE or goods.standing is not Standing.APPROVED


def _take_up_loose(draft: Draft, tally: Tally, count: Counted) -> None:
    loose = []
    for item in count.loose:
        units = free_units(draft, tally.goods, count.sku)[: item.quantity]
        if units:
            _set_grade(tally, units, units, item, None, ())
            grown = tally.goods.count_of(count.sku)
            tally.goods = tally.goods.with_count(
                grown.model_copy(update={"assigned": grown.assigned + len(units)})
            )
        if len(units) < item.quantity:
            left = item.quantity - len(units)
            loose.append(item.model_copy(update={"quantity": left}))
    grown = tally.goods.count_of(count.sku).model_copy(update={"loose": tuple(loose)})
    ungraded = grown.unassigned - sum(item.quantity for item in loose)
    assign(draft, tally, grown, max(0, ungraded))


def announce(
    draft: Draft,
    tally: Tally,
    occurred_at: datetime,
    *,
    weight_grams: int | None = None,
    empty: Iterable[ReceivedLine] = (),
    inspector: str = "",
) -> None:
    """Publish what was counted, then what was inspected."""
    goods = tally.goods
    received = (
        *_received_lines(tally.received),
        *_loose_lines(goods, tally.loose_received),
        *empty,
    )
    if received:
        draft.events.append(
            ReturnReceived(
                return_id=goods.return_id,
                order_id=goods.order_id,
                occurred_at=occurred_at,
                test=goods.test,
                lines=received,
                carton_weight_grams=weight_grams,
                expected_weight_grams=labels.expected_weight(goods, draft.goods.order),
            )
        )
    inspected = (*_inspected_lines(tally), *_loose_inspected_lines(tally))
    if inspected:
        draft.events.append(
            ReturnInspected(
                return_id=goods.return_id,
                order_id=goods.order_id,
                occurred_at=occurred_at,
                test=goods.test,
                lines=inspected,
                inspector=inspector,
            )
        )


def _received_lines(units: Sequence[Unit]) -> tuple[ReceivedLine, ...]:
    return tuple(
        ReceivedLine(line_id=line_id, sku=sku, quantity=len(ordinals), units=ordinals)
        for (line_id, sku), ordinals in by_line(units).items()
    )


def _loose_lines(goods: ReturnGoods, loose: dict[str, int]) -> tuple[ReceivedLine, ...]:
    """Pieces of a requested line that nobody approved yet: counted, but no units."""
    lines = {line.sku: line.line_id for line in goods.requested}
    return tuple(
        ReceivedLine(line_id=lines[sku], sku=sku, quantity=pieces)
        for sku, pieces in sorted(loose.items())
        if sku in lines and pieces
    )


def _inspected_lines(tally: Tally) -> tuple[InspectedLine, ...]:
    groups: dict[
        tuple[str, str, Grade, bool | None, str | None, tuple[Evidence, ...]], list[int]
    ] = {}
    for unit, note, evidence in tally.inspected:
        assert unit.grade is not None
        key = (unit.line_id, unit.sku, unit.grade, unit.defect_confirmed, note, evidence)
        groups.setdefault(key, []).append(unit.ordinal)
    return tuple(
        InspectedLine(
            line_id=line_id,
            sku=sku,
            quantity=len(ordinals),
            units=tuple(sorted(ordinals)),
            grade=found,
            defect_confirmed=defect,
            note=note,
            evidence=evidence,
        )
        for (line_id, sku, found, defect, note, evidence), ordinals in groups.items()
    )


def _loose_inspected_lines(tally: Tally) -> tuple[InspectedLine, ...]:
    """What a person who decides about an unapproved return has to know of its goods."""
    if tally.goods.standing is Standing.APPROVED:
        return ()
    lines = {line.sku: line.line_id for line in tally.goods.requested}
    return tuple(
        InspectedLine(
            line_id=lines[sku],
            sku=sku,
            quantity=item.quantity,
            grade=item.grade,
            defect_confirmed=item.defect_confirmed,
            note=note,
            evidence=evidence,
        )
        for sku, item, note, evidence in tally.loose_inspected
        if sku in lines
    )
