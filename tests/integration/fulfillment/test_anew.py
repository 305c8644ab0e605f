"""A returned replacement is a return like any other, through commerce and fulfillment together."""

from __future__ import annotations

import asyncpg
import pytest

from contracts.decisions import Outcome
from services.fulfillment import store
from tests.driving import Drive
from tests.integration.fulfillment.conftest import OutsideWorld
from tests.integration.fulfillment.pair import Pair, Scene
from tests.unit.fulfillment import examples as goods

pytestmark = pytest.mark.asyncio


async def replaced(pair: Pair, world: OutsideWorld, it: Scene, quantity: int = 1) -> None:
    """The first unit came back faulty, and another one was shipped and delivered."""
    world.stock[goods.JACKET] = 5
    await pair.tell(it.order(quantity), it.request(reason="defective", resolution="replacement"))
    assert pair.decisions[it.a].decision is Outcome.APPROVED
    confirmed = {"sku": goods.JACKET, "quantity": 1, "grade": "damaged", "defect_confirmed": True}
    await pair.tell(it.received(), it.inspected(lines=[confirmed]))
    (sent,) = world.shipments
    await pair.tell(it.scanned("delivered", tracking=f"OUT-{sent}"))
    assert (await state(pair, it.a))[0] == ("recycled", 1)


async def state(pair: Pair, id_: str) -> list[tuple[str, int]]:
    found = await store.find_return(pair.services["fulfillment"].pool, id_)
    assert found is not None
    return [(str(unit.state), unit.life) for unit in found.units]


async def test_a_replacement_comes_back_and_is_refunded_without_a_person(
    pair: Pair, world: OutsideWorld
) -> None:
    it = Scene(1)
    await replaced(pair, world, it)
    await pair.tell(it.request(return_id=it.b))
    made = pair.decisions[it.b]
    assert made.decision is Outcome.APPROVED
    assert made.refund is not None and made.refund.total == 22200
    await pair.tell(it.received(it.b), it.inspected(it.b))
    assert await state(pair, it.b) == [("restocked", 2)], "taken over, because it was paid"
    await pair.tell(it.request(return_id=it.c))
    assert pair.decisions[it.c].decision is Outcome.REJECTED


async def test_the_database_refuses_a_replacement_that_was_never_shipped(
    pair: Pair, world: OutsideWorld
) -> None:
    it = Scene(1)
    await replaced(pair, world, it, quantity=2)
    await pair.tell(it.request(return_id=it.b, quantity=2))
    assert await state(pair, it.b) == [("label_issued", 2), ("label_issued", 1)]
    pool = pair.services["fulfillment"].pool
    for broken in (
        "UPDATE units SET replacement = 3 WHERE replacement = 2",
        "UPDATE units SET replacement = 2 WHERE ordinal = 2",
        "UPDATE units SET state = 'received', replacement = NULL",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await pool.execute(broken)


STORED_BEFORE = """
WITH stored AS (
    INSERT INTO returns (return_id, order_id, standing, document)
    VALUES ($1, $2, 'approved', jsonb_build_object(
        'return_id', $1::text, 'order_id', $2::text, 'standing', 'approved', 'sequence', 1,
        'replacements', jsonb_build_array(jsonb_build_object(
            'replacement_id', 'replacement-1', 'sku', 'JACKET-M', 'quantity', 1,
            'state', 'shipped'))))
)
INSERT INTO units (return_id, line_id, ordinal, order_id, sku, sold, state, grade)
VALUES ($1, '1', 1, $2, 'JACKET-M', 1, 'restocked', 'as_new')
"""


async def test_what_the_release_before_replaced_can_come_back_too(agent: Drive) -> None:
    await agent.send(goods.an_order())
    await agent.pool.execute(STORED_BEFORE, goods.A, goods.ORDER)
    await agent.send(goods.asked(goods.B), goods.decided(goods.B, 1), goods.received(id_=goods.B))
    assert not await agent.quarantined()
    found = await store.find_return(agent.pool, goods.B)
    assert found is not None
    assert [(unit.state, unit.life) for unit in found.units] == [("received", 2)]
