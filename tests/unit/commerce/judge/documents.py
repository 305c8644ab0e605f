"""Documents for tests: an order that was paid and delivered, and a request, with what differs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.decisions import Finding, ReturnDecisionMade
from services.commerce import judgement
from services.commerce.judgement import Case
from services.commerce.policy.versions import BUILT_IN_VERSIONS
from services.ops import decide

Json = dict[str, Any]
NOW = datetime(2026, 3, 20, 10, tzinfo=UTC)
RETURN_ID = "7b1d1f6e-5e57-4f0c-9a55-6dc4a0a5a001"


def text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def days(count: float) -> timedelta:
    return timedelta(days=count)


def line(unit_price: int, line_id: str = "1", quantity: int = 1, **changes: Any) -> Json:
    return {
        "line_id": line_id,
        "sku": f"SKU-{line_id}",
        "title": f"Thing {line_id}",
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
    delivered: datetime | None = NOW - days(10),
    informed: bool = True,
    buyer: Json | None = None,
    **changes: Any,
) -> Json:
    way_out = {"method": "standard", "paid": 0, "tax_total": 0, "cheapest_offered": 0}
    way_out |= shipping or {}
    paid = sum(each["quantity"] * each["unit_price"] - each["discount_total"] for each in lines)
    paid += way_out["paid"]
    if not include_tax:
        paid += sum(each["tax_total"] for each in lines) + way_out["tax_total"]
    placed = (delivered or NOW - days(10)) - days(3)
    place: Json = {"country": country} | ({"region": region} if region else {})
    parcel = {
        "delivery_id": "d1",
        "shipped_at": text(placed + days(1)),
        "lines": [{"line_id": each["line_id"], "quantity": each["quantity"]} for each in lines],
    } | ({"delivered_at": text(delivered)} if delivered else {})
    return {
        "order_id": "o1",
        "order_number": "N1",
        "version": 1,
        "placed_at": text(placed),
        "currency": currency,
        "prices_include_tax": include_tax,
        "buyer": {"customer_id": "c1", "email": "a@b.example", "type": "consumer"}
        | place
        | (buyer or {}),
        "ship_to": {"name": "A", "line1": "1", "city": "C", "postal_code": "1"} | place,
        "lines": list(lines),
        "shipping": way_out,
        "payments": [payment("p1", paid, placed)],
        "deliveries": [parcel],
        "withdrawal_information": {"provided_at": text(placed), "document_version": "1"}
        if informed
        else None,
    } | changes


def payment(payment_id: str, captured: int, at: datetime = NOW - days(13)) -> Json:
    return {
        "payment_id": payment_id,
        "processor": "sandbox",
        "processor_reference": f"pi_{payment_id}",
        "method": "card",
        "captured": captured,
        "captured_at": text(at),
    }


def german(*lines: Json, **changes: Any) -> Json:
    return order(
        *lines,
        **({"country": "DE", "region": None, "currency": "EUR", "include_tax": True} | changes),
    )


def wanted(line_id: str, quantity: int = 1, **changes: Any) -> Json:
    return {
        "line_id": line_id,
        "sku": f"SKU-{line_id}",
        "quantity": quantity,
        "reason": "changed_mind",
        "condition": "unopened",
    } | changes


def request(*lines: Json, at: datetime = NOW, number: int = 1, **changes: Any) -> Json:
    return {
        "return_id": RETURN_ID[:-3] + f"{number:03}",
        "order_id": "o1",
        "lines": list(lines) or [wanted("1")],
        "evidence": [],
        "resolution": "refund",
        "channel": {"type": "api"},
        "locale": "en",
        "requested_at": text(at),
    } | changes


RETURNABLE = {"returnable": True, "restocking_fee_bps": 0, "received_quantity": 0}


def returnability(*lines: Json, **changes: Any) -> Json:
    return {
        "return_id": RETURN_ID,
        "order_id": "o1",
        "order_version": 1,
        "round": 1,
        "as_of": text(NOW),
        "lines": [
            {"returnable": True, "restocking_fee_bps": 0, "received_quantity": 0} | each
            for each in lines
        ],
        "label": {"provided": True, "fee": 0},
        "contradictions": [],
    } | changes


def refundability(*payments: Json, **changes: Any) -> Json:
    return {
        "return_id": RETURN_ID,
        "order_id": "o1",
        "order_version": 1,
        "round": 1,
        "as_of": text(NOW),
        "payments": list(payments),
        "alternatives": ["store_credit", "bank_transfer"],
        "summary": "",
    } | changes


def refundable(payment_id: str, amount: int, captured: int | None = None, **changes: Any) -> Json:
    return {
        "payment_id": payment_id,
        "method": "card",
        "processed_at": text(NOW - days(13)),
        "captured": amount if captured is None else captured,
        "refunded": 0,
        "reserved": 0,
        "refundable": amount,
        "dispute": "none",
        "accepts_refund": True,
    } | changes


def inspected(*lines: Json, number: int = 1) -> Json:
    return {
        "return_id": RETURN_ID[:-3] + f"{number:03}",
        "order_id": "o1",
        "occurred_at": text(NOW),
        "inspector": "w",
        "lines": list(lines),
    }


def graded(grade: str, line_id: str = "1", quantity: int = 1, **changes: Any) -> Json:
    return {
        "line_id": line_id,
        "sku": f"SKU-{line_id}",
        "quantity": quantity,
        "grade": grade,
    } | changes


def history(count: int, *, within: float, value: int = 9000, orders: Json) -> Json:
    return {
        "returns": [
            {
                "requested_at": text(NOW - days(1 + index * (within - 1) / max(count - 1, 1))),
                "order_id": f"h{index}",
                "skus": [f"H-{index}"],
                "value": value,
                "status": "settled",
                "reason": "changed_mind",
            }
            for index in range(count)
        ],
        "orders": orders,
        "confirmed_abuse": 0,
        "disputes": 0,
    }


def policy(**changes: Any) -> Json:
    return {"policy": "p", "version": "1"} | changes


def defaults(**settings: Any) -> Json:
    return policy(defaults=settings)


def case(document: Json) -> Case:
    return decide.read_case(1, {"now": text(NOW)} | document, BUILT_IN_VERSIONS)


def judge(**document: Any) -> ReturnDecisionMade:
    """The decision on a document made of an order, a request and whatever else is given."""
    return judgement.judge(case({"request": request()} | document))


def plain(decision: ReturnDecisionMade) -> Json:
    return decision.model_dump(mode="json", exclude_none=True)


def money(decision: ReturnDecisionMade) -> dict[str, int]:
    """The parts of the refund that are not zero."""
    assert decision.refund is not None
    return {name: value for name, value in decision.refund if value}


def codes(decision: ReturnDecisionMade) -> set[str]:
    return {finding.code for finding in decision.findings}


def found(decision: ReturnDecisionMade, code: str) -> Finding:
    [only] = [finding for finding in decision.findings if finding.code == code]
    return only


def sequence(bought: Json, *steps: tuple[str, int], **document: Any) -> list[ReturnDecisionMade]:
    """Partial returns of one order, one after the other: (line_id, quantity) each."""
    earlier: list[ReturnDecisionMade] = []
    for number, (line_id, quantity) in enumerate(steps, start=100):
        asked = request(wanted(line_id, quantity), number=number)
        given = {"order": bought, "request": asked, "earlier": [plain(each) for each in earlier]}
        earlier.append(judge(**(given | document)))
    return earlier
