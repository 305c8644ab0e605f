"""What the gateway shows of a return, whatever the order in which the topics arrive."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from contracts import decisions, fulfillment, payment, requests
from contracts.base import Message
from contracts.lifecycle import Status
from tests.integration.gateway.door import (
    NOW,
    Door,
    Json,
    a_decision,
    a_request,
    change,
    new_id,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


def money(kind: type[payment.RefundMessage], return_id: str, **more: Any) -> payment.RefundMessage:
    given: Json = {
        "return_id": return_id,
        "order_id": "order-1001",
        "refund_id": "refund-1",
        "payment_id": "p1",
        "method": "original_payment_method",
        "amount": 22200,
        "currency": "USD",
        "attempt": 1,
        "idempotency_key": "refund:refund-1:1",
        "processor_reference": "re_1",
        "occurred_at": NOW,
    }
    return kind.model_validate(given | more)


def released(return_id: str, **more: Any) -> decisions.RefundReleased:
    given: Json = {
        "return_id": return_id,
        "order_id": "order-1001",
        "refund_id": "refund-1",
        "method": "original_payment_method",
        "payment_id": "p1",
        "amount": 22200,
        "currency": "USD",
        "decision_sequence": 1,
        "release_reason": "inspected",
        "released_at": NOW,
    }
    return decisions.RefundReleased.model_validate(given | more)


def reserved(return_id: str, **more: Any) -> payment.RefundReserved:
    given: Json = {
        "return_id": return_id,
        "order_id": "order-1001",
        "decision_sequence": 1,
        "allocations": [{"payment_id": "p1", "amount": 22200}],
        "currency": "USD",
    }
    return payment.RefundReserved.model_validate(given | more)


def label(return_id: str) -> fulfillment.ReturnLabelIssued:
    return fulfillment.ReturnLabelIssued(
        return_id=return_id,
        order_id="order-1001",
        carrier="sandbox",
        tracking_number="T1",
        label_url="http://127.0.0.1/label.pdf",
        expires_at=NOW + timedelta(days=30),
    )


def goods(kind: type[Message], return_id: str, *lines: Json, **more: Any) -> Message:
    given: Json = {
        "return_id": return_id,
        "order_id": "order-1001",
        "occurred_at": NOW,
        "lines": [{"line_id": "1", "sku": "JACKET-M", "quantity": 1} | line for line in lines],
    }
    return kind.model_validate(given | more)


def a_life(return_id: str) -> dict[str, list[Message]]:
    """The jacket's way to the money, topic by topic."""
    statuses = (
        Status.REQUESTED,
        Status.ASSESSING,
        Status.AWAITING_PHYSICAL_RECEIPT,
        Status.IN_TRANSIT,
        Status.QUALITY_CHECK,
        Status.PENDING_SETTLEMENT,
        Status.SETTLED,
    )
    return {
        "returns.requests": [
            requests.ReturnRequest.model_validate(a_request(return_id=return_id)),
        ],
        "returns.lifecycle": [
            change(return_id, number, status) for number, status in enumerate(statuses, 1)
        ],
        "returns.decisions": [a_decision(return_id), released(return_id)],
        "fulfillment.events": [
            label(return_id),
            goods(fulfillment.ReturnShipped, return_id, {"units": [1]}),
            goods(fulfillment.ReturnReceived, return_id, {"units": [1]}),
            goods(fulfillment.ReturnInspected, return_id, {"units": [1], "grade": "opened"}),
        ],
        "payment.events": [
            reserved(return_id),
            money(payment.RefundPending, return_id),
            money(payment.RefundSettled, return_id),
        ],
    }


async def see(door: Door, return_id: str) -> Json:
    got = await door.http.get(f"/returns/{return_id}")
    assert got.status_code == 200, got.text
    answer: Json = got.json()
    return answer


async def test_any_order_of_the_topics_ends_in_the_same_answer(door: Door) -> None:
    answers = []
    for topics in itertools.islice(itertools.permutations(a_life(new_id())), 0, None, 7):
        return_id = new_id()
        life = a_life(return_id)
        for topic in topics:
            await door.publish(topic, *life[topic])
        answers.append(await see(door, return_id))
    first = answers[0]
    assert first["status"] == "settled"
    assert first["goods"]["state"] == "inspected"
    assert first["goods"]["lines"] == [{"line_id": "1", "received": 1, "grade": "opened"}]
    assert len(first["goods"]["tracking"]) == 3
    assert first["refunds"] == [
        {
            "refund_id": "refund-1",
            "method": "original_payment_method",
            "payment_id": "p1",
            "amount": 22200,
            "currency": "USD",
            "state": "settled",
            "processor_reference": "re_1",
        }
    ]
    assert [entry["status"] for entry in first["timeline"]][-2:] == [
        "pending_settlement",
        "settled",
    ]
    assert first["decision"]["return"]["required"] is True
    assert first["label"]["tracking_number"] == "T1"

    def anonymous(answer: Json) -> Json:
        nobody = {"return_id": None}
        return (
            answer
            | nobody
            | {
                "decision": answer["decision"] | nobody,
                "label": answer["label"] | nobody,
            }
        )

    assert all(anonymous(answer) == anonymous(first) for answer in answers)


async def test_statuses_are_trusted_by_number_and_decisions_by_sequence(door: Door) -> None:
    return_id = await door.ask()
    for number in (3, 1, 2, 2):
        await door.publish("returns.lifecycle", change(return_id, number, list(Status)[number]))
    for sequence in (2, 1, 3, 2):
        await door.publish("returns.decisions", a_decision(return_id, sequence=sequence))
    seen = await see(door, return_id)
    assert seen["status"] == list(Status)[3]
    assert [entry["status"] for entry in seen["timeline"]] == list(Status)[1:4]
    assert seen["decision"]["sequence"] == 3


async def test_a_message_that_comes_twice_counts_once(door: Door) -> None:
    return_id = await door.ask()
    unnamed = goods(fulfillment.ReturnReceived, return_id, {"units": []})
    for _ in range(3):
        await door.publish("fulfillment.events", unnamed, ids=["the-same"])
    assert (await see(door, return_id))["goods"]["lines"] == [{"line_id": "1", "received": 1}]


async def test_units_that_are_named_later_are_not_counted_again(door: Door) -> None:
    return_id = await door.ask()
    await door.publish(
        "fulfillment.events",
        goods(fulfillment.ReturnReceived, return_id, {"units": [], "quantity": 2}),
        goods(fulfillment.ReturnReceived, return_id, {"units": [1, 2], "quantity": 2}),
    )
    assert (await see(door, return_id))["goods"]["lines"] == [{"line_id": "1", "received": 2}]


async def test_the_worst_grade_of_a_line_is_shown(door: Door) -> None:
    return_id = await door.ask()
    grades = ("opened", "damaged", "as_new")
    await door.publish(
        "fulfillment.events",
        *(goods(fulfillment.ReturnInspected, return_id, {"grade": grade}) for grade in grades),
    )
    seen = await see(door, return_id)
    assert seen["goods"]["lines"] == [{"line_id": "1", "received": 0, "grade": "damaged"}]


async def states(door: Door, return_id: str) -> list[tuple[str, int, str | None]]:
    refunds = (await see(door, return_id))["refunds"]
    return [(each["state"], each["amount"], each.get("refund_id")) for each in refunds]


async def test_reserved_money_turns_into_refunds_part_by_part(door: Door) -> None:
    return_id = await door.ask()
    await door.publish("returns.decisions", a_decision(return_id))
    await door.publish("payment.events", reserved(return_id))
    assert await states(door, return_id) == [("reserved", 22200, None)]
    await door.publish("returns.decisions", released(return_id, amount=12200))
    assert await states(door, return_id) == [
        ("submitting", 12200, "refund-1"),
        ("reserved", 10000, None),
    ]
    unknown = money(payment.RefundOutcomeUnknown, return_id, amount=12200)
    await door.publish("payment.events", unknown)
    assert (await states(door, return_id))[0][0] == "outcome_unknown"
    refused = money(
        payment.RefundFailed,
        return_id,
        amount=12200,
        state="refused",
        failure_code="declined",
        failure_message="declined",
        retryable=False,
    )
    await door.publish("payment.events", refused)
    assert (await states(door, return_id))[0] == ("refused", 12200, "refund-1")


async def test_a_reservation_that_is_given_back_is_voided(door: Door) -> None:
    return_id = await door.ask()
    voided = payment.RefundReservationVoided.model_validate(
        reserved(return_id).model_dump(mode="json")
    )
    await door.publish("payment.events", reserved(return_id), voided)
    assert await states(door, return_id) == [("voided", 22200, None)]


async def test_store_credit_for_a_refund_that_failed_uses_its_reservation_up(door: Door) -> None:
    return_id = await door.ask()
    credit: Json = {"refund_id": "refund-2", "method": "store_credit", "payment_id": None}
    await door.publish("payment.events", reserved(return_id), reserved(return_id))
    await door.publish("returns.decisions", released(return_id))
    failed = money(
        payment.RefundFailed,
        return_id,
        state="refused",
        failure_code="declined",
        failure_message="declined",
        retryable=False,
    )
    await door.publish("payment.events", failed, reserved(return_id, decision_sequence=2))
    assert await states(door, return_id) == [
        ("refused", 22200, "refund-1"),
        ("reserved", 22200, None),
    ]
    await door.publish("returns.decisions", released(return_id, decision_sequence=2, **credit))
    await door.publish("payment.events", money(payment.RefundSettled, return_id, **credit))
    assert await states(door, return_id) == [
        ("refused", 22200, "refund-1"),
        ("settled", 22200, "refund-2"),
    ]


async def test_the_answer_to_a_release_that_was_taken_back_is_not_shown_twice(door: Door) -> None:
    return_id = await door.ask()
    void = decisions.RefundVoided(
        return_id=return_id, order_id="order-1001", refund_id="refund-1", reason="dispute lost"
    )
    answer = payment.RefundReservationVoided.model_validate(
        reserved(return_id).model_dump(mode="json")
    )
    await door.publish("payment.events", reserved(return_id), answer)
    await door.publish("returns.decisions", released(return_id), void)
    assert await states(door, return_id) == [("voided", 22200, "refund-1")]


async def test_a_settled_refund_can_fail_later_and_an_old_attempt_does_not_count(
    door: Door,
) -> None:
    return_id = await door.ask()
    failed = money(
        payment.RefundFailed,
        return_id,
        attempt=2,
        state="settlement_failed",
        failure_code="lost_or_stolen_card",
        failure_message="gone",
        retryable=False,
    )
    await door.publish("returns.decisions", released(return_id))
    await door.publish("payment.events", money(payment.RefundSettled, return_id, attempt=2), failed)
    await door.publish("payment.events", money(payment.RefundPending, return_id, attempt=1))
    assert await states(door, return_id) == [("settlement_failed", 22200, "refund-1")]


async def test_a_voided_release_is_voided_unless_its_money_moved(door: Door) -> None:
    return_id = await door.ask()
    void = decisions.RefundVoided(
        return_id=return_id, order_id="order-1001", refund_id="refund-1", reason="dispute lost"
    )
    await door.publish("returns.decisions", released(return_id), void)
    assert (await states(door, return_id))[0][0] == "voided"
    await door.publish("payment.events", money(payment.RefundSettled, return_id))
    await door.publish("returns.decisions", void)
    assert (await states(door, return_id))[0][0] == "settled"


GOODS: tuple[tuple[list[str], list[str], str], ...] = (
    ([], [], "none"),
    (["approved"], [], "authorised"),
    (["keep"], [], "not_required"),
    (["approved"], ["label"], "label_issued"),
    (["approved"], ["label", "ReturnNotSent"], "never_sent"),
    (["approved"], ["label", "ReturnShipped"], "in_transit"),
    (["approved"], ["ReturnShipped", "ReturnLost"], "lost"),
    (["approved"], ["ReturnDelivered"], "delivered"),
    (["approved"], ["ReturnDelivered", "ReturnReceived"], "received"),
    (["approved"], ["ReturnReceived", "ReturnNotSent"], "received"),
)


async def test_the_goods_are_as_far_as_their_furthest_unit(door: Door) -> None:
    for decided, events, expected in GOODS:
        return_id = await door.ask()
        required: Json = {"return": {"required": "keep" not in decided}}
        for _ in decided:
            await door.publish("returns.decisions", a_decision(return_id, **required))
        for event in events:
            message = (
                label(return_id)
                if event == "label"
                else goods(getattr(fulfillment, event), return_id, {"units": [1]})
            )
            await door.publish("fulfillment.events", message)
        assert (await see(door, return_id))["goods"]["state"] == expected, (decided, events)


async def test_a_customer_can_follow_the_parcels_both_ways(door: Door) -> None:
    return_id = await door.ask()

    def told(kind: type[Message], at: str, **more: str) -> Message:
        body = {"return_id": return_id, "occurred_at": at, "lines": []} | more
        return kind.model_validate(body)

    shipped = told(fulfillment.ReturnShipped, "2026-03-02T10:00:00Z", tracking_number="T1")
    back = told(fulfillment.ReturnSentBack, "2026-03-09T10:00:00Z", tracking_number="OUT1")
    arrived = told(fulfillment.ReturnDelivered, "2026-03-04T10:00:00Z", tracking_number="T1")
    counted = told(fulfillment.ReturnReceived, "2026-03-05T10:00:00Z")
    for message in (back, arrived, shipped, counted, shipped):
        await door.publish("fulfillment.events", message)
    found = (await see(door, return_id))["goods"]["tracking"]
    assert [(each["at"][:10], each.get("tracking_number"), each["what"]) for each in found] == [
        ("2026-03-02", "T1", "The carrier has your parcel."),
        ("2026-03-04", "T1", "Your parcel arrived at our warehouse."),
        ("2026-03-05", None, "We have unpacked your parcel and counted what is in it."),
        ("2026-03-09", "OUT1", "Your items are on their way back to you."),
    ]


async def test_every_disposition_is_a_state_of_the_goods(door: Door) -> None:
    for disposition in (
        "restocked",
        "refurbish",
        "liquidated",
        "recycled",
        "disposed",
        "sent_back",
    ):
        return_id = await door.ask()
        disposed = fulfillment.ItemDisposed.model_validate(
            {
                "return_id": return_id,
                "occurred_at": NOW,
                "line_id": "1",
                "sku": "JACKET-M",
                "quantity": 1,
                "disposition": disposition,
            }
        )
        await door.publish("fulfillment.events", disposed)
        assert (await see(door, return_id))["goods"]["state"] == disposition


async def test_a_linked_order_is_shown_and_found(door: Door) -> None:
    return_id = await door.ask(order_id=None, claim={"last4": "1234"})
    await door.publish(
        "returns.decisions", a_decision(return_id, "escalated", order_id=None, lines=[])
    )
    assert "order_id" not in await see(door, return_id)
    await door.publish("returns.decisions", a_decision(return_id, sequence=2))
    assert (await see(door, return_id))["order_id"] == "order-1001"
    listed = (await door.http.get("/returns", params={"order_id": "order-1001"})).json()
    assert [item["return_id"] for item in listed["items"]] == [return_id]


async def test_a_case_is_shown_as_it_was_published(door: Door) -> None:
    return_id = await door.ask()
    await door.publish("returns.decisions", a_decision(return_id, "escalated"))
    escalation = (await see(door, return_id))["decision"]["escalation"]
    assert escalation["case"]["case_sha256"] == "a" * 64
    assert escalation["context"]["days_late"] == 5


async def test_what_names_no_return_or_says_nothing_new_is_left_alone(door: Door) -> None:
    return_id = await door.ask()
    before = await see(door, return_id)
    dispute = payment.DisputeOpened(
        order_id="order-1001", payment_id="p1", dispute_id="d1", amount=1, currency="USD"
    )
    cancel = requests.CancelReturn(return_id=return_id, requested_at=NOW)
    await door.publish("payment.events", dispute)
    await door.publish("returns.requests", cancel)
    await door.publish("fulfillment.events", goods(fulfillment.ReturnShipped, return_id))
    after = await see(door, return_id)
    assert after["goods"]["state"] == "in_transit"
    assert after == before | {"goods": after["goods"]}


async def test_a_batch_costs_the_same_round_trips_whatever_its_size(door: Door) -> None:
    async def trips(count: int) -> int:
        calls = 0

        def count_call(*_: object) -> None:
            nonlocal calls
            calls += 1

        async with door.pool.acquire() as connection:
            connection.add_query_logger(count_call)
        batch = [change(new_id(), 1, Status.REQUESTED) for _ in range(count)]
        await door.publish("returns.lifecycle", *batch)
        async with door.pool.acquire() as connection:
            connection.remove_query_logger(count_call)
        return calls

    await trips(1)
    assert await trips(1) == await trips(200) <= 12


async def test_filters_follow_the_highest_number_whatever_the_order_of_arrival(door: Door) -> None:
    return_id = await door.ask(order_id=None, claim={"last4": "1234"})

    async def found(**filters: str) -> list[str]:
        listed = (await door.http.get("/returns", params=filters)).json()
        return [item["return_id"] for item in listed["items"]]

    for number, status, order_id in (
        (2, Status.AWAITING_REVIEW, None),
        (4, Status.AWAITING_PHYSICAL_RECEIPT, "order-linked"),
        (3, Status.ASSESSING, "order-wrong"),
        (1, Status.REQUESTED, None),
    ):
        moved = change(return_id, number, status, order_id=order_id)
        await door.publish("returns.lifecycle", moved)
    assert await found(status="awaiting_physical_receipt") == [return_id]
    assert await found(status="assessing") == []
    assert await found(order_id="order-linked") == [return_id]
    assert await found(order_id="order-wrong") == []
    assert (await see(door, return_id))["order_id"] == "order-linked"


async def test_only_the_first_request_of_a_return_is_kept(door: Door) -> None:
    request = a_request()
    return_id = await door.ask(**request)
    echo = requests.ReturnRequest.model_validate(request)
    other = echo.model_copy(
        update={"order_id": "order-2", "requester": requests.Requester(customer_id="thief")}
    )
    await door.publish("returns.requests", echo, other)
    await door.publish("returns.requests", other)
    assert await door.pool.fetchval("SELECT count(*) FROM facts") == 1
    assert (await see(door, return_id))["order_id"] == "order-1001"
    stolen = (await door.http.get("/returns", params={"customer_id": "thief"})).json()
    assert stolen["items"] == []


async def test_a_return_of_which_nobody_saw_the_request_is_shown_all_the_same(door: Door) -> None:
    return_id = new_id()
    await door.publish("returns.lifecycle", change(return_id, 2, Status.ASSESSING))
    seen = await see(door, return_id)
    assert (seen["status"], len(seen["timeline"])) == ("assessing", 1)
    late = requests.ReturnRequest.model_validate(a_request(return_id=return_id))
    await door.publish("returns.requests", late)
    listed = (await door.http.get("/returns", params={"customer_id": "customer-17"})).json()
    assert [item["return_id"] for item in listed["items"]] == [return_id]


async def test_a_customer_gets_the_return_as_a_page(door: Door) -> None:
    return_id = await door.ask()
    await door.publish("fulfillment.events", label(return_id))
    seen = await door.http.get(f"/returns/{return_id}/page")
    assert seen.status_code == 200
    assert seen.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in seen.headers["content-security-policy"]
    assert 'href="http://127.0.0.1/label.pdf"' in seen.text
    assert (await door.http.get(f"/returns/{new_id()}/page")).status_code == 404
