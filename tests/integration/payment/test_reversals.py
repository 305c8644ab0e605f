"""Reversals at a processor that answers badly: charged once, and told as it is."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts import payment as told
from services.payment.messages import RefundSeen
from services.payment.model import SeenRefund, SeenStatus
from tests.driving import Drive
from tests.payments import (
    Sandbox,
    a_decision,
    a_payment,
    a_release,
    a_reversal,
    an_order,
    new_id,
    paid_by_a_person,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

TROUBLES = [
    "ok",
    "rate_limited",
    "timeout_before",
    "timeout_after_success",
    "error_500_after_success",
    "pending",
]


async def paid(payment: Drive, sandbox: Sandbox, *, behaviour: str) -> tuple[str, str]:
    """(return, payment reference) of a refund that a person paid: the processor did nothing yet."""
    reference, return_id = f"pi_{uuid4().hex}", new_id()
    sandbox.pay(reference, behaviour=behaviour)
    for message in paid_by_a_person(return_id, new_id(), reference):
        await payment.send(message)
    assert await payment.published(told.RefundSettled)
    return return_id, reference


async def wait(payment: Drive, seconds: int) -> None:
    for _ in range(seconds):
        await payment.advance(timedelta(seconds=1))


@pytest.mark.parametrize("behaviour", TROUBLES)
async def test_whatever_the_processor_answers_a_reversal_is_charged_once(
    payment: Drive, sandbox: Sandbox, behaviour: str
) -> None:
    return_id, reference = await paid(payment, sandbox, behaviour=behaviour)
    await payment.send(
        a_reversal(return_id, f"rv-{reference}", amount=5000, consent=True, payment_id="p1")
    )
    await wait(payment, 5)
    if behaviour == "pending":
        assert not await payment.published(told.ReversalSettled)
        await wait_for(lambda: sandbox.kinds(reference) == ["charge"], what="the bank debit")
    await wait(payment, 40)
    told_of = await payment.published(told.ReversalSettled)
    settled = [each for each in told_of if type(each) is told.ReversalSettled]
    assert [(each.reversal_id, each.amount) for each in settled] == [(f"rv-{reference}", 5000)]
    assert not await payment.published(told.ReversalRefused)
    assert sandbox.kinds(reference) == ["charge"]
    assert not await payment.quarantined()


async def test_a_stored_500_is_told_as_not_charged_only_when_nothing_can_have_been(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, reference = await paid(payment, sandbox, behaviour="error_500_stored")
    await payment.send(
        a_reversal(return_id, f"rv-{reference}", amount=5000, consent=True, payment_id="p1")
    )
    await wait(payment, 40)
    assert not await payment.published(told.ReversalRefused)
    for _ in range(3):
        await payment.advance(timedelta(hours=10))
    [refused] = await payment.published(told.ReversalRefused)
    assert refused.code == "not_charged"
    assert sandbox.kinds(reference) == []


async def test_a_refund_that_fails_before_its_reversal_is_charged_is_not_charged(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
    sandbox.pay(reference)
    await payment.send(an_order(a_payment(reference)), a_decision(return_id))
    await payment.send(a_release(return_id, refund_id))
    await payment.settle()
    await wait(payment, 3)
    [settled] = await payment.published(told.RefundSettled)
    await payment.send(a_reversal(return_id, "rv-1", amount=5000, consent=True))
    failed = SeenRefund(
        reference=settled.processor_reference,
        refund_id=refund_id,
        status=SeenStatus.FAILED,
        amount=settled.amount,
        currency=settled.currency,
        failure_code="declined",
    )
    found = RefundSeen(
        order_id="order-1", refund_id=refund_id, seen=failed, looked_at=payment.clock.now()
    )
    await payment.pipeline.submit(found)
    [failure] = await payment.published(told.RefundFailed)
    assert failure.failure_message.endswith("charged again of it, up to 5000 USD")
    await wait(payment, 59)
    assert not await payment.published(told.ReversalRefused)
    await wait(payment, 2)
    [refused] = await payment.published(told.ReversalRefused)
    assert refused.code == "refund_failed"
    assert sandbox.kinds(reference) == ["refund"]
    assert not await payment.quarantined()
