"""What was bought and what is asked for: the winter jacket of the first scenario."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.chassis import ids

JACKET, TAX, SHIPPING = 200_00, 12_00, 10_00
CAPTURED = JACKET + TAX + SHIPPING
POINTS_EARNED = 200
SKU = "JACKET-WINTER-M"
Json = dict[str, Any]

HOME = {
    "name": "Sarah",
    "line1": "1 Main Street",
    "city": "Reno",
    "region": "NV",
    "postal_code": "89501",
    "country": "US",
}
LINE = {
    "line_id": "1",
    "sku": SKU,
    "title": "Winter jacket",
    "category": "apparel",
    "quantity": 1,
    "unit_price": JACKET,
    "discount_total": 0,
    "tax_total": TAX,
    "tax_rate_bps": 600,
    "traits": [],
}


def rfc3339(instant: datetime) -> str:
    """UTC, as the public interface writes it."""
    return instant.isoformat().replace("+00:00", "Z")


def jacket_order(now: datetime, *, delivered_days_ago: int = 7) -> Json:
    """A jacket of 200 dollars with 6 % tax and 10 dollars shipping, paid with one Visa card."""
    number = ids.new()[:8]
    placed = now - timedelta(days=delivered_days_ago + 3)
    shipped, delivered = placed + timedelta(days=1), placed + timedelta(days=3)
    return {
        "order_id": f"order-{number}",
        "order_number": f"N-{number}",
        "version": 1,
        "placed_at": rfc3339(placed),
        "currency": "USD",
        "prices_include_tax": False,
        "buyer": {
            "customer_id": f"customer-{number}",
            "email": f"sarah-{number}@customer.example",
            "type": "consumer",
            "country": "US",
            "region": "NV",
            "customer_since": rfc3339(placed - timedelta(days=900)),
            "lifetime_value": 120_000,
        },
        "ship_to": HOME,
        "lines": [LINE],
        "shipping": {
            "method": "standard",
            "paid": SHIPPING,
            "tax_total": 0,
            "cheapest_offered": SHIPPING,
        },
        "payments": [
            {
                "payment_id": "visa",
                "processor": "sandbox",
                "processor_reference": f"pi_{number}",
                "method": "card",
                "network": "visa",
                "last4": "1234",
                "captured": CAPTURED,
                "captured_at": rfc3339(placed),
            }
        ],
        "loyalty": {
            "program_id": "points",
            "points_earned": POINTS_EARNED,
            "points_redeemed": 0,
            "redeemed_value": 0,
        },
        "deliveries": [
            {
                "delivery_id": "parcel-1",
                "shipped_at": rfc3339(shipped),
                "delivered_at": rfc3339(delivered),
                "lines": [{"line_id": "1", "quantity": 1}],
            }
        ],
    }


def request_for(order: Json, now: datetime, *, reason: str, **changes: Any) -> Json:
    """What Sarah's chat sends: the whole order goes back, unopened, for money."""
    request: Json = {
        "return_id": ids.new(),
        "order_id": order["order_id"],
        "requester": {
            "customer_id": order["buyer"]["customer_id"],
            "verified_by": "session",
        },
        "lines": [
            {
                "line_id": line["line_id"],
                "sku": line["sku"],
                "quantity": line["quantity"],
                "reason": reason,
                "condition": "unopened",
            }
            for line in order["lines"]
        ],
        "evidence": [],
        "resolution": "refund",
        "currency": order["currency"],
        "channel": {"type": "api"},
        "locale": "en-US",
        "requested_at": rfc3339(now),
    }
    request |= changes
    return {name: value for name, value in request.items() if value is not None}
