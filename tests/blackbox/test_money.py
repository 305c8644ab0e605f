"""Whatever the processor does, the book shows each approved return paid once, to the cent."""

from __future__ import annotations

import asyncio

import pytest

from tests.blackbox.world import (
    Stranger,
    a_request,
    an_order,
    now,
    one_is_outstanding,
    rfc3339,
    until,
)

pytestmark = pytest.mark.asyncio


async def test_the_jacket_comes_back_and_222_dollars_go_out_once(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    seen = await stranger.labelled(return_id)
    assert seen["status"] == "awaiting_physical_receipt"

    async def customers_turn() -> bool:
        return (await stranger.see(return_id))["waiting_on"] == "customer"

    await until(customers_turn, about="the customer is waited for once the label is there")
    decision = seen["decision"]
    assert decision["decision"] == "approved"
    assert decision["refund"]["items"] == 20000
    assert decision["refund"]["tax"] == 1200
    assert decision["refund"]["shipping"] == 1000
    assert decision["refund"]["total"] == 22200
    await stranger.send_back(return_id, order)
    settled = await stranger.reaches(return_id, "settled")
    assert settled["waiting_on"] == "none"
    movements = await stranger.money_out(order)
    assert [(m["kind"], m["amount"], m["currency"]) for m in movements] == [
        ("refund", 22200, "USD")
    ]
    assert movements[0]["metadata"]["return_id"] == return_id
    [refund] = settled["refunds"]
    assert refund["state"] == "settled"
    assert refund["refund_id"] == movements[0]["metadata"]["refund_id"]
    statuses = [step["status"] for step in settled["timeline"]]
    for earlier, later in [
        ("requested", "assessing"),
        ("assessing", "awaiting_physical_receipt"),
        ("awaiting_physical_receipt", "in_transit"),
        ("in_transit", "physically_received"),
        ("physically_received", "quality_check"),
        ("quality_check", "pending_settlement"),
        ("pending_settlement", "settled"),
    ]:
        assert statuses.index(earlier) < statuses.index(later)


@pytest.mark.parametrize(
    "behaviour",
    [
        "slow",
        "pending",
        "timeout_after_success",
        "timeout_before",
        "error_500_stored",
        "error_500_after_success",
        "rate_limited",
        "no_webhook",
        "webhook_twice",
        "webhook_out_of_order",
    ],
)
async def test_a_difficult_processor_pays_once(stranger: Stranger, behaviour: str) -> None:
    order = an_order()
    await stranger.place(order, behaviour=behaviour)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled", seconds=90)
    assert await stranger.paid(order) == 22200
    kinds = [movement["kind"] for movement in await stranger.money_out(order)]
    assert kinds == ["refund"]


async def test_a_declined_refund_goes_to_a_person_who_pays_with_store_credit(
    stranger: Stranger,
) -> None:
    order = an_order()
    await stranger.place(order, behaviour="declined")
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    seen = await stranger.reaches(
        return_id,
        "settlement_failed",
        shows=lambda seen: seen["decision"]["decision"] == "escalated",
    )
    assert seen["decision"]["escalation"]["reason"] == "settlement_failed"
    assert seen["decision"]["escalation"]["context"]["alternatives"]
    chosen = await stranger.http.post(
        f"{stranger.world.gateway}/returns/{return_id}/settlement",
        json={"method": "store_credit", "consent_at": rfc3339(now())},
    )
    assert chosen.status_code == 202, chosen.text
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 0


async def test_a_refund_that_fails_after_it_settled_reopens_the_return(
    stranger: Stranger,
) -> None:
    order = an_order()
    await stranger.place(order, behaviour="fails_later")
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settlement_failed")
    assert [m["kind"] for m in await stranger.money_out(order)] == ["refund", "refund_failed"]


async def test_a_disputed_payment_promises_nothing(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    reference = order["payments"][0]["processor_reference"]
    opened = await stranger.http.post(
        f"{stranger.world.sandbox}/sandbox/disputes",
        json={"reference": reference, "status": "open"},
    )
    assert opened.status_code in (200, 201), opened.text
    return_id = await stranger.ask(a_request(order))
    escalation = await stranger.case(return_id)
    assert escalation["reason"] == "payment_not_refundable"
    assert escalation["context"]["alternatives"]
    assert await stranger.paid(order) == 0


async def test_only_counted_units_are_paid_and_the_rest_stays_outstanding(
    stranger: Stranger,
) -> None:
    order = an_order(quantity=3)
    order["lines"][0] |= {"unit_price": 10000, "tax_total": 1800}
    order["payments"][0]["captured"] = 3 * 10600 + 1000
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order, quantity=3))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order, counted=2)

    async def paid() -> bool:
        return await stranger.paid(order) > 0

    await until(paid, about="the counted part is paid")
    assert await stranger.paid(order) == 2 * 10600
    await stranger.reaches(return_id, "awaiting_physical_receipt", shows=one_is_outstanding)
    await stranger.send_back(return_id, order, counted=1)
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 3 * 10600 + 1000


async def test_two_returns_of_the_same_unit_pay_once(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    ids = await asyncio.gather(*(stranger.ask(a_request(order)) for _ in range(2)))
    seen = [
        await stranger.reaches(return_id, "awaiting_physical_receipt", "rejected")
        for return_id in ids
    ]
    assert sorted(view["status"] for view in seen) == ["awaiting_physical_receipt", "rejected"]
