"""Events that a processor sends: verified over the raw bytes, stored, answered. Hints, not facts.

Signatures: https://docs.stripe.com/webhooks/signature ("t=…,v1=…", HMAC-SHA256 over "t.body").
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.payment.messages import WebhookReceived

TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 256 * 1024
SIGNATURES_MAX = 16
OBJECT_TYPES = {
    "refund.created": "refund",
    "refund.updated": "refund",
    "refund.failed": "refund",
    "charge.refund.updated": "refund",
    "charge.refunded": "charge",
    "charge.dispute.created": "dispute",
    "charge.dispute.updated": "dispute",
    "charge.dispute.closed": "dispute",
    "charge.dispute.funds_reinstated": "dispute",
    "charge.dispute.funds_withdrawn": "dispute",
}


class Refused(ValueError):
    """The request is no event of ours; `reason` is one word for the counter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def verify(body: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Raises Refused unless one of the live secrets signed these bytes within the tolerance.

    Every signature is compared with every secret, in constant time, whatever was found before.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Refused("oversized", f"an event has at most {BODY_BYTES_MAX} bytes")
    at, signatures = _parts(header)
    matches = 0
    for secret in secrets:
        expected = sign(body, secret, at)
        for signature in signatures:
            matches += hmac.compare_digest(expected.encode(), signature.encode())
    if not matches:
        raise Refused("forged", "no live secret made this signature")
    if abs(int(now.timestamp()) - at) > TOLERANCE_SECONDS:
        raise Refused("old", f"the signature is more than {TOLERANCE_SECONDS} s away from now")


def sign(body: bytes, secret: str, at: int) -> str:
    """The v1 signature of these bytes, hexadecimal; `at` in seconds since 1970."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _parts(header: str) -> tuple[int, list[str]]:
    pairs = [item.strip().partition("=") for item in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"][:SIGNATURES_MAX]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 13):
        raise Refused("unsigned", "the Stripe-Signature header has no time")
    if not signatures:
        raise Refused("unsigned", "the Stripe-Signature header has no v1 signature")
    return int(times[0]), signatures


def read(body: bytes) -> WebhookReceived | None:
    """What an event says; None for a type that does not concern refunds. Raises Refused.

    What nobody asked for is no fault of the sender's: refused, Stripe would repeat it for days and
    then send nothing any more.
    """
    try:
        event = json.loads(body)
        type_, object_ = event["type"], event["data"]["object"]
        if event.get("object", "event") != "event" or not isinstance(object_, dict):
            raise Refused("malformed", "this is no event")
        if not isinstance(type_, str):
            raise Refused("wrong_type", "an event's type is a name")
        object_type = OBJECT_TYPES.get(type_)
        if object_type is None:
            return None
        if object_.get("object", object_type) != object_type:
            raise Refused("wrong_type", f"a {type_} is about a {object_type}")
        return _event(event, object_, object_type, hashlib.sha256(body).hexdigest())
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused("malformed", "this is no event") from error


def _event(
    event: dict[str, Any], object_: dict[str, Any], object_type: str, digest: str
) -> WebhookReceived:
    metadata = object_.get("metadata") or {}
    reference = object_.get("payment_intent") or object_.get("charge")
    if isinstance(reference, dict):  # expanded
        reference = reference["id"]
    ours = object_type == "refund"
    return WebhookReceived(
        event_id=event["id"],
        event_type=event["type"],
        body_sha256=digest,
        object_id=object_["id"],
        object_type=object_type,
        order_id=metadata.get("order_id") if ours else None,
        refund_id=metadata.get("refund_id") if ours else None,
        payment_reference=reference,
        status=object_.get("status"),
        amount_refunded=object_.get("amount_refunded"),
    )
