"""Refunds through the real pipeline, the real store and the sandbox's own process."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import stripe

from contracts import payment as told
from contracts.assessments import DisputeState, RefundabilityAssessed
from contracts.base import Message
from services.payment.app import build
from services.payment.messages import WebhookReceived
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.payments import (
    Sandbox,
    a_closing,
    a_decision,
    a_payment,
    a_release,
    a_reversal,
    a_void,
    an_assessment,
    an_order,
    new_id,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

LOYALTY = {"program_id": "points", "points_earned": 200}
HOUR = timedelta(hours=1)


def a_reference() -> str:
    return f"pi_{uuid4().hex}"


async def known_order(payment: Drive, reference: str) -> None:
    await payment.send(an_order(a_payment(reference), loyalty=LOYALTY))


async def released(
    payment: Drive, sandbox: Sandbox, *, behaviour: str = "ok"
) -> tuple[str, str, str]:
    """(return, refund, payment reference) of a refund whose release has just arrived."""
    reference, return_id, refund_id = a_reference(), new_id(), new_id()
    sandbox.pay(reference, behaviour=behaviour)
    await known_order(payment, reference)
    await payment.send(a_decision(return_id))
    await payment.send(a_release(return_id, refund_id))
    return return_id, refund_id, reference


async def wait(payment: Drive, *, seconds: int = 40) -> None:
    """Let the service's own clock run; the processor's answers take real time."""
    for _ in range(seconds):
        await payment.advance(timedelta(seconds=1))


async def balance(payment: Drive, *, test: bool = False) -> dict[str, int]:
    row = await payment.pool.fetchrow("SELECT * FROM payment_balances WHERE test = $1", test)
    return {name: row[name] for name in ("captured", "reserved", "pending", "settled", "unknown")}


async def kinds(payment: Drive) -> list[str]:
    return [type(each).__name__ for each in await payment.published()]


@pytest.mark.parametrize(
    ("behaviour", "attempt"),
    [
        ("ok", 1),
        ("slow", 1),
        ("pending", 1),
        ("rate_limited", 1),
        ("no_webhook", 1),
        ("webhook_twice", 1),
        ("webhook_out_of_order", 1),
        ("timeout_after_success", 1),
        ("timeout_before", 2),
        ("error_500_stored", 2),
        ("error_500_after_success", 1),
    ],
)
async def test_whatever_the_processor_does_one_refund_takes_place(
    payment: Drive, sandbox: Sandbox, behaviour: str, attempt: int
) -> None:
    _, refund_id, reference = await released(payment, sandbox, behaviour=behaviour)
    await payment.settle()
    await wait(payment)
    if behaviour == "pending":
        await settled_at_processor(sandbox, reference)
        await wait(payment)
    [settled] = await payment.published(told.RefundSettled)
    assert (settled.refund_id, settled.amount, settled.attempt) == (refund_id, 22200, attempt)
    assert settled.idempotency_key == f"refund:{refund_id}:{attempt}"
    [entry] = sandbox.book(reference)
    assert (entry["kind"], entry["amount"], entry["currency"]) == ("refund", 22200, "USD")
    assert entry["metadata"]["refund_id"] == refund_id
    assert (await balance(payment))["settled"] == 22200
    assert not await payment.quarantined()
    unknown = await payment.published(told.RefundOutcomeUnknown)
    assert bool(unknown) == behaviour.startswith(("timeout", "error"))


async def settled_at_processor(sandbox: Sandbox, reference: str) -> None:
    await wait_for(
        lambda: all(each["status"] != "pending" for each in sandbox.refunds(reference)),
        what="the processor settles",
    )


async def test_a_settled_refund_brings_points_and_tax_with_it(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, refund_id, _ = await released(payment, sandbox)
    await payment.settle()
    await wait(payment, seconds=3)
    [points] = await payment.published(told.LoyaltyReversed)
    assert (points.points_reversed, points.points_restored, points.balance) == (200, 50, 50)
    [tax] = await payment.published(told.TaxReversalRecorded)
    assert (tax.rate_bps, tax.net, tax.tax) == (600, 20000, 1200)
    assert (tax.original_reference, tax.period) == ("N-order-1", "2026-03")
    assert tax.credit_note_number == "CN-2026-000001"
    assert tax.return_id == return_id
    assert tax.refund_id == refund_id


async def test_a_declined_refund_is_refused_and_store_credit_takes_its_place(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, refund_id, reference = await released(payment, sandbox, behaviour="declined")
    await payment.settle()
    [failed] = await payment.published(told.RefundFailed)
    assert failed.state == "refused"
    assert failed.failure_code
    assert failed.alternatives == ("store_credit", "bank_transfer", "new_method")
    assert (await balance(payment))["reserved"] == 22200
    second = new_id()
    await payment.send(a_decision(return_id, sequence=2, method="store_credit"))
    await payment.send(
        a_release(
            return_id,
            second,
            method="store_credit",
            payment_id=None,
            legs=False,
            replaces_refund_id=refund_id,
        )
    )
    await payment.settle()
    [credit] = await payment.published(told.StoreCreditIssued)
    [settled] = await payment.published(told.RefundSettled)
    assert (credit.amount, credit.refund_id) == (22200, second)
    assert (settled.method, settled.refund_id) == ("store_credit", second)
    assert (await kinds(payment))[-4:] == [
        "StoreCreditIssued",
        "RefundSettled",
        "LoyaltyReversed",
        "TaxReversalRecorded",
    ], "the legs of the refused refund settle with what replaced it"
    assert sandbox.book(reference) == []
    assert (await balance(payment))["settled"] == 22200
    assert await payment.pool.fetchval(
        "SELECT balance FROM account_balances WHERE book = 'store_credit'"
    ) == 22200  # fmt: skip


async def test_a_refund_that_fails_after_settlement_is_taken_back_with_its_legs(
    payment: Drive, sandbox: Sandbox
) -> None:
    _, refund_id, reference = await released(payment, sandbox, behaviour="fails_later")
    await payment.settle()
    await wait(payment, seconds=3)
    assert await payment.published(told.RefundSettled)
    await comes_back(sandbox, reference)
    await payment.pipeline.submit(an_event(reference, refund_id, status="failed"))
    await payment.settle()
    [failed] = await payment.published(told.RefundFailed)
    assert failed.state == "settlement_failed"
    tax = await payment.published(told.TaxReversalRecorded)
    assert [(each.net, each.tax) for each in tax] == [(20000, 1200), (-20000, -1200)]
    assert [each.credit_note_number for each in tax] == ["CN-2026-000001", "CN-2026-000002"]
    points = await payment.published(told.LoyaltyReversed)
    assert [(each.points_reversed, each.balance) for each in points] == [(200, 50), (-200, 200)]
    assert (await balance(payment))["settled"] == 0
    assert (await balance(payment))["reserved"] == 22200


async def comes_back(sandbox: Sandbox, reference: str) -> None:
    await wait_for(
        lambda: sandbox.kinds(reference) == ["refund", "refund_failed"],
        what="the refund comes back",
    )


def an_event(reference: str, refund_id: str | None, *, status: str) -> Message:
    return WebhookReceived(
        event_id=f"evt_{uuid4().hex}",
        event_type="refund.updated",
        body_sha256="",
        object_id="re_1",
        object_type="refund" if refund_id else "dispute",
        order_id="order-1" if refund_id else None,
        refund_id=refund_id,
        payment_reference=reference,
        status=status,
    )


async def test_an_escalation_does_not_wait_for_an_order_that_nobody_knows(payment: Drive) -> None:
    await payment.send(a_decision(new_id(), order_id="order-mistyped", decision="escalated"))
    await payment.advance(2 * HOUR)
    assert await payment.count("parked") == 0
    assert await payment.quarantined() == []


async def test_an_open_dispute_is_seen_by_the_assessment_and_blocks_the_reservation(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    sandbox.dispute(reference, "open")
    await payment.send(an_assessment(return_id))
    await payment.settle()
    [assessed] = await payment.published(RefundabilityAssessed)
    [seen] = assessed.payments
    assert seen.dispute is DisputeState.OPEN
    assert (seen.refundable, seen.accepts_refund) == (0, False)
    assert assessed.alternatives
    await payment.send(a_decision(return_id))
    [refused] = await payment.published(told.RefundReservationRefused)
    assert refused.code == "dispute_open"


async def test_a_dispute_that_opens_after_the_reservation_holds_the_refund_until_it_is_won(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id, refund_id = a_reference(), new_id(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    await payment.send(a_decision(return_id))
    sandbox.dispute(reference, "open")
    await payment.send(a_release(return_id, refund_id))
    await payment.settle()
    [opened] = await payment.published(told.DisputeOpened)
    assert opened.return_id == return_id
    await wait(payment)
    assert sandbox.book(reference) == []
    sandbox.dispute(reference, "won")
    await wait(payment)
    [closed] = await payment.published(told.DisputeClosed)
    assert closed.outcome == "won"
    [settled] = await payment.published(told.RefundSettled)
    assert settled.refund_id == refund_id
    assert sandbox.kinds(reference) == ["refund"]


async def test_a_held_refund_can_be_taken_back_and_another_method_pays(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id, refund_id = a_reference(), new_id(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    await payment.send(a_decision(return_id))
    sandbox.dispute(reference, "open")
    await payment.send(a_release(return_id, refund_id))
    await payment.settle()
    sandbox.dispute(reference, "lost")
    await wait(payment)
    await payment.send(a_void(return_id, refund_id))
    [voided] = await payment.published(told.RefundReservationVoided)
    assert voided.allocations[0].amount == 22200
    assert voided.refund_id == refund_id
    await payment.send(a_decision(return_id, sequence=2, method="bank_transfer"))
    await payment.send(
        a_release(
            return_id,
            new_id(),
            method="bank_transfer",
            payment_id=None,
            replaces_refund_id=refund_id,
            reference="SEPA-1",
        )
    )
    [settled] = await payment.published(told.RefundSettled)
    assert (settled.method, settled.processor_reference) == ("bank_transfer", "SEPA-1")
    assert sandbox.book(reference) == []


async def test_a_pending_refund_that_is_taken_back_is_cancelled_at_the_processor(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, refund_id, reference = await released(payment, sandbox, behaviour="pending")
    await payment.settle()
    assert await payment.published(told.RefundPending)
    await payment.send(a_void(return_id, refund_id))
    await payment.settle()
    assert not await payment.published(told.RefundFailed), "it was our own wish"
    [voided] = await payment.published(told.RefundReservationVoided)
    assert voided.allocations[0].amount == 22200
    assert sandbox.kinds(reference) == ["refund", "refund_failed"]
    await payment.send(a_closing(return_id))
    assert (await balance(payment))["reserved"] == 0


async def test_a_refund_that_settled_before_it_was_taken_back_stays_settled(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, refund_id, reference = await released(payment, sandbox, behaviour="pending")
    await payment.settle()
    await settled_at_processor(sandbox, reference)
    await payment.send(a_void(return_id, refund_id))
    await payment.settle()
    assert await payment.published(told.RefundSettled)
    assert not await payment.published(told.RefundFailed)
    assert sandbox.kinds(reference) == ["refund"]


async def test_a_refund_made_elsewhere_is_seen_and_leaves_less_to_refund(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    sandbox.refund(reference, 20000)
    await payment.send(an_assessment(return_id))
    await payment.settle()
    [assessed] = await payment.published(RefundabilityAssessed)
    assert (assessed.payments[0].refunded, assessed.payments[0].refundable) == (20000, 2200)
    await payment.send(a_decision(return_id))
    [refused] = await payment.published(told.RefundReservationRefused)
    assert refused.code == "insufficient_captured"


async def test_an_assessment_leaves_out_the_reservation_of_its_own_return(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, own, other = a_reference(), new_id(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    await payment.send(
        a_decision(own, total=10000), a_decision(other, total=5000), an_assessment(own)
    )
    await payment.settle()
    [assessed] = await payment.published(RefundabilityAssessed)
    seen = assessed.payments[0]
    assert (seen.reserved, seen.refundable) == (5000, 17200)


async def test_a_payment_that_the_processor_does_not_know_accepts_no_refund(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id = new_id()
    await known_order(payment, "pi_nobody_knows")
    await payment.send(an_assessment(return_id))
    await payment.settle()
    [assessed] = await payment.published(RefundabilityAssessed)
    assert not assessed.payments[0].accepts_refund
    assert "does not know" in (assessed.payments[0].refusal or "")


async def test_a_later_approval_reserves_the_difference_and_closing_frees_the_rest(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id = new_id()
    await known_order(payment, a_reference())
    await payment.send(a_decision(return_id, total=10000))
    await payment.send(a_decision(return_id, sequence=2, decision="escalated", total=10000))
    assert (await balance(payment))["reserved"] == 10000
    await payment.send(a_decision(return_id, sequence=3, total=12000))
    assert (await balance(payment))["reserved"] == 12000
    await payment.send(a_decision(return_id, sequence=4, total=4000))
    assert (await balance(payment))["reserved"] == 4000
    await payment.send(a_closing(return_id))
    assert (await balance(payment))["reserved"] == 0
    [voided] = await payment.published(told.RefundReservationVoided)
    assert voided.allocations[0].amount == 4000
    assert [each.decision_sequence for each in await payment.published(told.RefundReserved)][
        :1
    ] == [1]


async def test_a_rejection_voids_what_an_earlier_approval_reserved(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id = new_id()
    await known_order(payment, a_reference())
    await payment.send(a_decision(return_id))
    await payment.send(a_decision(return_id, sequence=2, decision="rejected", total=0))
    assert (await balance(payment))["reserved"] == 0
    assert await payment.published(told.RefundReservationVoided)


async def test_more_than_was_reserved_is_never_released(payment: Drive, sandbox: Sandbox) -> None:
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference)
    await known_order(payment, reference)
    await payment.send(a_decision(return_id, total=5000))
    await payment.send(a_release(return_id, new_id(), amount=5001))
    await payment.settle()
    [row] = await payment.quarantined()
    assert "more than this return has reserved" in row["reason"]
    assert sandbox.book(reference) == []


async def test_nothing_replaces_a_refund_that_may_still_be_paid(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, refund_id, reference = await released(payment, sandbox, behaviour="no_webhook")
    await payment.send(a_decision(return_id, sequence=2, method="store_credit"))
    await payment.send(
        a_release(
            return_id,
            new_id(),
            method="store_credit",
            payment_id=None,
            replaces_refund_id=refund_id,
        )
    )
    await payment.settle()
    [row] = await payment.quarantined()
    assert "may still be paid" in row["reason"]
    await wait(payment)
    assert sandbox.kinds(reference) == ["refund"]


async def test_a_release_that_overtakes_its_reservation_waits_for_it(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id, refund_id = a_reference(), new_id(), new_id()
    sandbox.pay(reference)
    await payment.send(a_release(return_id, refund_id))
    await payment.send(a_decision(return_id))
    await known_order(payment, reference)
    await payment.settle()
    await wait(payment, seconds=3)
    assert await payment.published(told.RefundSettled)


async def test_the_same_release_twice_pays_once(payment: Drive, sandbox: Sandbox) -> None:
    return_id, refund_id, reference = await released(payment, sandbox)
    await payment.send(a_release(return_id, refund_id), a_release(return_id, refund_id))
    await payment.settle()
    await wait(payment, seconds=3)
    assert sandbox.kinds(reference) == ["refund"]


async def test_two_payments_are_refunded_each_up_to_its_part(
    payment: Drive, sandbox: Sandbox
) -> None:
    first, second, return_id = a_reference(), a_reference(), new_id()
    sandbox.pay(first, amount=12200)
    sandbox.pay(second, amount=10000)
    await payment.send(
        an_order(
            a_payment(first, captured=12200),
            a_payment(second, payment_id="p2", captured=10000),
        )
    )
    await payment.send(a_decision(return_id, allocations={"p2": 10000, "p1": 5000}, total=15000))
    await payment.send(
        a_release(return_id, new_id(), payment_id="p2", amount=10000),
        a_release(return_id, new_id(), payment_id="p1", amount=5000, legs=False),
    )
    await payment.settle()
    await wait(payment, seconds=3)
    assert [entry["amount"] for entry in sandbox.book(first)] == [5000]
    assert [entry["amount"] for entry in sandbox.book(second)] == [10000]
    assert len(await payment.published(told.TaxReversalRecorded)) == 1


async def test_a_test_return_never_leaves_the_sandbox_nor_touches_the_live_book(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id, refund_id = a_reference(), new_id(), new_id()
    sandbox.pay(reference)
    await payment.send(an_order(a_payment(reference, processor="stripe")))
    await payment.send(an_assessment(return_id, test=True))
    await payment.settle()
    await payment.send(a_decision(return_id, test=True))
    await payment.send(a_release(return_id, refund_id, test=True))
    await payment.settle()
    await wait(payment, seconds=3)
    [settled] = await payment.published(told.RefundSettled)
    [tax] = await payment.published(told.TaxReversalRecorded)
    assert settled.test
    assert tax.test
    assert tax.credit_note_number == "TEST-2026-000001"
    assert sandbox.kinds(reference) == ["refund"]
    assert (await balance(payment, test=True))["settled"] == 22200
    assert (await balance(payment))["settled"] == 0


async def test_a_live_stripe_payment_without_a_key_is_not_sent_to_the_sandbox(
    payment: Drive, sandbox: Sandbox
) -> None:
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference)
    await payment.send(an_order(a_payment(reference, processor="stripe")))
    await payment.send(a_decision(return_id))
    await payment.send(a_release(return_id, new_id()))
    await payment.settle()
    [failed] = await payment.published(told.RefundFailed)
    assert failed.failure_code == "not_configured"
    assert sandbox.book(reference) == []


async def test_stripe_is_the_same_client_at_another_address(
    drive: DriveService, sandbox: Sandbox
) -> None:
    clock = SteppedClock()
    payment = await drive(
        lambda settings, pool: build(settings, pool, clock),
        "payment",
        clock=clock,
        sandbox_url="http://127.0.0.1:9",
        stripe_api_key="sk_test_1",
        stripe_api_base=sandbox.url,
    )
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference)
    await payment.send(an_order(a_payment(reference, processor="stripe")))
    await payment.send(a_decision(return_id), a_release(return_id, new_id()))
    await payment.settle()
    await wait(payment, seconds=3)
    assert await payment.published(told.RefundSettled)
    assert sandbox.kinds(reference) == ["refund"]


async def test_stripe_is_paid_from_in_its_own_units_where_they_differ(
    drive: DriveService, sandbox: Sandbox
) -> None:
    clock = SteppedClock()
    payment = await drive(
        lambda settings, pool: build(settings, pool, clock),
        "payment",
        clock=clock,
        stripe_api_key="sk_test_1",
        stripe_api_base=sandbox.url,
    )
    reference, return_id = a_reference(), new_id()
    sandbox.pay(reference, amount=100 * 22200, currency="ISK")  # as Stripe counts krónur
    for message in (
        an_order(a_payment(reference, processor="stripe")),
        a_decision(return_id),
        a_release(return_id, new_id()),
    ):
        await payment.send(message.model_copy(update={"currency": "ISK"}))
    await payment.settle()
    await wait(payment, seconds=3)
    [settled] = await payment.published(told.RefundSettled)
    assert (settled.amount, settled.currency) == (22200, "ISK")
    assert (settled.settlement_amount, settled.settlement_currency) == (22200, "ISK")
    [entry] = sandbox.book(reference)
    assert (entry["amount"], entry["currency"]) == (100 * 22200, "ISK")
    assert not await payment.quarantined()


async def test_a_processor_that_is_away_is_waited_for_and_polls_do_not_pile_up(
    drive: DriveService, sandbox: Sandbox
) -> None:
    clock = SteppedClock()
    payment = await drive(
        lambda settings, pool: build(settings, pool, clock),
        "payment",
        clock=clock,
        sandbox_url=sandbox.url,
    )
    _, refund_id, reference = await released(payment, sandbox, behaviour="no_webhook")
    await payment.settle()
    processor = payment.service.processors.sandbox  # type: ignore[attr-defined]
    client, processor._client = (
        processor._client,
        stripe.StripeClient(
            "sk_test_1", http_client=processor._http, base_addresses={"api": "http://127.0.0.1:9"}
        ),
    )
    for _ in range(20):
        await payment.advance(timedelta(seconds=30))
    assert await payment.count("effects") <= 1
    assert processor._breaker.open
    processor._client = client
    for _ in range(5):
        await payment.advance(timedelta(seconds=60))
    assert not processor._breaker.open
    [settled] = await payment.published(told.RefundSettled)
    assert settled.refund_id == refund_id
    assert sandbox.kinds(reference) == ["refund"]


async def test_a_settled_return_is_reversed_from_store_credit_or_by_consent(
    payment: Drive, sandbox: Sandbox
) -> None:
    return_id, _, reference = await released(payment, sandbox)
    await payment.settle()
    await wait(payment, seconds=3)
    await payment.send(a_reversal(return_id, "rv-1", amount=5000, consent=False))
    [refused] = await payment.published(told.ReversalRefused)
    assert refused.code == "consent_missing"
    await payment.send(a_reversal(return_id, "rv-2", amount=5000, consent=True))
    await payment.settle()
    settled = [
        each
        for each in await payment.published(told.ReversalSettled)
        if not isinstance(each, told.ReversalRefused)
    ]
    assert [(each.amount, each.method) for each in settled] == [(5000, "charge")]
    assert sandbox.kinds(reference) == ["refund", "charge"]


async def test_no_key_is_submitted_twice_when_a_process_dies_in_between(
    payment: Drive, sandbox: Sandbox
) -> None:
    _, refund_id, reference = await released(payment, sandbox)
    await payment.pool.execute("INSERT INTO submissions VALUES ($1, 1, 1, 'key', now())", refund_id)
    await payment.settle()
    assert await payment.published(told.RefundOutcomeUnknown)
    await wait(payment)
    [settled] = await payment.published(told.RefundSettled)
    assert settled.attempt == 2
    assert sandbox.kinds(reference) == ["refund"]
