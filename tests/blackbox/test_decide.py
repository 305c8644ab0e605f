"""`returns decide`: documents in, decisions out, offline: golden examples and fine print."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
RETURNS = Path(sys.executable).parent / "returns"
NOW = datetime(2026, 3, 20, 10, tzinfo=UTC)


def text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def line(unit_price: int, *, line_id: str = "1", quantity: int = 1, **changes: Any) -> Json:
    return {
        "line_id": line_id,
        "sku": f"SKU-{line_id}",
        "title": "A thing",
        "category": "apparel",
        "quantity": quantity,
        "unit_price": unit_price,
        "discount_total": 0,
        "tax_total": 0,
        "tax_rate_bps": 0,
        "traits": [],
    } | changes


def order(
    *lines: Json,
    country: str = "US",
    region: str | None = "NV",
    currency: str = "USD",
    include_tax: bool = False,
    shipping: Json | None = None,
    delivered: list[tuple[datetime, Json]] | datetime = NOW - timedelta(days=10),
    **changes: Any,
) -> Json:
    shipping = {"method": "standard", "paid": 0, "tax_total": 0, "cheapest_offered": 0} | (
        shipping or {}
    )
    paid = sum(each["quantity"] * each["unit_price"] - each["discount_total"] for each in lines)
    paid += shipping["paid"]
    if not include_tax:
        paid += sum(each["tax_total"] for each in lines) + shipping["tax_total"]
    if isinstance(delivered, datetime):
        delivered = [(delivered, {each["line_id"]: each["quantity"] for each in lines})]
    placed = min(at for at, _ in delivered) - timedelta(days=3)
    place: Json = {"country": country} | ({"region": region} if region else {})
    return {
        "order_id": "o1",
        "order_number": "N1",
        "version": 1,
        "placed_at": text(placed),
        "currency": currency,
        "prices_include_tax": include_tax,
        "buyer": {"customer_id": "c1", "email": "a@b.example", "type": "consumer"} | place,
        "ship_to": {"name": "A", "line1": "1", "city": "C", "postal_code": "1"} | place,
        "lines": list(lines),
        "shipping": shipping,
        "payments": [
            {
                "payment_id": "p1",
                "processor": "sandbox",
                "processor_reference": "pi_1",
                "method": "card",
                "captured": paid,
                "captured_at": text(placed),
            }
        ],
        "deliveries": [
            {
                "delivery_id": f"d{number}",
                "shipped_at": text(at - timedelta(days=1)),
                "delivered_at": text(at),
                "lines": [{"line_id": k, "quantity": q} for k, q in counts.items()],
            }
            for number, (at, counts) in enumerate(delivered)
        ],
        "withdrawal_information": {"provided_at": text(placed), "document_version": "1"},
    } | changes


RETURN_ID = "7b1d1f6e-5e57-4f0c-9a55-6dc4a0a5a001"


def request(
    *lines: tuple[str, int],
    reason: str = "changed_mind",
    condition: str | None = "unopened",
    currency: str = "USD",
    at: datetime = NOW,
    **changes: Any,
) -> Json:
    return {
        "return_id": RETURN_ID,
        "order_id": "o1",
        "lines": [
            {"line_id": line_id, "sku": f"SKU-{line_id}", "quantity": quantity, "reason": reason}
            | ({"condition": condition} if condition else {})
            for line_id, quantity in lines
        ],
        "evidence": [],
        "resolution": "refund",
        "currency": currency,
        "channel": {"type": "api"},
        "locale": "en",
        "requested_at": text(at),
    } | changes


def decide(*documents: Json, tmp_path: Path) -> list[Json]:
    file = tmp_path / "documents.jsonl"
    file.write_text("\n".join(json.dumps(document) for document in documents))
    done = subprocess.run(
        [str(RETURNS), "decide", str(file), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(answer) for answer in done.stdout.splitlines()]


def one(document: Json, tmp_path: Path) -> Json:
    [decision] = decide({"now": text(NOW)} | document, tmp_path=tmp_path)
    return decision


def money(decision: Json) -> dict[str, int]:
    return {name: value for name, value in decision["refund"].items() if value}


JACKET = line(20000, tax_total=1200, tax_rate_bps=600)


@pytest.mark.parametrize(
    ("name", "bought", "expected"),
    [
        (
            "G1",
            order(JACKET, shipping={"paid": 1000, "cheapest_offered": 1000}),
            {"items": 20000, "tax": 1200, "shipping": 1000, "total": 22200},
        ),
        (
            "G1b",
            order(JACKET, shipping={"paid": 1000, "tax_total": 60, "cheapest_offered": 1000}),
            {"items": 20000, "tax": 1260, "shipping": 1000, "total": 22260},
        ),
        (
            "G1c",
            order(
                line(20000, tax_total=1132, tax_rate_bps=600),
                include_tax=True,
                shipping={"paid": 1000, "tax_total": 57, "cheapest_offered": 1000},
            ),
            {"items": 18868, "tax": 1189, "shipping": 943, "total": 21000},
        ),
    ],
)
def test_the_jacket(name: str, bought: Json, expected: Json, tmp_path: Path) -> None:
    decision = one({"order": bought, "request": request(("1", 1), reason="wrong_size")}, tmp_path)
    assert decision["decision"] == "approved", (name, decision)
    assert money(decision) == expected
    assert decision["refund_on"] == "inspection"
    assert decision["legal_basis"] == "merchant_policy"
    assert decision["settlement"] == {
        "method": "original_payment_method",
        "allocations": [{"payment_id": "p1", "amount": expected["total"]}],
    }
    assert decision["return"]["required"] is True


def sequence_of(
    bought: Json, steps: list[tuple[str, int]], tmp_path: Path, **document: Any
) -> list[Json]:
    earlier: list[Json] = []
    for number, (line_id, quantity) in enumerate(steps):
        asked = request((line_id, quantity), currency=bought["currency"])
        asked["return_id"] = RETURN_ID[:-3] + f"{number:03}"
        earlier.append(
            one({"order": bought, "request": asked, "earlier": earlier} | document, tmp_path)
        )
    return earlier


@pytest.mark.parametrize(
    ("shipping", "totals"), [(900, [3270, 5450, 2180]), (0, [3000, 5000, 2000])]
)
def test_g2_shipping_is_prorated_by_value(shipping: int, totals: list[int], tmp_path: Path) -> None:
    bought = order(
        line(5000, line_id="1"),
        line(3000, line_id="2"),
        line(2000, line_id="3"),
        shipping={"paid": shipping, "cheapest_offered": shipping},
    )
    policy = {"policy": "p", "version": "1", "defaults": {"outbound_shipping": "prorata_value"}}
    decisions = sequence_of(bought, [("2", 1), ("1", 1), ("3", 1)], tmp_path, policy=policy)
    assert [decision["refund"]["total"] for decision in decisions] == totals


FEE = {
    "policy": "p",
    "version": "1",
    "rules": [
        {
            "id": "opened-electronics",
            "when": {"category": ["electronics"], "condition": ["opened"]},
            "set": {"restocking_fee_bps": 1500},
        }
    ],
}


@pytest.mark.parametrize(("region", "tax", "total"), [("CA", 825, 9325), ("TX", 701, 9201)])
def test_g3_a_restocking_fee_and_its_tax(region: str, tax: int, total: int, tmp_path: Path) -> None:
    bought = order(
        line(10000, tax_total=825, tax_rate_bps=825, category="electronics"), region=region
    )
    decision = one(
        {"order": bought, "request": request(("1", 1), condition="opened"), "policy": FEE},
        tmp_path,
    )
    assert decision["decision"] == "approved"
    assert money(decision) == {"items": 10000, "tax": tax, "restocking_fee": 1500, "total": total}
    assert decision["lines"][0]["refund"] == total
    kind = request(("1", 1), condition="opened", reason="defective")
    decision = one({"order": bought, "request": kind, "policy": FEE}, tmp_path)
    assert money(decision) == {"items": 10000, "tax": 825, "total": 10825}
    assert decision["legal_basis"] == "lack_of_conformity"


def german(*lines: Json, **changes: Any) -> Json:
    return order(*lines, country="DE", region=None, currency="EUR", include_tax=True, **changes)


VAT_ITEM = line(11900, tax_total=1900, tax_rate_bps=1900)
EXPRESS = {"method": "express", "paid": 1200, "tax_total": 192, "cheapest_offered": 500}


def test_g4_a_german_withdrawal_returns_standard_shipping_and_takes_no_fee(
    tmp_path: Path,
) -> None:
    policy = {
        "policy": "p",
        "version": "1",
        "defaults": {"restocking_fee_bps": 2000, "refund_on": "inspection"},
    }
    for document in ({}, {"policy": policy}):
        decision = one(
            {
                "order": german(VAT_ITEM, shipping=EXPRESS),
                "request": request(("1", 1), currency="EUR"),
            }
            | document,
            tmp_path,
        )
        assert decision["decision"] == "approved"
        assert money(decision) == {"items": 10000, "shipping": 420, "tax": 1980, "total": 12400}
        assert decision["legal_basis"] == "statutory_withdrawal"
        assert decision["refund_on"] == "proof_of_sending"


def test_g5_partial_returns_sum_to_the_cent(tmp_path: Path) -> None:
    bought = german(line(2390, quantity=10, discount_total=5975, tax_total=2862))
    for steps in ([1] * 10, [3, 3, 4], [10], [7, 1, 2]):
        decisions = sequence_of(bought, [("1", count) for count in steps], tmp_path)
        assert sum(decision["refund"]["total"] for decision in decisions) == 17925
        assert sum(decision["refund"]["tax"] for decision in decisions) == 2862


@pytest.mark.parametrize(
    ("currency", "price", "discount", "totals"),
    [("JPY", 400, 200, [334, 333, 333]), ("KWD", 4000, 2000, [3334, 3333, 3333])],
)
def test_g6_other_exponents(
    currency: str, price: int, discount: int, totals: list[int], tmp_path: Path
) -> None:
    bought = order(line(price, quantity=3, discount_total=discount), currency=currency)
    decisions = sequence_of(bought, [("1", 1)] * 3, tmp_path)
    assert [decision["refund"]["total"] for decision in decisions] == totals
    assert [decision["lines"][0]["units"] for decision in decisions] == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (datetime(2026, 3, 20, 22, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 20, 23, 1, tzinfo=UTC), False),
    ],
)
def test_g7_the_period_ends_with_the_day_of_the_last_parcel(
    at: datetime, inside: bool, tmp_path: Path
) -> None:
    bought = german(
        VAT_ITEM,
        line(100, line_id="2"),
        delivered=[
            (datetime(2026, 3, 1, 12, tzinfo=UTC), {"1": 1}),
            (datetime(2026, 3, 6, 12, tzinfo=UTC), {"2": 1}),
        ],
    )
    decision = one(
        {"now": text(at), "order": bought, "request": request(("1", 1), currency="EUR", at=at)},
        tmp_path,
    )
    basis = "statutory_withdrawal" if inside else "merchant_policy"
    assert decision["legal_basis"] == basis


def history(count: int, *, days: int, value: int, orders: int, orders_value: int) -> Json:
    return {
        "returns": [
            {
                "requested_at": text(
                    NOW - timedelta(days=1 + index * (days - 1) / max(count - 1, 1))
                ),
                "order_id": f"h{index}",
                "skus": [f"H-{index}"],
                "value": value,
                "status": "settled",
                "reason": "changed_mind",
            }
            for index in range(count)
        ],
        "orders": {"count": orders, "value": orders_value},
        "confirmed_abuse": 0,
        "disputes": 0,
    }


def test_g8_risk_freezes_a_pattern_and_leaves_others_alone(tmp_path: Path) -> None:
    bought = order(line(9000))
    asked = {"order": bought, "request": request(("1", 1))}
    five = history(4, days=13, value=9000, orders=6, orders_value=60000)
    ten = history(9, days=29, value=9000, orders=12, orders_value=120000)
    two = history(2, days=300, value=9000, orders=6, orders_value=60000)
    frozen = one(asked | {"history": five}, tmp_path)
    assert frozen["fraud_probability"] >= 0.75
    assert frozen["decision"] == "escalated"
    assert frozen["escalation"]["reason"] == "fraud_suspected"
    assert frozen["escalation"]["context"]["pattern"]
    assert frozen["escalation"]["context"]["prior_returns"]
    assert one(asked | {"history": ten}, tmp_path)["fraud_probability"] >= 0.90
    calm = one(asked | {"history": two}, tmp_path)
    assert calm["fraud_probability"] <= 0.10
    assert calm["decision"] == "approved"
    withdrawal = one(
        {
            "order": german(VAT_ITEM),
            "request": request(("1", 1), currency="EUR"),
            "history": ten,
        },
        tmp_path,
    )
    assert withdrawal["decision"] == "approved"
    assert withdrawal["legal_basis"] == "statutory_withdrawal"
    assert withdrawal["refund_on"] == "proof_of_sending"
    [flag] = [f for f in withdrawal["findings"] if f["code"] == "risk_flagged"]
    assert flag["effect"] == "opposes" and flag["weight"] <= 0.1


def test_g9_a_late_return_of_a_good_customer_is_recommended(tmp_path: Path) -> None:
    bought = order(line(9000), delivered=NOW - timedelta(days=35))
    bought["buyer"]["lifetime_value"] = 120000
    decision = one({"order": bought, "request": request(("1", 1))}, tmp_path)
    assert decision["decision"] == "escalated"
    escalation = decision["escalation"]
    assert escalation["reason"] == "outside_window"
    assert escalation["recommendation"] == "approve"
    assert escalation["recommended_amount"] == decision["refund"]["total"] == 9000
    assert escalation["context"]["lifetime_value"] == 120000
    assert escalation["context"]["days_late"] == 5
    del bought["buyer"]["lifetime_value"]
    decision = one({"order": bought, "request": request(("1", 1))}, tmp_path)
    assert decision["escalation"]["recommendation"] == "reject"
    assert decision["escalation"]["recommended_amount"] == 0


def inspected(grade: str, *, quantity: int = 1, **changes: Any) -> Json:
    return {
        "return_id": RETURN_ID,
        "order_id": "o1",
        "occurred_at": text(NOW),
        "inspector": "w",
        "lines": [
            {"line_id": "1", "sku": "SKU-1", "quantity": quantity, "grade": grade, "evidence": []}
            | changes
        ],
    }


def test_g10_a_defect_that_is_not_confirmed_asks_a_person(tmp_path: Path) -> None:
    asked = {"order": order(line(9000)), "request": request(("1", 1), reason="defective")}
    decision = one(asked | {"inspection": inspected("as_new", defect_confirmed=False)}, tmp_path)
    assert decision["decision"] == "escalated"
    assert decision["escalation"]["reason"] == "conflicting_evidence"
    assert decision["confidence_band"] == "medium"
    assert decision["escalation"]["context"]["claimed"]
    assert decision["escalation"]["context"]["inspected"]


@pytest.mark.parametrize(
    ("grade", "declared", "outcome"),
    [
        ("as_new", "unopened", "approved"),
        ("opened", "unopened", "escalated"),
        ("opened", "opened", "approved"),
        ("opened", None, "approved"),
        ("worn", "opened", "escalated"),
        ("wrong_item", "opened", "escalated"),
        ("missing", "opened", "escalated"),
    ],
)
def test_an_inspection_confirms_or_asks(
    grade: str, declared: str | None, outcome: str, tmp_path: Path
) -> None:
    asked = {"order": order(line(9000)), "request": request(("1", 1), condition=declared)}
    decision = one(asked | {"inspection": inspected(grade)}, tmp_path)
    assert decision["decision"] == outcome
    assert "refund_on" not in decision


def test_g11_an_unknown_order_reaches_a_person_with_the_customers_words(tmp_path: Path) -> None:
    asked = request(
        ("1", 1),
        order_id=None,
        claim={"order_number": "X", "email": "a@b.example", "purchased_on": "2026-03-01"},
    )
    asked["lines"][0]["note"] = "bought it in spring"
    decision = one({"order": None, "request": asked}, tmp_path)
    assert decision["decision"] == "escalated"
    escalation = decision["escalation"]
    assert escalation["reason"] == "order_not_found"
    assert escalation["context"]["customer_words"] == "bought it in spring"
    assert escalation["context"]["claim"]["purchased_on"] == "2026-03-01"
    [only] = decision["lines"]
    assert only["verdict"] == "review" and only["units"] == [] and "line_id" not in only
    assert decision["refund"]["total"] == 0
    assert decision["settlement"]["allocations"] == []
    assert decision["return"]["required"] is False


def test_g13_an_open_dispute_promises_nothing(tmp_path: Path) -> None:
    refundability = {
        "return_id": RETURN_ID,
        "order_id": "o1",
        "order_version": 1,
        "round": 1,
        "as_of": text(NOW),
        "payments": [
            {
                "payment_id": "p1",
                "method": "card",
                "processed_at": text(NOW - timedelta(days=13)),
                "captured": 9000,
                "refunded": 0,
                "reserved": 0,
                "refundable": 0,
                "dispute": "open",
                "accepts_refund": False,
                "refusal": "dispute_open",
            }
        ],
        "alternatives": ["store_credit", "bank_transfer"],
        "summary": "disputed",
    }
    decision = one(
        {
            "order": order(line(9000)),
            "request": request(("1", 1)),
            "refundability": refundability,
        },
        tmp_path,
    )
    assert decision["escalation"]["reason"] == "payment_not_refundable"
    assert decision["escalation"]["context"]["alternatives"] == ["store_credit", "bank_transfer"]
    assert decision["escalation"]["recommended_amount"] == 0


def test_g15_perishables_are_rejected_and_faults_are_not(tmp_path: Path) -> None:
    food = order(line(900, traits=["perishable"]))
    decision = one({"order": food, "request": request(("1", 1))}, tmp_path)
    assert decision["decision"] == "rejected"
    assert set(decision["refund"].values()) == {0}
    assert decision["lines"][0]["units"] == []
    assert any(finding["rule_id"] == "perishables" for finding in decision["findings"])
    ring = order(line(900, traits=["personalised"]))
    decision = one({"order": ring, "request": request(("1", 1), reason="defective")}, tmp_path)
    assert decision["decision"] != "rejected"


def test_more_units_than_are_free_are_a_second_rejected_entry(tmp_path: Path) -> None:
    bought = order(line(1000, quantity=2))
    decision = one({"order": bought, "request": request(("1", 3))}, tmp_path)
    verdicts = [(each["quantity"], each["verdict"]) for each in decision["lines"]]
    assert verdicts == [(2, "approved"), (1, "rejected")]
    assert decision["decision"] == "approved"
    assert decision["refund"]["total"] == 2000


def test_store_credit_is_chosen_by_resolution_alone(tmp_path: Path) -> None:
    decision = one(
        {"order": order(line(1000)), "request": request(("1", 1), resolution="store_credit")},
        tmp_path,
    )
    assert decision["decision"] == "approved"
    assert decision["settlement"]["method"] == "store_credit"
    decision = one(
        {
            "order": order(line(1000)),
            "request": request(("1", 1), settlement={"method": "bank_transfer"}),
        },
        tmp_path,
    )
    assert decision["escalation"]["reason"] == "policy_gap"


def test_an_amount_over_the_limit_goes_to_a_person(tmp_path: Path) -> None:
    for cents, outcome in ((50000, "approved"), (50001, "escalated")):
        decision = one({"order": order(line(cents)), "request": request(("1", 1))}, tmp_path)
        assert decision["decision"] == outcome
    assert decision["escalation"]["reason"] == "amount_over_limit"


def test_several_tenders_are_refunded_last_captured_first(tmp_path: Path) -> None:
    bought = order(line(9000))
    card = bought["payments"][0]
    bought["payments"] = [
        card | {"payment_id": "first", "captured": 6000},
        card | {"payment_id": "last", "captured": 3000},
    ]
    decision = one({"order": bought, "request": request(("1", 1))}, tmp_path)
    assert decision["settlement"]["allocations"] == [
        {"payment_id": "last", "amount": 3000},
        {"payment_id": "first", "amount": 6000},
    ]


def test_anothers_customer_id_is_never_verified(tmp_path: Path) -> None:
    for requester, outcome in (
        ({"customer_id": "c2", "verified_by": "session"}, "escalated"),
        ({"verified_by": "none"}, "escalated"),
        ({"customer_id": "c1", "verified_by": "none"}, "approved"),
        ({"verified_by": "signed_link"}, "approved"),
    ):
        decision = one(
            {"order": order(line(900)), "request": request(("1", 1), requester=requester)},
            tmp_path,
        )
        assert decision["decision"] == outcome, requester
        if outcome == "escalated":
            assert decision["escalation"]["reason"] == "low_confidence"


def test_an_uninformed_consumer_has_twelve_months_more(tmp_path: Path) -> None:
    bought = german(VAT_ITEM, delivered=NOW - timedelta(days=200))
    bought["withdrawal_information"] = None
    decision = one({"order": bought, "request": request(("1", 1), currency="EUR")}, tmp_path)
    assert decision["legal_basis"] == "statutory_withdrawal"
    assert decision["decision"] == "approved"


def test_unreadable_documents_are_named_and_the_others_decided(tmp_path: Path) -> None:
    good = {"now": text(NOW), "order": order(line(900)), "request": request(("1", 1))}
    bad = copy.deepcopy(good)
    bad["request"]["lines"][0]["quantity"] = "many"
    wrong_policy = good | {"policy": {"policy": "p", "version": "1", "defaults": {"window": 3}}}
    file = tmp_path / "documents.json"
    file.write_text(json.dumps([good, bad, wrong_policy, good]))
    done = subprocess.run(
        [str(RETURNS), "decide", str(file), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert [answer.get("decision") for answer in answers] == ["approved", None, None, "approved"]
    assert answers[1]["error"]["document"] == 2
    assert answers[1]["error"]["field"] == "request.lines.0.quantity"
    assert answers[2]["error"]["field"].startswith("policy")
    assert "2" in done.stderr and "request.lines.0.quantity" in done.stderr


def test_the_same_document_gives_the_same_bytes(tmp_path: Path) -> None:
    document = {"order": order(line(900)), "request": request(("1", 1))}
    assert one(document, tmp_path) == one(document, tmp_path)
