"""What becomes of inspected units: a table, carried out once the return's decision is too."""

from __future__ import annotations

import hashlib
from datetime import datetime

from contracts.fulfillment import Disposition, ItemDisposed, ReturnSentBack
from contracts.orders import Trait
from contracts.warehouse import Grade
from services.chassis.decision import Decision, Effect
from services.fulfillment.decide.draft import Draft, by_line, counted_lines, ignored, moved
from services.fulfillment.messages import GoodsDispatchedBack, Restock, SendBack, SentBackLine
from services.fulfillment.model import (
    Goods,
    LineFacts,
    ReturnGoods,
    Unit,
    UnitState,
)
from services.fulfillment.transitions import UnitEvent

BY_GRADE = {
    Grade.AS_NEW: Disposition.RESTOCKED,
    Grade.OPENED: Disposition.REFURBISH,
    Grade.WORN: Disposition.REFURBISH,
    Grade.DAMAGED: Disposition.DISPOSED,
}
BY_CATEGORY: dict[str, dict[Grade, Disposition]] = {
    "apparel": {Grade.OPENED: Disposition.RESTOCKED, Grade.WORN: Disposition.DISPOSED},
    "shoes": {Grade.OPENED: Disposition.RESTOCKED, Grade.WORN: Disposition.DISPOSED},
    "books": {Grade.OPENED: Disposition.RESTOCKED, Grade.WORN: Disposition.DISPOSED},
    "furniture": {Grade.WORN: Disposition.REFURBISH, Grade.DAMAGED: Disposition.REFURBISH},
    "electronics": {Grade.DAMAGED: Disposition.REFURBISH},
    "cosmetics": {Grade.OPENED: Disposition.DISPOSED, Grade.WORN: Disposition.DISPOSED},
    "food": dict.fromkeys(BY_GRADE, Disposition.DISPOSED),
}
"""Category -> what differs from the row by grade."""
UNSALEABLE = {
    Trait.PERISHABLE: frozenset(BY_GRADE),
    Trait.SEALED_HYGIENE: frozenset({Grade.OPENED, Grade.WORN, Grade.DAMAGED}),
    Trait.PERSONALISED: frozenset(BY_GRADE),
    Trait.HAZARDOUS: frozenset(BY_GRADE),
}
"""Trait -> grades in which nobody may get the thing again."""
REFERENCE_LENGTH_MAX = 150
EVENTS = {
    Disposition.RESTOCKED: UnitEvent.RESTOCKED,
    Disposition.REFURBISH: UnitEvent.REFURBISHED,
    Disposition.DISPOSED: UnitEvent.DISPOSED,
    Disposition.SENT_BACK: UnitEvent.SENT_BACK,
}


def proposal(line: LineFacts | None, grade: Grade) -> Disposition:
    """What to do with an inspected unit, by category and grade."""
    if line is None:
        return Disposition.DISPOSED
    if any(grade in UNSALEABLE.get(trait, ()) for trait in line.traits):
        return Disposition.DISPOSED
    by_category = BY_CATEGORY.get(line.category, {})
    return by_category.get(grade) or BY_GRADE.get(grade, Disposition.DISPOSED)


def paid(draft: Draft, goods: ReturnGoods, keys: set[tuple[str, int]]) -> ReturnGoods:
    """These units' refund or replacement was released."""
    marked = {
        unit.key: unit.model_copy(update={"paid": True})
        for unit in goods.units
        if unit.key in keys and not unit.paid
    }
    return dispose(draft, goods.with_units(marked))


def approved_after_inspection(
    draft: Draft, goods: ReturnGoods, wanted: set[tuple[str, int]]
) -> ReturnGoods:
    """A decision that was made with the inspection in hand settles what becomes of the goods."""
    keys = {
        unit.key
        for unit in goods.units
        if unit.key in wanted and unit.grade is not None and unit.graded_sequence < goods.sequence
    }
    return paid(draft, goods, keys) if keys else goods


def dispose(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Dispose of everything that is both inspected and paid."""
    ready: dict[tuple[str, str, Disposition], list[Unit]] = {}
    for unit in goods.units:
        if unit.paid and unit.state is UnitState.INSPECTED and unit.grade is not None:
            line = draft.goods.order.line(unit.line_id) if draft.goods.order else None
            what = proposal(line, unit.grade)
            ready.setdefault((unit.line_id, unit.sku, what), []).append(unit)
    for (line_id, sku, what), units in ready.items():
        goods, done = moved(goods, units, EVENTS[what])
        ordinals = tuple(sorted(unit.ordinal for unit in done))
        _disposed(draft, goods, line_id, sku, ordinals, what)
        if what is not Disposition.DISPOSED:
            draft.effects.append(_restock(goods, line_id, sku, ordinals, what))
    return goods


def _disposed(
    draft: Draft,
    goods: ReturnGoods,
    line_id: str,
    sku: str,
    ordinals: tuple[int, ...],
    what: Disposition,
) -> None:
    draft.events.append(
        ItemDisposed(
            return_id=goods.return_id,
            order_id=goods.order_id,
            occurred_at=draft.now,
            test=goods.test,
            line_id=line_id,
            sku=sku,
            quantity=len(ordinals),
            units=ordinals,
            disposition=what,
        )
    )


def _restock(
    goods: ReturnGoods, line_id: str, sku: str, ordinals: tuple[int, ...], what: Disposition
) -> Effect:
    reference = f"{goods.return_id}:{line_id}:{','.join(map(str, ordinals))}"
    if len(reference) > REFERENCE_LENGTH_MAX:  # cut alone, two of them could be one
        digest = hashlib.sha256(reference.encode()).hexdigest()[:32]
        reference = f"{reference[: REFERENCE_LENGTH_MAX - 33]}:{digest}"
    return Effect(
        id=f"restock:{reference}",
        payload=Restock(
            order_id=goods.order_id,
            return_id=goods.return_id,
            test=goods.test,
            reference=reference,
            sku=sku,
            quantity=len(ordinals),
            disposition=what,
        ),
    )


def send_back(draft: Draft, goods: ReturnGoods) -> ReturnGoods:
    """Rejected goods that are in the warehouse go back to the customer, with their own label."""
    here = [
        unit
        for unit in goods.units
        if unit.state in (UnitState.RECEIVED, UnitState.INSPECTED, UnitState.WRONG_ITEM)
    ]
    if not here:
        return goods
    lines = tuple(
        SentBackLine(line_id=line_id, sku=sku, units=ordinals)
        for (line_id, sku), ordinals in by_line(here).items()
    )
    shipment_id = f"back:{goods.return_id}:{goods.sequence}"
    draft.effects.append(
        Effect(
            id=shipment_id,
            payload=SendBack(
                order_id=goods.order_id,
                return_id=goods.return_id,
                test=goods.test,
                shipment_id=shipment_id,
                recipient=draft.goods.order.ship_to if draft.goods.order else None,
                lines=lines,
            ),
        )
    )
    return goods


def on_dispatched_back(
    goods: Goods, message: GoodsDispatchedBack, *, now: datetime
) -> Decision[Goods]:
    """The rejected goods left the warehouse."""
    current = goods.returns.get(message.return_id)
    if current is None:
        return ignored(goods, "no goods of this return")
    keys = {(line.line_id, ordinal) for line in message.lines for ordinal in line.units}
    leaving = [
        unit
        for unit in current.units
        if unit.key in keys
        and unit.state in (UnitState.RECEIVED, UnitState.INSPECTED, UnitState.WRONG_ITEM)
    ]
    current, units = moved(current, leaving, UnitEvent.SENT_BACK)
    draft = Draft(goods=goods, now=now)
    draft.put(current.sent(message.tracking_number))
    draft.events.append(
        ReturnSentBack(
            return_id=current.return_id,
            order_id=current.order_id,
            occurred_at=message.shipped_at,
            test=current.test,
            tracking_number=message.tracking_number,
            lines=counted_lines(units),
            reason="the return was rejected",
        )
    )
    for (line_id, sku), ordinals in by_line(units).items():
        _disposed(draft, current, line_id, sku, ordinals, Disposition.SENT_BACK)
    return draft.done()
