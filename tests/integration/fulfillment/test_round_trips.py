"""What a batch costs fulfillment's store does not depend on how many messages are in it."""

from __future__ import annotations

import pytest

from contracts.base import Message
from tests.driving import Drive
from tests.round_trips import ROUND_TRIPS_MAX, costs
from tests.unit.fulfillment.examples import (
    an_order,
    asked,
    decided,
    inspected,
    received,
    refunded,
    return_id,
    scanned,
)

pytestmark = pytest.mark.asyncio


def lives(count: int) -> list[list[Message]]:
    """The batches of `count` returns that go well side by side, each of an order of its own."""
    life = []
    for number in range(count):
        id_, order_id = return_id(f"{count}-{number}"), f"order-{count}-{number}"
        life.append(
            (
                an_order(order_id=order_id),
                asked(id_, order_id=order_id),
                decided(id_, order_id=order_id),
                scanned("delivered", id_=id_),
                received(id_=id_, event=f"r-{id_}"),
                inspected(id_=id_, event=f"i-{id_}"),
                refunded(id_, order_id=order_id, refund_id=f"refund-{id_}"),
            )
        )
    return [list(batch) for batch in zip(*life, strict=True)]


async def test_a_batch_costs_at_most_twelve_round_trips_whatever_its_size(
    agent: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = [await costs(agent, lives(count), monkeypatch) for count in (1, 10, 200)]
    assert trips[0] == trips[1] == trips[2]
    assert 0 < max(trips[0]) <= ROUND_TRIPS_MAX
    assert await agent.count("units WHERE state = 'restocked'") == 211
    assert await agent.quarantined() == []
