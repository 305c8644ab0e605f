"""One parcel for several returns: what is too much for one may be what another one expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.fulfillment.decide import arrivals
from services.fulfillment.decide.draft import Draft
from services.fulfillment.model import ReturnGoods, Standing, UnitState

Room = Callable[[Draft, ReturnGoods, str], int]


def room_for_receipts(draft: Draft, goods: ReturnGoods, sku: str) -> int:
    """Pieces that this return can still count in, with those that were inspected before."""
    count = goods.count_of(sku)
    return _expected(draft, goods, sku) + max(0, count.graded - count.counted)


def room_for_inspections(draft: Draft, goods: ReturnGoods, sku: str) -> int:
    here = sum(unit.sku == sku and unit.state is UnitState.RECEIVED for unit in goods.units)
    return here + _expected(draft, goods, sku)


def _expected(draft: Draft, goods: ReturnGoods, sku: str) -> int:
    return sum(unit.state is not UnitState.NONE for unit in arrivals.free_units(draft, goods, sku))


def of_others(
    draft: Draft, own: ReturnGoods, sku: str, quantity: int, room: Room
) -> Iterator[tuple[ReturnGoods, int]]:
    """(another approved return of the order, pieces that are its own); the rest stays here."""
    if own.standing is not Standing.APPROVED or not own.units:
        return
    others = [
        each
        for each in draft.goods.others(own.return_id)
        if each.standing is Standing.APPROVED and each.units
    ]
    if not others:  # by far the most: nothing has to be counted
        return
    left = quantity - room(draft, own, sku)
    for other in sorted(others, key=lambda each: each.return_id):
        if left <= 0:
            return
        pieces = min(left, room(draft, other, sku))
        if pieces > 0:
            yield other, pieces
            left -= pieces
