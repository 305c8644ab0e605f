"""What becomes of inspected units: a table, carried out once the return's decision is too."""

from __future__ import annotations

import hashlib
from datetime import datetime

from contracts.fulfillment import Disposition
from contracts.orders import Trait
from contracts.warehouse import Grade
from services.chassis.decision import Decision, Effect
from services.fulfillment.decide.draft import Draft, disposed, ignored, moved
from services.fulfillment.messages import Restock, RestockRefused
from services.fulfillment.model import Goods, ReturnGoods, Unit, UnitState
from services.fulfillment.orders import LineFacts
from services.fulfillment.transitions import UnitEvent

BY_GRADE = {
    Grade.AS_NEW: Disposition.RESTOCKED,
    Grade.OPENED: Disposition.REFURBISH,
    Grade.WORN: Disposition.REFURBISH,
    Grade.DAMAGED: Disposition.DISPOSED,
}
BY_CATEGORY: dict[str, dict[Grade, Disposition]] = {
    "apparel": {
        Grade.OPENED: Disposition.RESTOCKED,
        Grade.WORN: Disposition.LIQUIDATED,
        Grade.DAMAGED: Disposition.RECYCLED,
    },
    "shoes": {
        Grade.OPENED: Disposition.RESTOCKED,
        Grade.WORN: Disposition.LIQUIDATED,
        Grade.DAMAGED: Disposition.RECYCLED,
    },
    "books": {
        Grade.OPENED: Disposition.RESTOCKED,
        Grade.WORN: Disposition.LIQUIDATED,
        Grade.DAMAGED: Disposition.RECYCLED,
    },
    "furniture": {Grade.DAMAGED: Disposition.LIQUIDATED},
    "electronics": {Grade.DAMAGED: Disposition.RECYCLED},
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
    Disposition.LIQUIDATED: UnitEvent.LIQUIDATED,
    Disposition.RECYCLED: UnitEvent.RECYCLED,
    Disposition.DISPOSED: UnitEvent.DISPOSED,
    Disposition.SENT_BACK: UnitEvent.SENT_BACK,
}


def proposal(
    line: LineFacts | None, grade: Grade, *, defect_confirmed: bool | None = None
) -> Disposition:
    """What to do with an inspected unit, by category and grade; defective, it is never stock."""
    found = _by_looks(line, grade)
    if defect_confirmed and found is Disposition.RESTOCKED:
        return Disposition.REFURBISH
    return found


def _by_looks(line: LineFacts | None, grade: Grade) -> Disposition:
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
        if unit.key in goods.leaving or not unit.paid:
            continue
        if unit.state is UnitState.INSPECTED and unit.grade is not None:
            line = draft.goods.order.line(unit.line_id) if draft.goods.order else None
            what = proposal(line, unit.grade, defect_confirmed=unit.defect_confirmed)
            ready.setdefault((unit.line_id, unit.sku, what), []).append(unit)
    for (line_id, sku, what), units in ready.items():
        goods, done = moved(goods, units, EVENTS[what])
        ordinals = tuple(sorted(unit.ordinal for unit in done))
        disposed(draft, goods, line_id, sku, ordinals, what)
        if what is not Disposition.DISPOSED:
            draft.effects.append(_restock(goods, line_id, sku, ordinals, what))
    return goods


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


def on_restock_refused(goods: Goods, message: RestockRefused, *, now: datetime) -> Decision[Goods]:
    """The inventory does not take the units over: its count is wrong until a person mends it."""
    current = goods.returns.get(message.return_id)
    if current is None:
        return ignored(goods, "no goods of this return")
    draft = Draft(goods=goods, now=now)
    what = f"{message.quantity} × {message.sku} as {message.disposition}"
    draft.unmatched(current, now, f"the inventory does not take {what}: {message.reason}")
    return draft.done()
