"""What a customer may be told of each unit: what happens next, who does it, and by when."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel

from services.fulfillment.model import ReturnGoods, Standing, UnitState

S = UnitState


class NextStep(BaseModel):
    who: str
    """customer, carrier, warehouse, reviewer or nobody."""
    what: str
    within_hours: int | None = None
    by: datetime | None = None


NEXT: dict[UnitState, NextStep] = {
    S.LOST: NextStep(
        who="reviewer", what="The parcel is lost; we claim it and decide.", within_hours=24
    ),
    S.WRONG_ITEM: NextStep(
        who="reviewer", what="Another item was in the parcel; a person looks.", within_hours=24
    ),
    S.SHORT_SHIPPED: NextStep(who="customer", what="Send what was not in the parcel."),
    S.AUTHORISED: NextStep(who="customer", what="Send the item back."),
    S.LABEL_ISSUED: NextStep(who="customer", what="Hand the parcel to the carrier."),
    S.IN_TRANSIT: NextStep(
        who="carrier", what="The parcel is on its way to us.", within_hours=21 * 24
    ),
    S.DELIVERED: NextStep(
        who="warehouse", what="The warehouse unpacks the parcel.", within_hours=48
    ),
    S.RECEIVED: NextStep(who="warehouse", what="The warehouse inspects the item.", within_hours=48),
    S.NEVER_SENT: NextStep(who="nobody", what="The last day to send it back is over."),
    S.INSPECTED: NextStep(who="nobody", what="The item is back and inspected."),
    S.RESTOCKED: NextStep(who="nobody", what="The item is back."),
    S.REFURBISH: NextStep(who="nobody", what="The item is back."),
    S.LIQUIDATED: NextStep(who="nobody", what="The item is back."),
    S.RECYCLED: NextStep(who="nobody", what="The item is back."),
    S.DISPOSED: NextStep(who="nobody", what="The item is back."),
    S.SENT_BACK: NextStep(who="nobody", what="The item was sent back to you."),
    S.NOT_REQUIRED: NextStep(who="nobody", what="You may keep the item."),
    S.NONE: NextStep(who="nobody", what="Nothing has to be sent."),
}
"""The most urgent state first: where units differ, this order says which one is told."""

assert set(NEXT) == set(UnitState)

CUSTOMER = "customer"


def next_step(goods: ReturnGoods) -> NextStep:
    """The most urgent step of all units, and by when."""
    if goods.standing is Standing.REQUESTED:
        return NextStep(who="reviewer", what="We are looking at the request.", within_hours=24)
    states = {unit.state for unit in goods.units}
    first = next((state for state in NEXT if state in states), S.NONE)
    return step_of(goods, first)


def step_of(goods: ReturnGoods, state: UnitState) -> NextStep:
    """What follows a unit's state: the customer has until the last day to send, all others so
    many hours from what was seen last."""
    step = NEXT[state]
    if step.who == CUSTOMER:
        return step.model_copy(update={"by": goods.send_by})
    seen = [at for parcel in goods.parcels for at, _, _ in parcel.trail]
    seen += [parcel.opened_at for parcel in goods.parcels if parcel.opened_at is not None]
    if step.within_hours is None or not seen:
        return step
    return step.model_copy(update={"by": max(seen) + timedelta(hours=step.within_hours)})


def sorted_trail(
    goods: ReturnGoods,
) -> list[tuple[datetime, str, str | None, str | None]]:
    """(when, what, where, tracking number) of every scan, both ways, earliest first."""
    trail = [
        (at, what, where, parcel.tracking_number)
        for parcel in (*goods.parcels, *goods.outbound)
        for at, what, where in parcel.trail
    ]
    return sorted(trail, key=lambda entry: entry[0])
