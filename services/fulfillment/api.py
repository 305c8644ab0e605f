"""The internal HTTP face: where a return's goods are, for people and for pages."""

from __future__ import annotations

from datetime import datetime

from fastapi import FastAPI
from pydantic import BaseModel

from contracts.base import Identifier
from services.chassis.http import Problem
from services.chassis.keys import ApiKeys
from services.chassis.runtime import Runtime
from services.fulfillment import store
from services.fulfillment.journey import NextStep, next_step, sorted_trail, step_of
from services.fulfillment.messages import AnotherLabelWanted
from services.fulfillment.model import ReturnGoods, Unit
from services.fulfillment.store import History


class MoveView(BaseModel):
    at: datetime
    state: str


class UnitView(BaseModel):
    line_id: str
    sku: str
    unit: int
    state: str
    grade: str | None = None
    next: NextStep
    history: list[MoveView] = []
    """In which state it has been since when, in the order in which we learned of it."""


class ReplacementView(BaseModel):
    state: str
    sku: str
    quantity: int
    ship_by: datetime | None = None


class LabelView(BaseModel):
    state: str
    carrier: str | None = None
    tracking_number: str | None = None
    label_url: str | None = None
    qr_url: str | None = None
    expires_at: datetime | None = None
    not_voided: str | None = None
    """Why the carrier did not take it back, where it was asked to."""


class ScanView(BaseModel):
    at: datetime
    what: str
    where: str | None = None
    tracking_number: str | None = None


class GoodsView(BaseModel):
    """A return's goods: each unit, the label, the parcels' way, and what happens next by when."""

    return_id: str
    order_id: str
    standing: str
    send_by: datetime | None = None
    units: list[UnitView]
    label: LabelView | None = None
    """The one that counts now."""
    labels: list[LabelView] = []
    replacements: list[ReplacementView] = []
    tracking: list[ScanView]
    next: NextStep


def add_routes(app: FastAPI, runtime: Runtime) -> None:
    keys = ApiKeys(runtime.settings)

    @app.get("/returns/{return_id}", dependencies=[keys.holding("returns:read")])
    async def goods_of(return_id: Identifier) -> GoodsView:
        """Everything known of one return's goods. 404 where nothing is."""
        found = await store.find_return(runtime.pool, return_id)
        if found is None:
            raise Problem(404, f"no goods of return {return_id}")
        return view(found, await store.find_history(runtime.pool, return_id))

    writer = [keys.holding("returns:write")]

    @app.post("/returns/{return_id}/labels", status_code=202, dependencies=writer)
    async def another_label(return_id: Identifier) -> GoodsView:
        """One more label for one more parcel. 409 with the reason where there can be none."""
        found = await store.find_return(runtime.pool, return_id)
        if found is None:
            raise Problem(404, f"no goods of return {return_id}")
        work = await runtime.submit(
            AnotherLabelWanted(order_id=found.order_id, return_id=found.return_id, test=found.test)
        )
        if work.ignored:
            raise Problem(409, work.ignored[0][1])
        return view(await store.find_return(runtime.pool, return_id) or found)


def view(goods: ReturnGoods, history: History | None = None) -> GoodsView:
    """As it is told; without a history only where things are now."""
    labels = [LabelView(**label.model_dump(exclude={"name", "attempt"})) for label in goods.labels]
    return GoodsView(
        return_id=goods.return_id,
        order_id=goods.order_id,
        standing=goods.standing,
        send_by=goods.send_by,
        units=[_unit(goods, unit, (history or {}).get(unit.key, [])) for unit in goods.units],
        label=labels[-1] if labels else None,
        labels=labels,
        replacements=[
            ReplacementView(
                state=each.state, sku=each.sku, quantity=each.quantity, ship_by=each.ship_by
            )
            for each in goods.replacements
        ],
        tracking=[
            ScanView(at=at, what=what, where=where, tracking_number=number)
            for at, what, where, number in sorted_trail(goods)
        ],
        next=next_step(goods),
    )


def _unit(goods: ReturnGoods, unit: Unit, moves: list[tuple[datetime, str]]) -> UnitView:
    return UnitView(
        line_id=unit.line_id,
        sku=unit.sku,
        unit=unit.ordinal,
        state=unit.state,
        grade=unit.grade,
        next=step_of(goods, unit.state),
        history=[MoveView(at=at, state=state) for at, state in moves],
    )
