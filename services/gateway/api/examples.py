"""Examples of every call, and how they get into the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from services.chassis.http import PROBLEM, TITLES

Json = dict[str, Any]

RETURN_ID = "7d6f3f0a-5b0c-4a7e-9a55-0c2b1c6f7a10"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

ORDER: Json = {
    "order_id": "order-1001",
    "order_number": "N-1001",
    "version": 1,
    "placed_at": "2026-03-01T09:30:00Z",
    "currency": "USD",
    "prices_include_tax": False,
    "buyer": {
        "customer_id": "customer-17",
        "email": "sarah@customer.example",
        "type": "consumer",
        "country": "US",
        "region": "NV",
    },
    "lines": [
        {
            "line_id": "1",
            "sku": "JACKET-M",
            "title": "Winter jacket",
            "category": "apparel",
            "quantity": 1,
            "unit_price": 20000,
            "discount_total": 0,
            "tax_total": 1200,
            "tax_rate_bps": 600,
            "traits": [],
        }
    ],
    "shipping": {"method": "standard", "paid": 1000, "tax_total": 0, "cheapest_offered": 1000},
    "payments": [
        {
            "payment_id": "p1",
            "processor": "sandbox",
            "processor_reference": "pi_1001",
            "method": "card",
            "network": "visa",
            "last4": "1234",
            "captured": 22200,
            "captured_at": "2026-03-01T09:30:00Z",
        }
    ],
    "deliveries": [
        {
            "delivery_id": "d1",
            "shipped_at": "2026-03-02T08:00:00Z",
            "delivered_at": "2026-03-04T15:00:00Z",
            "lines": [{"line_id": "1", "quantity": 1}],
        }
    ],
}
REQUEST: Json = {
    "return_id": RETURN_ID,
    "order_id": "order-1001",
    "requester": {"customer_id": "customer-17", "verified_by": "session"},
    "lines": [
        {
            "line_id": "1",
            "sku": "JACKET-M",
            "quantity": 1,
            "reason": "wrong_size",
            "condition": "unopened",
            "note": "The sleeves are too short.",
        }
    ],
    "evidence": [],
    "resolution": "refund",
    "currency": "USD",
    "channel": {"type": "api"},
    "locale": "en-US",
    "requested_at": "2026-03-14T10:00:00Z",
}
QUOTE_REQUEST: Json = {
    key: value for key, value in REQUEST.items() if key not in ("return_id", "requested_at")
}
QUOTE: Json = {
    "quote_id": "1c0f8a52-1d1e-4d5e-8a11-2f6d6c0b9e10",
    "lines": [
        {
            "line_id": "1",
            "quantity": 1,
            "units": [1],
            "verdict": "approved",
            "items": 20000,
            "tax": 1200,
            "restocking_fee": 0,
            "refund": 21200,
        }
    ],
    "refund": {"items": 20000, "tax": 1200, "shipping": 1000, "total": 22200},
    "refund_on": "inspection",
    "would_ask": [],
    "valid_until": "2026-03-14T10:30:00Z",
}
ASKED: dict[int, Any] = {
    202: {
        "return_id": RETURN_ID,
        "status": "requested",
        "status_url": f"http://127.0.0.1:8080/returns/{RETURN_ID}",
    }
}
CANCEL: Json = {"reason": "I keep it after all.", "requested_at": "2026-03-14T11:00:00Z"}
EVIDENCE: Json = {
    "evidence": [
        {"evidence_id": "e1", "kind": "text", "text": "The seam under the left arm is open."}
    ],
    "added_at": "2026-03-14T11:00:00Z",
}
SETTLEMENT: Json = {"method": "store_credit", "consent_at": "2026-03-20T11:00:00Z"}
REVERSAL: Json = {
    "amount": 22200,
    "reason": "The parcel was empty.",
    "consent": {"given_at": "2026-03-30T11:00:00Z", "text": "Yes, charge my card again."},
    "requested_by": "reviewer-1",
    "requested_at": "2026-03-30T11:00:00Z",
}
REVIEW: Json = {
    "decision": "approve",
    "reason": "A loyal customer, five days late.",
    "reviewer": "reviewer-1",
    "case_sha256": SHA256,
    "decided_at": "2026-03-20T09:00:00Z",
}
SCAN: Json = {
    "event_id": "scan-1",
    "return_id": RETURN_ID,
    "scan": "accepted",
    "location": "Reno, NV",
    "occurred_at": "2026-03-16T09:00:00Z",
}
RECEIPT: Json = {
    "event_id": "receipt-1",
    "return_id": RETURN_ID,
    "lines": [{"sku": "JACKET-M", "quantity": 1}],
    "carton_weight_grams": 1250,
    "occurred_at": "2026-03-18T09:00:00Z",
}
INSPECTION: Json = {
    "event_id": "inspection-1",
    "return_id": RETURN_ID,
    "lines": [{"sku": "JACKET-M", "quantity": 1, "grade": "as_new", "evidence": []}],
    "inspector": "warehouse-7",
    "occurred_at": "2026-03-18T10:00:00Z",
}

MEANINGS = {
    401: "No valid key was sent",
    403: "The key lacks the scope",
    404: "There is no such return",
    409: "Not allowed now, or the key was used for something else",
    413: "The body is larger than 1 MiB",
    415: "The body is not JSON",
    422: "The body is not valid; `errors` names each field",
    503: "A part of the system cannot be reached; trying again helps",
}
DETAILS: dict[int, Json] = {
    409: {"detail": "the parcel is on its way or has arrived"},
    422: {
        "detail": "the request is not valid: see errors",
        "errors": [{"field": "lines.0.quantity", "message": "is at least 1"}],
    },
}


BODIES: dict[str, type[BaseModel]] = {}
"""The models that bodies refer to, by the name of their schema."""


def body(model: type[BaseModel], example: Json) -> Json:
    """`openapi_extra` of a call whose body is `model`; docs collects the schemas it names."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {"application/json": {"schema": schema, "example": example}}
    BODIES[model.__name__] = model
    return {"requestBody": {"required": True, "content": content}}


def headers(name: str) -> Json:
    """`openapi_extra` of a call that reads a request header."""
    schema = {"type": "string", "maxLength": 255}
    return {"parameters": [{"name": name, "in": "header", "required": False, "schema": schema}]}


def answers(good: dict[int, Any], *bad: int) -> dict[int | str, Json]:
    """`responses` of a call: an example or a model for each good status, problems for the bad."""
    found: dict[int | str, Json] = {}
    for status, what in good.items():
        if isinstance(what, dict):
            content = {"application/json": {"schema": {"type": "object"}, "example": what}}
            found[status] = {"description": "Accepted", "content": content}
        else:
            found[status] = {"description": what.__doc__ or "", "model": what}
    for status in bad:
        example = {"type": "about:blank", "title": TITLES[status], "status": status}
        found[status] = {
            "description": MEANINGS[status],
            "content": {
                PROBLEM: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": example | DETAILS.get(status, {"detail": MEANINGS[status]}),
                }
            },
        }
    return found
