"""The nightly comparison of the books finds what every webhook and poll has missed."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from contracts import payment as told
from services.chassis.clock import WallClock
from services.payment.app import PaymentService
from services.payment.audit import reconcile
from services.payment.audit.difference import Kind
from services.payment.audit.reversals import FOR_NOTHING
from services.payment.messages import ReconciliationDue, RefundDoubted
from tests.driving import Drive
from tests.payments import Sandbox, a_decision, a_payment, a_release, a_reversal, an_order, new_id
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio


async def settled(payment: Drive, sandbox: Sandbox, *, behaviour: str) -> str:
    """The payment's reference, on a day of the processor's own calendar."""
    payment.clock.at = WallClock().now()
    reference, return_id = f"pi_{uuid4().hex}", new_id()
    sandbox.pay(reference, behaviour=behaviour)
    await payment.send(an_order(a_payment(reference)), a_decision(return_id))
    await payment.send(a_release(return_id, new_id()))
    for _ in range(3):
        await payment.advance(timedelta(seconds=1))
    assert await payment.published(told.RefundSettled)
    return reference


async def test_a_refund_that_fails_after_thirty_days_without_a_webhook_is_found(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference = await settled(payment, sandbox, behaviour="fails_later")
    await wait_for(lambda: len(sandbox.kinds(reference)) == 2, what="the refund comes back")
    payment.clock.at += timedelta(days=30)
    await payment.pipeline.submit(ReconciliationDue())
    await payment.settle()
    [failed] = await payment.published(told.RefundFailed)
    assert failed.state == "settlement_failed"


async def test_a_charge_for_a_refund_that_has_failed_since_is_named(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference = await settled(payment, sandbox, behaviour="fails_later")
    [refund] = await payment.published(told.RefundSettled)
    reversal = a_reversal(refund.return_id, f"rv-{reference}", amount=5000, consent=True)
    await payment.send(reversal)
    await payment.settle()
    await wait_for(lambda: "refund_failed" in sandbox.kinds(reference), what="it comes back")
    doubt = RefundDoubted(order_id="order-1", refund_id=refund.refund_id)
    await payment.pipeline.submit(doubt)
    await payment.settle()
    assert await payment.published(told.RefundFailed)
    assert isinstance(payment.service, PaymentService)
    now = payment.clock.now()
    report = await reconcile.reconcile(
        payment.pool, payment.service.processors, now - timedelta(days=1), now
    )
    [found] = [each for each in report.differences if each.reversal_id == reversal.reversal_id]
    assert (found.kind, found.action) == (Kind.STATE, FOR_NOTHING)


async def test_a_charge_that_nobody_here_knows_of_is_named(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference = await settled(payment, sandbox, behaviour="ok")
    form = {
        "amount": "700",
        "currency": "usd",
        "metadata[reversal_id]": f"rv-{reference}",
        "metadata[reference]": reference,
        "metadata[order_id]": "order-1",
    }
    async with httpx.AsyncClient(base_url=sandbox.url) as client:
        (await client.post("/v1/payment_intents", data=form)).raise_for_status()
    assert isinstance(payment.service, PaymentService)
    now = payment.clock.now()
    report = await reconcile.reconcile(
        payment.pool, payment.service.processors, now - timedelta(days=1), now
    )
    [found] = [each for each in report.differences if each.reversal_id == f"rv-{reference}"]
    assert (found.kind, found.theirs) == (Kind.MISSING_HERE, "succeeded: 700 USD")
