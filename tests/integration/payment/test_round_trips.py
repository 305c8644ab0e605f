"""What a batch costs payment's store does not depend on how many messages are in it."""

from __future__ import annotations

import pytest

from contracts.base import Message
from tests.driving import Drive
from tests.payments import (
    Sandbox,
    a_decision,
    a_payment,
    a_release,
    an_assessment,
    an_order,
    new_id,
)
from tests.round_trips import ROUND_TRIPS_MAX, costs

pytestmark = pytest.mark.asyncio


def lives(count: int, sandbox: Sandbox) -> list[list[Message]]:
    """The batches of `count` returns that go well side by side, each of an order of its own."""
    life = []
    for number in range(count):
        return_id, order_id = new_id(), f"order-{count}-{number}"
        reference = f"pi_{return_id}"
        sandbox.pay(reference)
        life.append(
            (
                an_order(a_payment(reference), order_id=order_id),
                an_assessment(return_id, order_id=order_id),
                a_decision(return_id, order_id=order_id),
                a_release(return_id, new_id(), order_id=order_id),
            )
        )
    return [list(batch) for batch in zip(*life, strict=True)]


async def test_a_batch_costs_at_most_twelve_round_trips_whatever_its_size(
    payment: Drive, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = [await costs(payment, lives(count, sandbox), monkeypatch) for count in (1, 10, 200)]
    assert trips[0] == trips[1] == trips[2]
    assert 0 < max(trips[0]) <= ROUND_TRIPS_MAX
    assert await payment.count("refund_intents") == 211
    assert await payment.quarantined() == []
