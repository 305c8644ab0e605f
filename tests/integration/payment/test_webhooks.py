"""Webhooks over real HTTP: who may send them, what they do, what they never do."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts import payment as told
from contracts import topics
from contracts.base import Message
from contracts.orders import PaymentMethod, Processor
from services.chassis.clock import WallClock
from services.payment import webhooks
from services.payment.app import PaymentService
from services.payment.model import PaymentFacts
from tests.driving import START, record
from tests.integration.payment.conftest import Serve, Served
from tests.payments import SECRET, Sandbox, a_decision, a_payment, a_release, an_order, new_id
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio


def an_event(**changes: Any) -> bytes:
    event: dict[str, Any] = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "refund.updated",
        "data": {
            "object": {
                "id": "re_1",
                "object": "refund",
                "status": "succeeded",
                "payment_intent": "pi_unknown",
                "metadata": {"refund_id": "nobody", "order_id": "nobody"},
            }
        },
    }
    return json.dumps(event | changes).encode()


async def post(
    served: Served, body: bytes, *, secret: str = SECRET, at: int | None = None
) -> httpx.Response:
    at = int(time.time()) if at is None else at
    signature = f"t={at},v1={webhooks.sign(body, secret, at)}"
    return await served.client.post(
        "/webhooks/stripe", content=body, headers={"Stripe-Signature": signature}
    )


async def stored(served: Served) -> int:
    count: int = await served.runtime.pool.fetchval("SELECT count(*) FROM webhook_events")
    return count


async def send(served: Served, *messages: Message) -> None:
    await served.runtime.pipeline.process([record(message) for message in messages])


async def published(served: Served, kind: type[Message]) -> list[Any]:
    rows = await served.runtime.pool.fetch("SELECT type, payload FROM outbox ORDER BY seq")
    found = [
        topics.MESSAGES[row["type"].split(".")[1]].model_validate_json(row["payload"])
        for row in rows
    ]
    return [each for each in found if isinstance(each, kind)]


async def test_what_is_not_a_genuine_event_is_refused_and_leaves_nothing(serve: Serve) -> None:
    async with serve() as served:
        body, now = an_event(), int(time.time())
        good = webhooks.sign(body, SECRET, now)
        refused = [
            await post(served, body, secret="whsec_wrong"),
            await post(served, body, at=now - 301),
            await post(served, body, at=int(time.time()) + 3_600),
            await post(served, b"not json"),
            await post(served, b"[]"),
            await post(served, b'{"type": "refund.updated"}'),
            await post(served, an_event(data={"object": "re_1"})),
            await post(served, an_event(data={"object": {"id": 7}})),
            await post(served, an_event(type=7)),
            await post(served, an_event(type=["refund.updated"])),
            await post(served, an_event(data={"object": {"id": "ch_1", "object": "charge"}})),
            await post(served, an_event(pad="x" * webhooks.BODY_BYTES_MAX)),
            await served.client.post("/webhooks/stripe", content=body),
            *[
                await served.client.post(
                    "/webhooks/stripe", content=body, headers={"Stripe-Signature": header}
                )
                for header in (
                    "",
                    f"v1={good}",
                    f"t={now}",
                    f"t={now},v0={good}",
                    f"t={now},t={now},v1={good}",
                    f"t=-1,v1={good}",
                    f"t=٣,v1={good}".encode(),
                    f"t={'9' * 400},v1={good}",
                )
            ],
            await served.client.post(
                "/webhooks/stripe",
                content=body + b" ",
                headers={"Stripe-Signature": f"t={now},v1={good}"},
            ),
        ]
        for answer in refused:
            assert answer.status_code == 400, answer.text
            assert answer.headers["content-type"].startswith("application/problem+json")
        assert await stored(served) == 0
        metrics = (await served.client.get("/metrics")).text
        for outcome in ("forged", "old", "oversized", "malformed", "unsigned", "wrong_type"):
            assert f'payment_webhooks_total{{outcome="{outcome}"}}' in metrics


async def test_every_live_secret_opens_the_door_and_the_same_event_counts_once(
    serve: Serve,
) -> None:
    async with serve() as served:
        body = an_event()
        assert (await post(served, body)).status_code == 200
        assert (await post(served, body, secret="whsec_second")).status_code == 200
        both = int(time.time())
        header = f"t={both},v1={'0' * 64},v1={webhooks.sign(body, SECRET, both)}"
        again = await served.client.post(
            "/webhooks/stripe", content=body, headers={"Stripe-Signature": header}
        )
        assert again.status_code == 200
        assert await stored(served) == 1


async def test_a_type_that_does_not_concern_us_is_answered_and_forgotten(serve: Serve) -> None:
    async with serve() as served:
        answer = await post(served, an_event(type="customer.created"))
        assert answer.status_code == 200
        assert await stored(served) == 0


async def test_a_webhook_that_lies_moves_nothing(serve: Serve, sandbox: Sandbox) -> None:
    async with serve() as served:
        reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
        sandbox.pay(reference, behaviour="pending")
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        await send(served, a_release(return_id, refund_id))
        await wait_for(lambda: published(served, told.RefundPending), what="the refund is pending")
        lie = {
            "id": "re_x",
            "object": "refund",
            "status": "failed",
            "payment_intent": reference,
            "metadata": {"refund_id": refund_id, "order_id": "order-1"},
        }
        event = an_event(type="refund.failed", data={"object": lie})
        assert (await post(served, event)).status_code == 200
        [settled] = await wait_for(
            lambda: published(served, told.RefundSettled), what="the refund settles"
        )
        assert settled.refund_id == refund_id
        assert await published(served, told.RefundFailed) == []


@pytest.mark.parametrize("behaviour", ["ok", "pending", "webhook_twice", "webhook_out_of_order"])
async def test_the_sandbox_own_webhooks_settle_a_refund_once(
    serve: Serve, sandbox: Sandbox, behaviour: str
) -> None:
    async with serve() as served:
        reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
        sandbox.pay(reference, behaviour=behaviour)
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        await send(served, a_release(return_id, refund_id))
        await wait_for(lambda: published(served, told.RefundSettled), what="the refund settles")
        assert len(await published(served, told.RefundSettled)) == 1
        assert sandbox.kinds(reference) == ["refund"]


async def test_a_refund_that_fails_after_it_settled_is_heard_of_by_webhook(
    serve: Serve, sandbox: Sandbox
) -> None:
    async with serve() as served:
        reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
        sandbox.pay(reference, behaviour="fails_later")
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        await send(served, a_release(return_id, refund_id))
        await wait_for(lambda: published(served, told.RefundFailed), what="the refund fails")
        assert len(await published(served, told.RefundSettled)) == 1
        rows = await served.runtime.pool.fetch("SELECT headers FROM outbox")
        causes = {json.loads(row["headers"]).get("ce_causationid") for row in rows}
        assert None not in causes


async def test_a_dispute_heard_of_by_webhook_is_told_of_once(
    serve: Serve, sandbox: Sandbox
) -> None:
    async with serve() as served:
        reference, return_id = f"pi_{uuid4().hex}", new_id()
        sandbox.pay(reference)
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        sandbox.dispute(reference, "open")
        [opened] = await wait_for(
            lambda: published(served, told.DisputeOpened), what="the dispute is told of"
        )
        assert opened.return_id == return_id
        sandbox.dispute(reference, "won")
        await wait_for(lambda: published(served, told.DisputeClosed), what="its end is told of")
        assert len(await published(served, told.DisputeClosed)) == 1


async def test_the_books_agree_and_a_refund_can_be_proven(serve: Serve, sandbox: Sandbox) -> None:
    async with serve() as served:
        reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
        sandbox.pay(reference)
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        await send(served, a_release(return_id, refund_id))
        await wait_for(lambda: published(served, told.RefundSettled), what="the refund settles")
        since = (WallClock().now() - timedelta(minutes=1)).isoformat()
        report = (await served.client.get("/reconciliation", params={"since": since})).json()
        assert report["compared"] == 1
        # Other tests take reversals at the same processor, which this store cannot know.
        assert [each for each in report["differences"] if each["reversal_id"] is None] == []
        proof = (await served.client.get(f"/refunds/{refund_id}/proof")).json()
        assert proof["state"] == "settled"
        steps = [link["step"] for link in proof["links"]]
        assert steps[0] == "release"
        assert steps[-1] == "processor"
        assert {"submission", "ledger", "credit_note", "state"} <= set(steps)
        assert proof["links"][-1]["content"]["status"] == "succeeded"
        assert (await served.client.get("/refunds/nobody/proof")).status_code == 404
        sandbox.pay(f"{reference}x")
        sandbox.refund(f"{reference}x", 5)
        taxes = (await served.client.get("/tax-reversals", params={"format": "csv"})).text
        assert "CN-" in taxes.splitlines()[1]


async def test_store_credit_is_spent_once_and_never_overdrawn(
    serve: Serve, sandbox: Sandbox
) -> None:
    async with serve() as served:
        reference, return_id = f"pi_{uuid4().hex}", new_id()
        sandbox.pay(reference)
        await send(
            served, an_order(a_payment(reference)), a_decision(return_id, method="store_credit")
        )
        await send(served, a_release(return_id, new_id(), method="store_credit", payment_id=None))
        await wait_for(lambda: published(served, told.StoreCreditIssued), what="the credit")
        debit = {
            "debit_id": "d1",
            "kind": "redeemed",
            "amount": 20000,
            "currency": "USD",
            "order_id": "order-2",
        }
        path = "/store-credits/c-order-1"
        for _ in range(2):
            assert (await served.client.post(f"{path}/debits", json=debit)).status_code == 201
        for changes in ({"amount": 1}, {"debit_id": "d2"}, {"debit_id": "d3", "currency": "EUR"}):
            refused = await served.client.post(f"{path}/debits", json=debit | changes)
            assert refused.status_code == 409, refused.text
        assert (await served.client.post(f"{path}/debits", json={})).status_code == 422
        seen = (await served.client.get(path)).json()
        assert seen["balances"] == [{"currency": "USD", "balance": 2200}]


async def test_a_service_that_stops_leaves_no_connection_to_the_processor_open(
    serve: Serve, sandbox: Sandbox
) -> None:
    async with serve() as served:
        service = served.runtime.service
        assert isinstance(service, PaymentService)
        processor = service.processors.sandbox
        sandbox.pay("pi_left_open")
        payment = PaymentFacts(
            payment_id="p1",
            processor=Processor.SANDBOX,
            reference="pi_left_open",
            method=PaymentMethod.CARD,
            captured=22200,
            captured_at=START,
        )
        assert (await processor.look(payment, now=START)).known
        session = processor._http._kept()
        assert not session.closed
    assert session.closed
