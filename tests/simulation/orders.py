"""What is bought in the simulation, and what is asked for. Names and notes carry canaries."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

Json = dict[str, Any]
UNIT_PRICE, UNIT_TAX, SHIPPING = 100_00, 6_00, 10_00
SKU = "JACKET-M"
CANARY = "Canary"
"""In every name, address, e-mail and note: nowhere else may it turn up."""


def rfc3339(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Bought:
    """An order of `units` jackets, delivered `days_ago`, paid at the sandbox."""

    number: str
    units: int = 1
    days_ago: int = 7
    country: str = "US"
    behaviour: str = "ok"
    split: bool = False
    """Paid with two cards."""
    category: str = "apparel"
    traits: tuple[str, ...] = ()
    unit_price: int = UNIT_PRICE

    @property
    def order_id(self) -> str:
        return f"order-{self.number}"

    @property
    def captured(self) -> int:
        tax = 0 if self.country != "US" else UNIT_TAX * self.units
        return self.unit_price * self.units + tax + SHIPPING

    def payments(self, placed: datetime) -> list[Json]:
        """One card, or two of which the first bears a third."""
        first = self.captured // 3 if self.split else self.captured
        shares = [first, self.captured - first] if self.split else [first]
        return [
            {
                "payment_id": f"card-{index}",
                "processor": "sandbox",
                "processor_reference": f"pi_{self.number}_{index}",
                "method": "card",
                "network": "visa",
                "last4": "1234",
                "captured": share,
                "captured_at": rfc3339(placed),
            }
            for index, share in enumerate(shares)
        ]

    def snapshot(self, now: datetime, *, version: int = 1) -> Json:
        placed = now - timedelta(days=self.days_ago + 3)
        delivered = now - timedelta(days=self.days_ago)
        home: Json = {
            "name": f"Sarah {CANARY}",
            "line1": f"1 {CANARY} Street",
            "city": "Reno" if self.country == "US" else "Berlin",
            "postal_code": "89501" if self.country == "US" else "10115",
            "country": self.country,
        }
        american = self.country == "US"
        line: Json = {
            "line_id": "1",
            "sku": SKU,
            "title": "Winter jacket",
            "category": self.category,
            "quantity": self.units,
            "unit_price": self.unit_price,
            "tax_total": UNIT_TAX * self.units if american else 0,
            "tax_rate_bps": 600 if american else 0,
            "traits": list(self.traits),
        }
        buyer: Json = {
            "customer_id": f"customer-{self.number}",
            "email": f"{CANARY}-{self.number}@customer.example",
            "type": "consumer",
            "country": self.country,
            "customer_since": rfc3339(placed - timedelta(days=900)),
        }
        if american:
            buyer["region"] = home["region"] = "NV"
        return {
            "order_id": self.order_id,
            "order_number": f"N-{self.number}",
            "version": version,
            "placed_at": rfc3339(placed),
            "currency": "USD" if american else "EUR",
            "prices_include_tax": False,
            "buyer": buyer,
            "ship_to": home,
            "lines": [line],
            "shipping": {
                "method": "standard",
                "paid": SHIPPING,
                "tax_total": 0,
                "cheapest_offered": SHIPPING,
            },
            "payments": self.payments(placed),
            "loyalty": {
                "program_id": "points",
                "points_earned": 100 * self.units,
                "points_redeemed": 0,
                "redeemed_value": 0,
            },
            "deliveries": [
                {
                    "delivery_id": "parcel-1",
                    "shipped_at": rfc3339(delivered - timedelta(days=2)),
                    "delivered_at": rfc3339(delivered),
                    "lines": [{"line_id": "1", "quantity": self.units}],
                }
            ],
            "withdrawal_information": {"provided_at": rfc3339(placed), "document_version": "1"},
        }

    def request(self, now: datetime, return_id: str, *, units: int, **changes: Any) -> Json:
        line = {
            "line_id": "1",
            "sku": SKU,
            "quantity": units,
            "reason": changes.pop("reason", "wrong_size"),
            "condition": changes.pop("condition", "unopened"),
            "note": f"it does not fit {CANARY}",
        }
        request: Json = {
            "return_id": return_id,
            "order_id": self.order_id,
            "requester": {"customer_id": f"customer-{self.number}", "verified_by": "session"},
            "lines": [line],
            "resolution": "refund",
            "currency": "USD" if self.country == "US" else "EUR",
            "channel": {"type": "api"},
            "locale": "en-US",
            "requested_at": rfc3339(now),
        } | changes
        return {name: value for name, value in request.items() if value is not None}


def uuid_of(chance: Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
