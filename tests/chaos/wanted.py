"""What becomes of a return follows from its number alone, whatever happens on the way."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from tests.blackbox.world import Json, a_request, an_order, now, rfc3339

REFUND = 22200
NAMESPACE = uuid.UUID("6f1f3b6c-5a0e-4c4e-9d5a-4b1f0b6f2c11")
PAID = (
    "ok",
    "slow",
    "pending",
    "timeout_after_success",
    "timeout_before",
    "error_500_stored",
    "error_500_after_success",
    "rate_limited",
    "no_webhook",
    "webhook_twice",
    "webhook_out_of_order",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`book`: what the processor's book shows for the payment; `party`: whom it waits on."""

    name: str
    behaviour: str = "ok"
    delivered_days_ago: float = 10
    comes_back: bool = True
    cancels: bool = False
    ends: str = "settled"
    party: str = "none"
    book: tuple[str, ...] = ("refund",)


KINDS = (
    *(Kind(name=f"paid, {behaviour}", behaviour=behaviour) for behaviour in PAID),
    Kind(name="cancelled", comes_back=False, cancels=True, ends="cancelled", book=()),
    Kind(
        name="late", delivered_days_ago=35, comes_back=False, ends="awaiting_review",
        party="reviewer", book=(),
    ),
    Kind(
        name="declined", behaviour="declined", ends="settlement_failed", party="customer", book=()
    ),
    Kind(
        name="fails later", behaviour="fails_later", ends="settlement_failed", party="customer",
        book=("refund", "refund_failed"),
    ),
)  # fmt: skip


class Case:
    """Return `number` of a run: its order, its request, and everything said about it."""

    def __init__(self, seed: int, number: int) -> None:
        self.kind = KINDS[number % len(KINDS)]
        self.return_id = str(uuid.uuid5(NAMESPACE, f"{seed}:{number}"))
        self.order = an_order(delivered_days_ago=self.kind.delivered_days_ago)
        self.over_http = number % 2 == 0
        """Asked for at the gateway; otherwise on the bus."""

    @property
    def order_id(self) -> str:
        return str(self.order["order_id"])

    @property
    def reference(self) -> str:
        return str(self.order["payments"][0]["processor_reference"])

    def request(self) -> Json:
        return a_request(self.order, return_id=self.return_id)

    def told(self) -> list[tuple[str, bytes]]:
        """(topic, value) of what outside systems say after the request, in this order."""
        about = {"return_id": self.return_id, "order_id": self.order_id}
        if self.kind.cancels:
            cancel = {**about, "reason": "keeping it", "requested_at": rfc3339(now())}
            return [("returns.requests", bare("CancelReturn", cancel))]
        if not self.kind.comes_back:
            return []
        line = {"sku": self.order["lines"][0]["sku"], "quantity": 1}

        def event(name: str, **body: Any) -> tuple[str, bytes]:
            id_ = str(uuid.uuid5(NAMESPACE, f"{self.return_id}:{name}:{body.get('scan')}"))
            made = {**about, "event_id": id_, "occurred_at": rfc3339(now()), **body}
            return "warehouse.events", bare(name, made)

        graded = [{**line, "grade": "as_new", "evidence": []}]
        return [
            event("ParcelScanned", scan="accepted"),
            event("ParcelScanned", scan="delivered"),
            event("ItemReceived", lines=[line]),
            event("ItemInspected", inspector="w1", lines=graded),
        ]


def bare(kind: str, body: Json) -> bytes:
    """A record without headers, as any frontend may write it."""
    return json.dumps({"type": kind, **body}).encode()
