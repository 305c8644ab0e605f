"""What Stripe promises to programs, promised by the sandbox too."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from tests.integration.sandbox.outside import Inbox, Sandbox, refund
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def post(sandbox: Sandbox, path: str, data: dict[str, str], key: str | None = None) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return httpx.post(f"{sandbox.url}/v1/{path}", data=data, headers=headers, timeout=30)


def test_lists_page_both_ways_and_filter_by_time_and_charge(sandbox: Sandbox) -> None:
    sandbox.pay("pi_pages", amount=1000)
    client = sandbox.client(20)
    made = [refund(client, "pi_pages", f"pages:{n}", amount=10).id for n in range(5)][::-1]
    page = client.v1.refunds.list({"payment_intent": "pi_pages", "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == (made[:2], True)
    after = {"payment_intent": "pi_pages", "limit": 2, "starting_after": made[1]}
    assert [each.id for each in client.v1.refunds.list(after).data] == made[2:4]
    before = {"payment_intent": "pi_pages", "limit": 2, "ending_before": made[4]}
    page = client.v1.refunds.list(before)
    assert ([each.id for each in page.data], page.has_more) == (made[2:4], True)
    charge = client.v1.payment_intents.retrieve("pi_pages").latest_charge
    assert len(client.v1.refunds.list({"charge": str(charge)}).data) == 5
    now = int(time.time())
    for limits, count in (({"gte": now - 60}, 5), ({"gt": now + 60}, 0), ({"lt": now - 60}, 0)):
        listed = client.v1.refunds.list({"payment_intent": "pi_pages", "created": limits})
        assert len(listed.data) == count
    moved = client.v1.balance_transactions.list({"source": made[0]}).data
    assert [(each.type, each.amount) for each in moved] == [("refund", -10)]


def test_objects_are_expanded_where_asked(sandbox: Sandbox) -> None:
    sandbox.pay("pi_expand", amount=900)
    client = sandbox.client(20)
    made = client.v1.refunds.create(
        {"payment_intent": "pi_expand", "amount": 100, "expand": ["balance_transaction", "charge"]}
    )
    assert (made.balance_transaction.net, made.charge.amount_refunded) == (-100, 100)  # type: ignore[union-attr]
    payment = client.v1.payment_intents.retrieve("pi_expand", {"expand": ["latest_charge"]})
    assert payment.latest_charge.amount_captured == 900  # type: ignore[union-attr]
    listed = client.v1.refunds.list(
        {"payment_intent": "pi_expand", "expand": ["data.charge.payment_intent"]}
    )
    assert listed.data[0].charge.payment_intent.id == "pi_expand"  # type: ignore[union-attr]


REFUSALS: dict[str, tuple[dict[str, str], int, str | None, str | None]] = {
    "nothing named": ({"amount": "1"}, 400, "parameter_missing", None),
    "unknown payment": ({"payment_intent": "pi_x"}, 404, "resource_missing", "id"),
    "unknown charge": ({"charge": "ch_x"}, 404, "resource_missing", "id"),
    "unknown parameter": (
        {"payment_intent": "pi_refusals", "amout": "1"}, 400, "parameter_unknown", "amout",
    ),
    "no integer": (
        {"payment_intent": "pi_refusals", "amount": "1.5"}, 400, "parameter_invalid_integer",
        "amount",
    ),
    "nothing": (
        {"payment_intent": "pi_refusals", "amount": "0"}, 400, "parameter_invalid_integer",
        "amount",
    ),
    "too much": (
        {"payment_intent": "pi_refusals", "amount": "1001"}, 400, "amount_too_large", "amount",
    ),
    "a reason of its own": ({"payment_intent": "pi_refusals", "reason": "x"}, 400, None, "reason"),
    "metadata as text": (
        {"payment_intent": "pi_refusals", "metadata": "x"}, 400, None, "metadata",
    ),
    "no such expansion": (
        {"payment_intent": "pi_refusals", "expand[]": "x"}, 400, None, "expand",
    ),
}  # fmt: skip


def test_refusals_are_stripes_error_objects_and_leave_the_key_free(sandbox: Sandbox) -> None:
    sandbox.pay("pi_refusals")
    for name, (data, status, code, param) in REFUSALS.items():
        answer = post(sandbox, "refunds", data, key="refusals")
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (status, "invalid_request_error"), name
        assert (error.get("code"), error.get("param")) == (code, param), name
        assert answer.headers["request-id"].startswith("req_")
    assert sandbox.book("pi_refusals") == []
    assert post(sandbox, "refunds", {"payment_intent": "pi_refusals"}, key="refusals").is_success
    again = post(sandbox, "refunds", {"payment_intent": "pi_refusals"})
    assert again.json()["error"]["code"] == "charge_already_refunded"
    unknown = httpx.get(f"{sandbox.url}/v1/nothing")
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "invalid_request_error")


def test_a_declined_refund_is_declined_again_under_its_key(sandbox: Sandbox) -> None:
    sandbox.pay("pi_no", behaviour="declined")
    answers = [post(sandbox, "refunds", {"payment_intent": "pi_no"}, key="no") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [402, 402]
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_one_key_at_the_same_time_is_one_refund(sandbox: Sandbox) -> None:
    sandbox.pay("pi_slow", behaviour="slow")
    data = {"payment_intent": "pi_slow", "amount": "100"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: post(sandbox, "refunds", data, key="slow"), range(8)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes[0] == 200
    assert set(codes) <= {200, 409}
    assert len(sandbox.book("pi_slow")) == 1


def test_many_at_the_same_time_never_give_back_more_than_was_paid(sandbox: Sandbox) -> None:
    sandbox.pay("pi_race", amount=1000)
    data = {"payment_intent": "pi_race", "amount": "300"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda n: post(sandbox, "refunds", data, key=f"race:{n}"), range(16))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [400] * 13
    assert sum(entry["amount"] for entry in sandbox.book("pi_race")) == 900


def test_a_lost_dispute_refuses_refunds_for_ever(sandbox: Sandbox) -> None:
    sandbox.pay("pi_lost")
    control = f"{sandbox.url}/sandbox/disputes"
    for status in ("open", "lost"):
        httpx.post(control, json={"reference": "pi_lost", "status": status}, timeout=30)
        answer = post(sandbox, "refunds", {"payment_intent": "pi_lost"})
        assert answer.json()["error"]["code"] == "charge_disputed"
    assert sandbox.book("pi_lost") == []
    unknown = httpx.post(control, json={"reference": "nobody", "status": "open"}, timeout=30)
    assert unknown.status_code == 404


def test_a_pending_refund_can_be_cancelled_and_never_settles(sandbox: Sandbox) -> None:
    sandbox.pay("pi_cancel", behaviour="pending")
    client = sandbox.client(20)
    made = refund(client, "pi_cancel", "cancel:1")
    assert client.v1.refunds.cancel(made.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.cancel(made.id)
    assert [entry["kind"] for entry in sandbox.book("pi_cancel")] == ["refund", "refund_failed"]
    sandbox.pay("pi_later", behaviour="pending")
    later = refund(client, "pi_later", "later:1")
    # What was begun after it has settled: its own time is over too.
    wait_until(lambda: client.v1.refunds.retrieve(later.id).status == "succeeded", seconds=60)
    assert client.v1.refunds.retrieve(made.id).status == "canceled"
    assert refund(client, "pi_cancel", "cancel:2", amount=1000).amount == 1000


def test_a_new_charge_is_a_movement_of_money(sandbox: Sandbox) -> None:
    parameters: Any = {
        "amount": 700, "currency": "eur", "confirm": True, "metadata": {"reference": "pi_before"},
    }  # fmt: skip
    client = sandbox.client(20)
    made = client.v1.payment_intents.create(parameters, {"idempotency_key": "charge"})
    assert client.v1.payment_intents.create(parameters, {"idempotency_key": "charge"}).id == made.id
    [entry] = sandbox.book("pi_before")
    assert (entry["kind"], entry["amount"], entry["currency"]) == ("charge", 700, "EUR")
    assert refund(client, made.id, "charge:refund", amount=700).status == "pending"
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.create(
            parameters | {"payment_method": "pm_card_visa_chargeDeclined"}
        )


def test_the_same_payment_twice_is_one_and_another_under_its_name_is_refused(
    sandbox: Sandbox,
) -> None:
    body = {"reference": "any reference/at all?", "amount": 5, "currency": "jpy"}
    url = f"{sandbox.url}/sandbox/payments"
    assert [httpx.post(url, json=body, timeout=30).status_code for _ in range(2)] == [201, 201]
    assert httpx.post(url, json=body | {"amount": 6}, timeout=30).status_code == 409
    answer = post(sandbox, "refunds", {"payment_intent": body["reference"]})
    assert answer.is_success, answer.text
    assert sandbox.book(body["reference"])[0]["currency"] == "JPY"


def test_events_of_one_payment_come_in_order_also_after_the_listener_was_away(
    sandbox: Sandbox, inbox: Inbox
) -> None:
    inbox.stop()
    sandbox.pay("pi_order")
    refund(sandbox.client(20), "pi_order", "order")
    inbox.start()
    wait_until(lambda: len(inbox.types("pi_order")) == 3, seconds=60)
    assert inbox.types("pi_order") == ["refund.created", "refund.updated", "charge.refunded"]


def test_kill_9_in_a_storm_loses_no_refund_that_was_answered(sandbox: Sandbox) -> None:
    sandbox.pay("pi_storm", amount=100_000)
    answered: dict[str, str] = {}
    stop = threading.Event()

    def storm(thread: int) -> None:
        with httpx.Client(base_url=sandbox.url, timeout=10) as client:
            for number in range(10_000):
                key = f"storm:{thread}:{number}"
                data = {"payment_intent": "pi_storm", "amount": "1", "metadata[refund_id]": key}
                try:
                    made = client.post("/v1/refunds", data=data, headers={"Idempotency-Key": key})
                except httpx.HTTPError:
                    return
                answered[key] = made.json()["id"]
                if stop.is_set():
                    return

    threads = [threading.Thread(target=storm, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 40, seconds=60)
    sandbox.kill()
    stop.set()
    for thread in threads:
        thread.join()
    sandbox.start()
    entries = sandbox.book("pi_storm")
    assert {entry["metadata"]["refund_id"] for entry in entries} >= set(answered)
    assert len({entry["metadata"]["refund_id"] for entry in entries}) == len(entries)
    for key, id_ in list(answered.items())[-10:]:
        data = {"payment_intent": "pi_storm", "amount": "1", "metadata[refund_id]": key}
        assert post(sandbox, "refunds", data, key=key).json()["id"] == id_
    charge = sandbox.client(20).v1.payment_intents.retrieve(
        "pi_storm", {"expand": ["latest_charge"]}
    )
    assert charge.latest_charge.amount_refunded == len(entries)  # type: ignore[union-attr]
