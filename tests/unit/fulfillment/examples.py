"""Orders, requests and decisions for the tests: a jacket for 200 dollars and its like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from contracts.assessments import AssessedLine, AssessmentRequested, Purpose
from contracts.decisions import (
    CloseOutcome,
    DecidedReturn,
    RefundReleased,
    ReplacementReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.orders import Address, OrderSnapshot
from contracts.requests import Resolution
from contracts.warehouse import ItemInspected, ItemReceived, ParcelScanned

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEND_BY = NOW + timedelta(days=14)
ORDER = "order-1"
JACKET = "JACKET-M"
RENO = Address(
    name="Acme Returns", line1="1 Warehouse Way", city="Reno", region="NV",
    postal_code="89501", country="US",
)  # fmt: skip


def return_id(name: str) -> str:
    """A stable UUID for a return's name."""
    return str(uuid5(NAMESPACE_URL, name))


A, B = return_id("a"), return_id("b")


def an_order(
    quantity: int = 1, *, order_id: str = ORDER, version: int = 1, **changes: Any
) -> OrderSnapshot:
    body: dict[str, Any] = {
        "order_id": order_id,
        "order_number": order_id,
        "version": version,
        "placed_at": NOW - timedelta(days=14),
        "currency": "USD",
        "prices_include_tax": False,
        "buyer": {"customer_id": "c1", "email": "c1@customer.example", "country": "US"},
        "ship_to": RENO.model_dump() | {"name": "Sarah"},
        "lines": [
            {
                "line_id": "1",
                "sku": JACKET,
                "title": "Winter jacket",
                "category": "apparel",
                "quantity": quantity,
                "unit_price": 20000,
                "weight_grams": 900,
            }
        ],
        "shipping": {"method": "standard", "paid": 1000, "cheapest_offered": 1000},
        "deliveries": [
            {
                "delivery_id": "d1",
                "delivered_at": NOW - timedelta(days=10),
                "lines": [{"line_id": "1", "quantity": quantity}],
            }
        ],
    }
    return OrderSnapshot.model_validate(body | changes)


def asked(id_: str = A, quantity: int = 1, **changes: Any) -> AssessmentRequested:
    line = AssessedLine(line_id="1", sku=JACKET, quantity=quantity, reason="wrong_size")
    body: dict[str, Any] = {
        "return_id": id_,
        "order_id": ORDER,
        "order_version": 1,
        "round": 1,
        "lines": (line,),
        "resolution": Resolution.REFUND,
        "country": "US",
        "purpose": Purpose.INITIAL,
        "requested_at": NOW,
    }
    return AssessmentRequested.model_validate(body | changes)


def decided(
    id_: str = A,
    *units: int,
    sequence: int = 1,
    decision: str = "approved",
    required: bool = True,
    label: bool = True,
    send_by: datetime | None = SEND_BY,
    order_id: str | None = ORDER,
    sku: str = JACKET,
    **changes: Any,
) -> ReturnDecisionMade:
    units = units or (1,)
    verdict = {"approved": "approved", "rejected": "rejected", "escalated": "review"}[decision]
    body: dict[str, Any] = {
        "return_id": id_,
        "order_id": order_id,
        "sequence": sequence,
        "decision": decision,
        "resolution": "refund",
        "lines": [
            {
                "line_id": "1",
                "sku": sku,
                "quantity": len(units),
                "units": () if decision == "rejected" else units,
                "verdict": verdict,
            }
        ],
        "settlement": {"method": "original_payment_method"},
        "return": DecidedReturn(
            required=required, address=RENO, label_provided=label, send_by=send_by
        ),
        "confidence": 1.0,
        "confidence_band": "high",
        "fraud_probability": 0.0,
        "policy": {"id": "built-in", "version": "1"},
        "law": {"version": "1"},
        "legal_basis": "merchant_policy",
        "facts": {"inputs_sha256": "0" * 64},
        "decided_by": {"kind": "agent", "id": "commerce"},
        "decided_at": NOW,
    }
    return ReturnDecisionMade.model_validate(body | changes)


def scanned(scan: str, *, id_: str | None = A, tracking: str | None = None,
            event: str = "", at: datetime = NOW, **changes: Any) -> ParcelScanned:  # fmt: skip
    return ParcelScanned.model_validate(
        {
            "event_id": event or f"scan-{scan}-{id_}-{tracking}",
            "return_id": id_,
            "tracking_number": tracking,
            "occurred_at": at,
            "scan": scan,
        }
        | changes
    )


def received(quantity: int = 1, *, id_: str | None = A, event: str = "r1", sku: str = JACKET,
             tracking: str | None = None, **changes: Any) -> ItemReceived:  # fmt: skip
    return ItemReceived.model_validate(
        {
            "event_id": event,
            "return_id": id_,
            "tracking_number": tracking,
            "occurred_at": NOW,
            "lines": [{"sku": sku, "quantity": quantity}],
        }
        | changes
    )


def inspected(quantity: int = 1, grade: str = "as_new", *, id_: str | None = A, event: str = "i1",
              sku: str = JACKET, **changes: Any) -> ItemInspected:  # fmt: skip
    return ItemInspected.model_validate(
        {
            "event_id": event,
            "return_id": id_,
            "occurred_at": NOW,
            "inspector": "w1",
            "lines": [{"sku": sku, "quantity": quantity, "grade": grade}],
        }
        | changes
    )


def closed(id_: str = A, outcome: str = "cancelled", **changes: Any) -> ReturnClosed:
    return ReturnClosed.model_validate(
        {"return_id": id_, "order_id": ORDER, "outcome": CloseOutcome(outcome)} | changes
    )


def refunded(id_: str = A, *units: int, **changes: Any) -> RefundReleased:
    return RefundReleased.model_validate(
        {
            "return_id": id_,
            "order_id": ORDER,
            "refund_id": "refund-1",
            "method": "original_payment_method",
            "payment_id": "p1",
            "amount": 20000,
            "currency": "USD",
            "decision_sequence": 1,
            "lines": [{"line_id": "1", "units": units or (1,)}],
            "release_reason": "inspected",
            "released_at": NOW,
        }
        | changes
    )


def replacement_released(id_: str = A, **changes: Any) -> ReplacementReleased:
    return ReplacementReleased.model_validate(
        {
            "return_id": id_,
            "order_id": ORDER,
            "replacement_id": "replacement-1",
            "sku": "JACKET-L",
            "quantity": 1,
        }
        | changes
    )
