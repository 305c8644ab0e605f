"""Goods as they really come back: short, late, twice, unannounced, or never."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.blackbox.world import (
    Json,
    Stranger,
    a_request,
    an_order,
    new_id,
    now,
    one_is_outstanding,
    rfc3339,
    until,
)

pytestmark = pytest.mark.asyncio


def cheap(quantity: int, **changes: Any) -> Json:
    """Units of 50 dollars and 3 tax, below every limit, without shipping to share."""
    order = an_order(quantity=quantity, **changes)
    order["lines"][0] |= {"unit_price": 5000, "tax_total": 300 * quantity}
    order["shipping"] |= {"paid": 0, "cheapest_offered": 0}
    order["payments"][0]["captured"] = 5300 * quantity
    return order


async def approved(stranger: Stranger, order: Json, **changes: Any) -> str:
    await stranger.place(order)
    quantity = order["lines"][0]["quantity"]
    return_id = await stranger.ask(a_request(order, quantity=quantity, **changes))
    await stranger.labelled(return_id)
    return return_id


async def paid(stranger: Stranger, order: Json, amount: int) -> None:
    async def there() -> bool:
        return await stranger.paid(order) == amount

    await until(there, about=f"{amount} is paid")


async def test_what_was_counted_is_paid_and_the_rest_when_it_comes(stranger: Stranger) -> None:
    order = cheap(3)
    return_id = await approved(stranger, order)
    await stranger.send_back(return_id, order, counted=2)
    await paid(stranger, order, 2 * 5300)
    await stranger.reaches(return_id, "awaiting_physical_receipt", shows=one_is_outstanding)
    await stranger.send_back(return_id, order, counted=1)
    await stranger.reaches(return_id, "settled")
    await paid(stranger, order, 3 * 5300)


async def test_events_in_the_wrong_order_and_twice_settle_once(stranger: Stranger) -> None:
    order = cheap(2)
    return_id = await approved(stranger, order)
    lines = [{"sku": "JACKET-M", "quantity": 2}]
    graded = [{"sku": "JACKET-M", "quantity": 2, "grade": "as_new", "evidence": []}]
    events: list[tuple[str, Json]] = [
        ("inspections", {"event_id": new_id(), "lines": graded, "inspector": "w1"}),
        ("receipts", {"event_id": new_id(), "lines": lines}),
        ("scans", {"event_id": new_id(), "scan": "delivered"}),
        ("scans", {"event_id": new_id(), "scan": "accepted"}),
    ]
    for kind, body in events * 2:
        await stranger.warehouse(kind, return_id=return_id, **body)
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 2 * 5300
    assert [m["kind"] for m in await stranger.money_out(order)] == ["refund"]


async def test_a_parcel_is_known_by_its_label_alone(stranger: Stranger) -> None:
    order = cheap(1)
    return_id = await approved(stranger, order)
    label = (await stranger.see(return_id))["label"]
    pdf = await stranger.http.get(label["label_url"])
    assert pdf.content.startswith(b"%PDF")
    await stranger.warehouse("scans", tracking_number=label["tracking_number"], scan="accepted")
    await stranger.reaches(return_id, "in_transit")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([{"sku": "JACKET-M", "quantity": 0}], "an empty box"),
        ([{"sku": "BRICK", "quantity": 1}], "a brick"),
        ([{"sku": "JACKET-M", "quantity": 2}], "one more than announced"),
    ],
)
async def test_a_strange_parcel_goes_to_a_person(
    stranger: Stranger, lines: list[Json], what: str
) -> None:
    order = cheap(1)
    return_id = await approved(stranger, order)
    await stranger.warehouse("receipts", return_id=return_id, lines=lines)
    escalation = await stranger.case(return_id)
    assert escalation["reason"] in ("inventory_contradiction", "conflicting_evidence"), what
    assert await stranger.paid(order) == 0


async def test_a_wrong_item_found_by_inspection_goes_to_a_person(stranger: Stranger) -> None:
    order = cheap(1)
    return_id = await approved(stranger, order)
    await stranger.send_back(return_id, order, grade="wrong_item")
    escalation = await stranger.case(return_id)
    assert escalation["reason"] == "conflicting_evidence"
    assert await stranger.paid(order) == 0


async def test_goods_of_a_cancelled_return_contradict_the_next_one(stranger: Stranger) -> None:
    order = cheap(1)
    first = await approved(stranger, order)
    cancelled = await stranger.http.post(
        f"{stranger.world.gateway}/returns/{first}/cancel",
        json={"reason": "keeping it", "requested_at": rfc3339(now())},
    )
    assert cancelled.status_code == 202
    await stranger.reaches(first, "cancelled")
    await stranger.warehouse(
        "receipts", return_id=first, lines=[{"sku": "JACKET-M", "quantity": 1}]
    )
    reopened = await stranger.case(first)
    assert reopened["reason"] in ("inventory_contradiction", "conflicting_evidence")
    second = await stranger.ask(a_request(order))
    seen = await stranger.reaches(
        second,
        "awaiting_review",
        "rejected",
        shows=lambda seen: (
            (seen.get("decision") or {}).get("decision") in ("escalated", "rejected")
        ),
    )
    if seen["status"] == "awaiting_review":
        escalation = seen["decision"]["escalation"]
        assert escalation["reason"] == "inventory_contradiction"
        (found,) = escalation["context"]["contradictions"]
        assert found["code"] == "already_received"
    assert await stranger.paid(order) == 0


async def test_a_replacement_ships_when_the_goods_are_back(stranger: Stranger) -> None:
    order = cheap(1)
    return_id = await approved(
        stranger, order, reason="defective", resolution="replacement", replacement_sku="JACKET-M"
    )
    await stranger.send_back(return_id, order, defect_confirmed=True)
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 0


async def test_a_replacement_that_comes_back_is_refunded_once_and_by_nobodys_hand(
    stranger: Stranger,
) -> None:
    order = cheap(1)
    first = await approved(stranger, order, reason="defective", resolution="replacement")
    await stranger.send_back(first, order, defect_confirmed=True)
    await stranger.reaches(first, "settled")
    assert await stranger.paid(order) == 0
    second = await stranger.ask(a_request(order))
    await stranger.labelled(second)
    await stranger.send_back(second, order)
    seen = await stranger.reaches(second, "settled")
    assert seen["decision"]["decided_by"]["kind"] == "agent"
    assert seen["decision"]["lines"][0]["units"] == [1]
    await paid(stranger, order, 5300)
    third = await stranger.ask(a_request(order))
    await stranger.reaches(third, "rejected")
    assert await stranger.paid(order) == 5300


async def test_a_replacement_out_of_stock_lets_the_customer_choose_the_refund(
    stranger: Stranger,
) -> None:
    sku = f"RARE-{new_id()[:8]}"
    stock = await stranger.http.post(
        f"{stranger.world.sandbox}/sandbox/inventory", json={"sku": sku, "available": 1}
    )
    assert stock.status_code < 300, stock.text
    order = cheap(1)
    order["lines"][0]["sku"] = sku
    return_id = await approved(
        stranger, order, reason="defective", resolution="replacement", replacement_sku=sku
    )
    await stranger.http.post(
        f"{stranger.world.sandbox}/sandbox/inventory", json={"sku": sku, "available": 0}
    )
    await stranger.send_back(return_id, order, defect_confirmed=True)
    choose = f"{stranger.world.gateway}/returns/{return_id}/settlement"
    body = {"method": "original_payment_method", "consent_at": rfc3339(now())}

    async def chosen() -> bool:
        return (await stranger.http.post(choose, json=body)).status_code == 202

    await until(chosen, about="the customer may choose")
    await stranger.reaches(return_id, "settled")
    await paid(stranger, order, 5300)


async def test_two_parcels_of_one_return_count_together(stranger: Stranger) -> None:
    order = cheap(2)
    return_id = await approved(stranger, order)
    numbers = [f"OWN-{new_id()[:8]}" for _ in range(2)]
    await asyncio.gather(
        *(
            stranger.warehouse("scans", return_id=return_id, tracking_number=n, scan="accepted")
            for n in numbers
        )
    )
    await stranger.reaches(return_id, "in_transit")
    one = {"lines": [{"sku": "JACKET-M", "quantity": 1}]}
    for number in numbers:
        await stranger.warehouse("receipts", return_id=return_id, tracking_number=number, **one)
    await stranger.warehouse(
        "inspections",
        return_id=return_id,
        inspector="w1",
        lines=[{"sku": "JACKET-M", "quantity": 2, "grade": "as_new", "evidence": []}],
    )
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 2 * 5300
