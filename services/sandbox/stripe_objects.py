"""Stripe's objects as it answers them, of the pinned API version: https://docs.stripe.com/api."""

from __future__ import annotations

import secrets
import time

from services.sandbox.pages import Json

API_VERSION = "2026-10-28.endive"
DISPUTE_DAYS_MAX = 14


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _base(object_: str, id_: str) -> Json:
    return {"id": id_, "object": object_, "created": int(time.time())}


def payment_intent(reference: str, charge_: Json) -> Json:
    """A payment that succeeded with `charge_`."""
    return _base("payment_intent", reference) | {
        "amount": charge_["amount"],
        "amount_capturable": 0,
        "amount_received": charge_["amount_captured"],
        "capture_method": "automatic",
        "currency": charge_["currency"],
        "customer": None,
        "latest_charge": charge_["id"],
        "livemode": False,
        "metadata": charge_["metadata"],
        "payment_method": charge_["payment_method"],
        "payment_method_types": [charge_["payment_method_details"]["type"]],
        "status": "succeeded",
    }


def charge(reference: str, amount: int, currency: str, method: str, metadata: Json) -> Json:
    """A captured charge of a payment intent. Its own id shares nothing with the reference."""
    return _base("charge", new_id("ch")) | {
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "balance_transaction": new_id("txn"),
        "captured": True,
        "currency": currency.lower(),
        "customer": None,
        "disputed": False,
        "livemode": False,
        "metadata": metadata,
        "paid": True,
        "payment_intent": reference,
        "payment_method": new_id("pm"),
        "payment_method_details": {"type": method, method: {}},
        "refunded": False,
        "status": "succeeded",
    }


def refund(charge_: Json, amount: int, metadata: Json, reason: str | None) -> Json:
    """A refund that was accepted; whether it arrives is seen later."""
    arn = "".join(str(secrets.randbelow(10)) for _ in range(23))
    return _base("refund", new_id("re")) | {
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": charge_["id"],
        "currency": charge_["currency"],
        "destination_details": {
            "type": "card",
            "card": {
                "reference": arn,
                "reference_status": "available",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
        },
        "metadata": metadata,
        "payment_intent": charge_["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }


def dispute(charge_: Json) -> Json:
    """A dispute over the whole charge, waiting for evidence."""
    made = _base("dispute", new_id("dp"))
    return made | {
        "amount": charge_["amount_captured"],
        "balance_transactions": [],
        "charge": charge_["id"],
        "currency": charge_["currency"],
        "evidence_details": {"due_by": made["created"] + DISPUTE_DAYS_MAX * 24 * 3600},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge_["payment_intent"],
        "reason": "general",
        "status": "needs_response",
    }


def balance_transaction(source: Json, type_: str, id_: str, amount: int) -> Json:
    """What moved on the merchant's balance because of `source`: money out is negative."""
    return _base("balance_transaction", id_) | {
        "amount": amount,
        "available_on": int(time.time()),
        "currency": source["currency"],
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": type_,
        "source": source["id"],
        "status": "available",
        "type": type_,
    }


def event(type_: str, thing: Json) -> Json:
    return _base("event", new_id("evt")) | {
        "api_version": API_VERSION,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type_,
    }


def page(url: str, data: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "url": url, "has_more": has_more, "data": data}
