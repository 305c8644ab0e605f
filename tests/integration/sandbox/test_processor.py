"""The sandbox processor as the real Stripe client sees it, over real HTTP."""

from __future__ import annotations

import httpx
import pytest
import stripe

from services.sandbox.carrier import tracking_number
from services.sandbox.webhooks import signature
from tests.integration.sandbox.outside import SECRET, Inbox, Sandbox, refund
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_a_refund_settles_and_its_events_are_signed(sandbox: Sandbox, inbox: Inbox) -> None:
    sandbox.pay("pi_ok")
    made = refund(sandbox.client(), "pi_ok", "k1")
    wait_until(lambda: "refund.updated" in inbox.types("pi_ok"))
    assert sandbox.client().v1.refunds.retrieve(made.id).status == "succeeded"
    [entry] = sandbox.book("pi_ok")
    assert (entry["kind"], entry["amount"], entry["currency"]) == ("refund", 600, "USD")
    assert entry["metadata"] == {"refund_id": "r-pi_ok", "return_id": "x"}
    body, signed = inbox.received[-1]
    stripe.Webhook.construct_event(body, signed, SECRET)  # type: ignore[no-untyped-call]
    at = int(signed.split(",")[0][2:])
    assert signed == signature(body, SECRET, at)


def test_a_key_answers_again_and_refuses_another_body(sandbox: Sandbox) -> None:
    sandbox.pay("pi_key")
    client = sandbox.client()
    first = refund(client, "pi_key", "k2")
    again = refund(client, "pi_key", "k2")
    assert first.id == again.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        refund(client, "pi_key", "k2", amount=500)
    assert len(sandbox.book("pi_key")) == 1


def test_more_than_was_paid_and_unknown_payments_are_refused(sandbox: Sandbox) -> None:
    sandbox.pay("pi_much")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        refund(sandbox.client(), "pi_much", "k3", amount=1001)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refund(sandbox.client(), "pi_nobody", "k4")
    assert caught.value.code == "resource_missing"
    assert sandbox.book("pi_much") == []


@pytest.mark.parametrize(
    ("behaviour", "error", "moved_at_first"),
    [
        ("timeout_before", stripe.APIConnectionError, 0),
        ("timeout_after_success", stripe.APIConnectionError, 1),
        ("error_500_stored", stripe.APIError, 0),
        ("error_500_after_success", stripe.APIError, 1),
        ("rate_limited", stripe.RateLimitError, 0),
        ("declined", stripe.CardError, 0),
    ],
)
def test_troubles_happen_first_and_then_no_more(
    sandbox: Sandbox, behaviour: str, error: type[Exception], moved_at_first: int
) -> None:
    reference = f"pi_{behaviour}"
    sandbox.pay(reference, behaviour=behaviour)
    client = sandbox.client(1.0)
    with pytest.raises(error):
        refund(client, reference, f"{behaviour}:1")
    found = client.v1.refunds.list({"payment_intent": reference}).data
    assert len(found) == len(sandbox.book(reference)) == moved_at_first
    if "error_500" in behaviour:
        with pytest.raises(stripe.APIError):
            refund(client, reference, f"{behaviour}:1")
    if behaviour == "rate_limited":
        with pytest.raises(stripe.RateLimitError):
            refund(client, reference, f"{behaviour}:1")
    if behaviour != "declined" and not moved_at_first:
        refund(client, reference, f"{behaviour}:2")
        assert len(sandbox.book(reference)) == 1


def test_a_refund_can_fail_after_it_settled(sandbox: Sandbox, inbox: Inbox) -> None:
    sandbox.pay("pi_settled_then_failed", behaviour="fails_later")
    made = refund(sandbox.client(), "pi_settled_then_failed", "k5")
    wait_until(lambda: "refund.failed" in inbox.types("pi_settled_then_failed"), seconds=60)
    assert sandbox.client().v1.refunds.retrieve(made.id).status == "failed"
    assert [entry["kind"] for entry in sandbox.book("pi_settled_then_failed")] == [
        "refund",
        "refund_failed",
    ]


def test_events_are_sent_twice_never_or_in_the_wrong_order(sandbox: Sandbox, inbox: Inbox) -> None:
    for behaviour in ("webhook_twice", "no_webhook", "webhook_out_of_order"):
        sandbox.pay(f"pi_{behaviour}", behaviour=behaviour)
        refund(sandbox.client(), f"pi_{behaviour}", f"{behaviour}:1")
    wait_until(lambda: "refund.created" in inbox.types("pi_webhook_out_of_order"))
    order = inbox.types("pi_webhook_out_of_order")
    assert order.index("refund.updated") < order.index("refund.created")
    wait_until(lambda: inbox.types("pi_webhook_twice").count("refund.updated") == 2)
    assert inbox.types("pi_no_webhook") == []


def test_an_open_dispute_blocks_refunds_until_it_is_won(sandbox: Sandbox) -> None:
    sandbox.pay("pi_disputed")
    control = f"{sandbox.url}/sandbox/disputes"
    body = {"reference": "pi_disputed", "status": "open"}
    assert httpx.post(control, json=body).status_code == 201
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refund(sandbox.client(), "pi_disputed", "k6")
    assert caught.value.code == "charge_disputed"
    listed = sandbox.client().v1.disputes.list({"payment_intent": "pi_disputed"}).data
    assert [dispute.status for dispute in listed] == ["needs_response"]
    httpx.post(control, json=body | {"status": "won"})
    refund(sandbox.client(), "pi_disputed", "k7")


def test_lists_page_through_everything(sandbox: Sandbox) -> None:
    sandbox.pay("pi_many", amount=1000)
    client = sandbox.client()
    made = [refund(client, "pi_many", f"many:{n}", amount=10).id for n in range(7)]
    listed = client.v1.refunds.list({"payment_intent": "pi_many", "limit": 3})
    assert [each.id for each in listed.auto_paging_iter()] == made[::-1]


def test_events_are_sent_until_they_arrive(sandbox: Sandbox, inbox: Inbox) -> None:
    inbox.refuse = 3
    sandbox.pay("pi_retry")
    refund(sandbox.client(), "pi_retry", "k8")
    wait_until(lambda: "refund.updated" in inbox.types("pi_retry"), seconds=60)


def test_kill_9_loses_neither_the_book_nor_what_was_put_off(sandbox: Sandbox, inbox: Inbox) -> None:
    sandbox.pay("pi_killed", behaviour="pending")
    made = refund(sandbox.client(), "pi_killed", "k9")
    sandbox.kill()
    sandbox.start()
    assert len(sandbox.book("pi_killed")) == 1
    assert refund(sandbox.client(), "pi_killed", "k9").id == made.id
    wait_until(lambda: "refund.updated" in inbox.types("pi_killed"), seconds=60)
    assert sandbox.client().v1.refunds.retrieve(made.id).status == "succeeded"


def test_one_reference_gets_one_label_that_renders(sandbox: Sandbox) -> None:
    order = {
        "reference": "label-1",
        "return_id": "r1",
        "order_id": "o1",
        "to": {"name": "Acme", "line1": "1 Way", "city": "Reno", "country": "US"},
    }
    labels = [httpx.post(f"{sandbox.url}/carrier/labels", json=order).json() for _ in range(2)]
    assert labels[0] == labels[1]
    assert labels[0]["tracking_number"] == tracking_number("label-1")
    assert httpx.get(labels[0]["label_url"], timeout=60).content.startswith(b"%PDF")
    assert httpx.get(labels[0]["qr_url"]).content.startswith(b"\x89PNG")
    found = httpx.get(f"{sandbox.url}/carrier/labels", params={"reference": "label-1"}).json()
    assert found["labels"][0]["tracking_number"] == labels[0]["tracking_number"]


def test_bad_control_calls_name_the_field(sandbox: Sandbox) -> None:
    answer = httpx.post(
        f"{sandbox.url}/sandbox/payments",
        json={"reference": "x", "amount": -1, "currency": "USD", "behaviour": "odd"},
    )
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"amount", "behaviour"}
