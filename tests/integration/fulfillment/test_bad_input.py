"""What cannot be meant: a clear reason or a person, nothing lost, and the neighbours go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts.assessments import ReturnabilityAssessed
from contracts.base import Message, write
from contracts.fulfillment import ParcelUnmatched, ReturnReceived
from services.chassis.pipeline import Record
from tests.driving import Drive, record
from tests.unit.fulfillment.examples import (
    A,
    B,
    an_order,
    asked,
    decided,
    inspected,
    received,
    scanned,
)

pytestmark = pytest.mark.asyncio
Json = dict[str, Any]


def spoilt(message: Message, change: Callable[[Json], object]) -> Record:
    """The message's record, its value changed after it was written."""
    good = record(message, id_="spoilt")
    body = json.loads(write(message))
    change(body)
    return replace(good, value=json.dumps(body).encode())


def with_quantity(quantity: object) -> Callable[[Json], object]:
    return lambda body: body["lines"][0].update(quantity=quantity)


UNREADABLE: dict[str, Record] = {
    "a negative receipt": spoilt(received(), with_quantity(-1)),
    "a huge receipt": spoilt(received(), with_quantity(10**12)),
    "half a thing": spoilt(received(), with_quantity(1.5)),
    "a number as text": spoilt(received(), with_quantity("1")),
    "no quantity": spoilt(received(), lambda body: body["lines"][0].pop("quantity")),
    "an inspection of nothing": spoilt(inspected(), with_quantity(0)),
    "a negative inspection": spoilt(inspected(), with_quantity(-3)),
    "a negative weight": spoilt(received(), lambda body: body.update(carton_weight_grams=-5)),
    "no article": spoilt(received(), lambda body: body["lines"][0].update(sku="")),
    "no parcel and no return": spoilt(received(), lambda body: body.pop("return_id")),
    "a scan without a time": spoilt(scanned("accepted"), lambda body: body.pop("occurred_at")),
}
MISTAKEN: dict[str, Message] = {
    "a receipt for a foreign order": received(order_id="order-2"),
    "an inspection for a foreign order": inspected(order_id="order-2"),
    "a scan for a foreign order": scanned("accepted", order_id="order-2"),
    "a decision about more units than were sold": decided(A, 1, 7, sequence=2),
    "a decision about more units than anybody sends": decided(A, *range(1, 10_002), sequence=2),
    "a decision about a line that the order lacks": decided(
        sequence=2,
        lines=[
            {"line_id": "9", "sku": "X", "quantity": 1, "units": (1,), "verdict": "approved"},
        ],
    ),
}


@pytest.mark.parametrize("name", [*UNREADABLE, *MISTAKEN])
async def test_it_is_set_aside_with_its_reason_and_its_neighbour_is_handled(
    agent: Drive, name: str
) -> None:
    await agent.send(an_order(), asked(), decided())
    bad = UNREADABLE.get(name) or MISTAKEN[name]
    await agent.send(bad, received(event="the neighbour"))
    (row,) = await agent.quarantined()
    assert len(row["reason"]) > 10
    (counted,) = await agent.published(ReturnReceived)
    assert counted.lines[0].quantity == 1


async def test_an_article_that_nobody_knows_is_counted_and_told_to_a_person(agent: Drive) -> None:
    lines = [{"sku": "BRICK", "quantity": 100_000}, {"sku": "JACKET-M", "quantity": 1}]
    await agent.send(an_order(), asked(), decided(), received(lines=lines))
    (told,) = await agent.published(ParcelUnmatched)
    assert told.reason == "100000 × BRICK that nobody announced"
    assert not await agent.quarantined()


async def test_a_request_for_an_article_that_was_not_sold_is_refused_in_words(
    agent: Drive,
) -> None:
    (line,) = asked().lines
    odd = asked(lines=[line.model_copy(update={"line_id": "9", "sku": "BRICK"})])
    await agent.send(an_order(), odd, asked(B, 1_000_000))
    refused, _ = await agent.published(ReturnabilityAssessed)
    assert refused.lines[0].refusal == "the order has no line 9"
