"""Every row of the goods axis's table happens through real messages on the real store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from contracts.base import Message
from services.fulfillment import app as fulfillment
from services.fulfillment.messages import (
    DispositionDue,
    GoodsDispatchedBack,
    ScanOverdue,
    SendByPassed,
    SentBackLine,
)
from services.fulfillment.model import UnitState
from services.fulfillment.transitions import MOVES, UnitEvent
from tests.conftest import DriveService
from tests.driving import START, Drive, SteppedClock
from tests.integration.fulfillment.conftest import OutsideWorld
from tests.unit.fulfillment.examples import (
    SEND_BY,
    an_order,
    closed,
    decided,
    inspected,
    received,
    refunded,
    return_id,
    scanned,
)

pytestmark = pytest.mark.asyncio
S, E = UnitState, UnitEvent
LABEL = "a label is bought"
"""Not a message: the carrier's answer, which an effect brings."""


class Life:
    """Messages about one return of one order, numbered so that each is new."""

    def __init__(self, number: int, *, category: str = "apparel", grade: str = "as_new") -> None:
        self.order_id = f"o{number}"
        self.id_ = return_id(f"move-{number}")
        self.category = category
        self.grade = grade
        self.sequence = 0
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"{self.id_}-{self.count}"

    def order(self) -> Message:
        line = an_order().lines[0].model_dump() | {"category": self.category}
        return an_order(order_id=self.order_id, lines=[line])

    def decide(self, **changes: Any) -> Message:
        self.sequence += 1
        return decided(self.id_, order_id=self.order_id, sequence=self.sequence, **changes)

    def scan(self, kind: str) -> Message:
        at = START + timedelta(minutes=self.count)
        number = self.fresh()
        return scanned(kind, id_=self.id_, tracking=number, event=self.fresh(), at=at)

    def counted(self, quantity: int) -> Message:
        return received(quantity, id_=self.id_, event=self.fresh())

    def graded(self, grade: str) -> Message:
        return inspected(1, grade, id_=self.id_, event=self.fresh())

    def to_self(self, kind: type[Message], **fields: Any) -> Message:
        return kind.model_validate({"order_id": self.order_id, "return_id": self.id_} | fields)


Steps = Callable[[Life], list[Any]]
LIFE_UNTIL: dict[UnitState, Steps] = {
    S.NONE: lambda it: [it.decide(label=False), closed(it.id_, order_id=it.order_id)],
    S.AUTHORISED: lambda it: [it.decide(label=False)],
    S.LABEL_ISSUED: lambda it: [it.decide(), LABEL],
    S.IN_TRANSIT: lambda it: [it.decide(label=False), it.scan("accepted")],
    S.DELIVERED: lambda it: [it.decide(label=False), it.scan("delivered")],
    S.RECEIVED: lambda it: [it.decide(label=False), it.counted(1)],
    S.INSPECTED: lambda it: [it.decide(label=False), it.graded(it.grade)],
    S.LOST: lambda it: [it.decide(label=False), *lost(it)],
    S.SHORT_SHIPPED: lambda it: [it.decide(label=False), it.counted(0)],
    S.WRONG_ITEM: lambda it: [it.decide(label=False), it.graded("wrong_item")],
    S.NEVER_SENT: lambda it: [
        it.decide(label=False), it.to_self(SendByPassed, send_by=SEND_BY)],
    S.NOT_REQUIRED: lambda it: [it.decide(required=False, label=False)],
}  # fmt: skip
THEN: dict[UnitEvent, Steps] = {
    E.AUTHORISED: lambda it: [it.decide(label=False)],
    E.EXEMPTED: lambda it: [it.decide(required=False, label=False)],
    E.WITHDRAWN: lambda it: [closed(it.id_, order_id=it.order_id)],
    E.LABELLED: lambda it: [it.decide(), LABEL],
    E.ACCEPTED: lambda it: [it.scan("accepted")],
    E.DELIVERED: lambda it: [it.scan("delivered")],
    E.COUNTED: lambda it: [it.counted(1)],
    E.NOT_IN_PARCEL: lambda it: [it.counted(0)],
    E.GRADED: lambda it: [it.graded("opened")],
    E.GRADED_WRONG_ITEM: lambda it: [it.graded("wrong_item")],
    E.GRADED_MISSING: lambda it: [it.graded("missing")],
    E.SCAN_OVERDUE: lambda it: [it.to_self(ScanOverdue, parcel=f"{it.id_}-1")],
    E.SEND_BY_PASSED: lambda it: [it.to_self(SendByPassed, send_by=SEND_BY)],
    E.RESTOCKED: lambda it: [refunded(it.id_, order_id=it.order_id)],
    E.REFURBISHED: lambda it: [refunded(it.id_, order_id=it.order_id)],
    E.LIQUIDATED: lambda it: [refunded(it.id_, order_id=it.order_id)],
    E.RECYCLED: lambda it: [refunded(it.id_, order_id=it.order_id)],
    E.DISPOSED: lambda it: [it.to_self(DispositionDue)],
    E.SENT_BACK: lambda it: [
        it.to_self(
            GoodsDispatchedBack, shipment_id="s", shipped_at=SEND_BY,
            lines=[SentBackLine(line_id="1", sku="JACKET-M", units=(1,))],
        )],
}  # fmt: skip
KIND = {
    E.REFURBISHED: {"category": "electronics", "grade": "opened"},
    E.LIQUIDATED: {"grade": "worn"},
    E.RECYCLED: {"category": "electronics", "grade": "damaged"},
    E.DISPOSED: {"category": "food"},
}


def lost(it: Life) -> list[Any]:
    scan = it.scan("accepted")
    return [scan, it.to_self(ScanOverdue, parcel=getattr(scan, "tracking_number", None))]


async def test_every_move_of_the_table_happens_for_real(
    drive: DriveService, world: OutsideWorld
) -> None:
    clock = SteppedClock()
    build = partial(fulfillment.build, clock=clock)
    agent = await drive(build, "fulfillment", clock=clock, sandbox_url=world.url)
    for number, ((state, event), after) in enumerate(MOVES.items()):
        it = Life(number, **KIND.get(event, {}))
        await play(agent, [it.order(), *LIFE_UNTIL[state](it)])
        assert await state_of(agent, it) == state, (state, event)
        await play(agent, THEN[event](it))
        assert await state_of(agent, it) == after, (state, event)
    assert not await agent.quarantined()


async def play(agent: Drive, steps: list[Any]) -> None:
    for step in steps:
        if step == LABEL:
            await agent.settle()
        elif type(step).__module__ == "services.fulfillment.messages":
            await agent.pipeline.submit(step)
        else:
            await agent.send(step)


async def state_of(agent: Drive, it: Life) -> str:
    found: str = await agent.pool.fetchval("SELECT state FROM units WHERE return_id = $1", it.id_)
    return found


async def test_deadlines_of_their_own_move_units_too(
    drive: DriveService, world: OutsideWorld
) -> None:
    """What the table's test sends by hand above, the clock brings by itself."""
    clock = SteppedClock()
    build = partial(fulfillment.build, clock=clock)
    agent = await drive(build, "fulfillment", clock=clock, sandbox_url=world.url)
    lives = [Life(number) for number in range(3)]
    for it in lives:
        await play(agent, [it.order(), it.decide(label=False)])
    await play(agent, [lives[1].scan("accepted"), lives[2].counted(1), lives[2].graded("as_new")])
    await agent.advance(timedelta(days=30))
    assert [await state_of(agent, it) for it in lives] == ["never_sent", "lost", "restocked"]
