"""Cases for people: what they see, what they may do, and what cancels, expires or reopens."""

from __future__ import annotations

import pytest

from tests.blackbox.world import Stranger, a_request, an_order, now, rfc3339

pytestmark = pytest.mark.asyncio


async def test_a_late_return_asks_a_person_and_their_yes_is_carried_out(
    stranger: Stranger,
) -> None:
    order = an_order(delivered_days_ago=35.1)
    order["buyer"]["lifetime_value"] = 120_000
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order, reason="changed_mind"))
    escalation = await stranger.case(return_id)
    assert escalation["reason"] == "outside_window"
    assert escalation["recommendation"] == "approve"
    assert escalation["context"]["lifetime_value"] == 120_000
    assert escalation["context"]["days_late"] == 5
    stale = await stranger.review(
        return_id, decision="approve", case_sha256="0" * 64, decided_at=rfc3339(now())
    )
    assert stale.status_code == 409, stale.text
    said = await stranger.review(
        return_id,
        decision="approve",
        case_sha256=escalation["case"]["case_sha256"],
        decided_at=rfc3339(now()),
    )
    assert said.status_code == 202, said.text
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order)
    settled = await stranger.reaches(return_id, "settled")
    assert settled["decision"]["decided_by"]["kind"] == "human"
    assert await stranger.paid(order) == 22200


async def test_a_defect_that_nobody_finds_holds_the_money(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order, reason="defective"))
    await stranger.labelled(return_id)
    await stranger.send_back(return_id, order, defect_confirmed=False)
    escalation = await stranger.case(return_id)
    assert escalation["reason"] == "conflicting_evidence"
    assert await stranger.paid(order) == 0
    said = await stranger.review(
        return_id,
        decision="adjust",
        amount=10_000,
        case_sha256=escalation["case"]["case_sha256"],
        decided_at=rfc3339(now()),
    )
    assert said.status_code == 202, said.text
    await stranger.reaches(return_id, "settled")
    assert await stranger.paid(order) == 10_000


async def test_a_return_can_be_cancelled_until_a_carrier_has_it(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    cancel = f"{stranger.world.gateway}/returns/{return_id}/cancel"
    body = {"reason": "keeping it", "requested_at": rfc3339(now())}
    assert (await stranger.http.post(cancel, json=body)).status_code == 202
    await stranger.reaches(return_id, "cancelled")
    assert (await stranger.http.post(cancel, json=body)).status_code == 409
    again = await stranger.ask(a_request(order))
    await stranger.reaches(again, "awaiting_physical_receipt")
    await stranger.warehouse("scans", return_id=again, scan="accepted")
    await stranger.reaches(again, "in_transit")
    cancel = f"{stranger.world.gateway}/returns/{again}/cancel"
    refused = await stranger.http.post(cancel, json=body)
    assert refused.status_code == 409
    assert refused.headers["content-type"].startswith("application/problem+json")
    await stranger.warehouse("scans", return_id=return_id, scan="accepted")
    escalation = await stranger.case(return_id)
    assert escalation["reason"] in ("inventory_contradiction", "conflicting_evidence")


async def test_a_person_links_the_order_that_the_customer_could_not_name(
    stranger: Stranger,
) -> None:
    order = an_order()
    await stranger.place(order)
    request = a_request(
        order, order_id=None, claim={"email": "somebody@else.example", "last4": "1234"}
    )
    return_id = await stranger.ask(request)
    escalation = await stranger.case(return_id)
    assert escalation["reason"] == "order_not_found"
    assert escalation["context"]["claim"]["last4"] == "1234"
    said = await stranger.review(
        return_id,
        decision="link_order",
        linked_order_id=order["order_id"],
        case_sha256=escalation["case"]["case_sha256"],
        decided_at=rfc3339(now()),
    )
    assert said.status_code == 202, said.text
    seen = await stranger.reaches(return_id, "awaiting_physical_receipt")
    assert seen["order_id"] == order["order_id"]


async def test_a_claim_with_number_and_email_finds_the_order(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    claim = {"order_number": order["order_number"], "email": order["buyer"]["email"]}
    return_id = await stranger.ask(a_request(order, order_id=None, claim=claim))
    seen = await stranger.reaches(return_id, "awaiting_physical_receipt")
    assert seen["order_id"] == order["order_id"]


async def test_a_claim_is_taken_up_when_its_order_turns_up_late(stranger: Stranger) -> None:
    order = an_order()
    claim = {"order_number": order["order_number"], "email": order["buyer"]["email"].upper()}
    return_id = await stranger.ask(a_request(order, order_id=None, claim=claim))
    assert (await stranger.case(return_id))["reason"] == "order_not_found"
    await stranger.place(order)
    seen = await stranger.reaches(return_id, "awaiting_physical_receipt")
    assert seen["order_id"] == order["order_id"]


async def test_a_bad_body_names_each_field(stranger: Stranger) -> None:
    order = an_order()
    request = a_request(order)
    request["lines"][0]["quantity"] = 0
    request["lines"][0]["reason"] = "because"
    request["currency"] = 7
    posted = await stranger.http.post(f"{stranger.world.gateway}/returns", json=request)
    assert posted.status_code == 422
    fields = {error["field"] for error in posted.json()["errors"]}
    assert {"lines.0.quantity", "lines.0.reason", "currency"} <= fields


async def test_the_same_key_with_another_body_is_a_conflict(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    request = a_request(order)
    calls = [
        await stranger.http.post(f"{stranger.world.gateway}/returns", json=body)
        for body in (request, request, request | {"resolution": "store_credit"})
    ]
    assert [call.status_code for call in calls] == [202, 202, 409]
    assert calls[0].json() == calls[1].json()
