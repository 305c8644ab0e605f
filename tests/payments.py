"""Orders, decisions and releases for tests of payment, and a sandbox processor to send them to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from contracts.assessments import AssessmentRequested
from contracts.decisions import (
    RefundReleased,
    RefundVoided,
    ReturnClosed,
    ReturnDecisionMade,
    ReversalReleased,
)
from contracts.orders import OrderSnapshot
from services.ops.embedded import processes

AT = datetime(2026, 3, 10, 9, tzinfo=UTC)
READY_SECONDS_MAX = 60
SECRET = "whsec_of_these_tests"
TAX = [{"rate_bps": 600, "net": 20000, "tax": 1200}, {"rate_bps": 0, "net": 1000, "tax": 0}]


def new_id() -> str:
    return str(uuid4())


def an_order(
    *payments: dict[str, Any],
    order_id: str = "order-1",
    version: int = 1,
    loyalty: dict[str, Any] | None = None,
) -> OrderSnapshot:
    """The jacket of golden example G1, paid with one sandbox card unless payments are named."""
    return OrderSnapshot.model_validate(
        {
            "order_id": order_id,
            "order_number": f"N-{order_id}",
            "version": version,
            "placed_at": AT,
            "currency": "USD",
            "prices_include_tax": False,
            "buyer": {"customer_id": f"c-{order_id}", "email": "s@x.example", "country": "US"},
            "lines": [
                {
                    "line_id": "1",
                    "sku": "JACKET-M",
                    "title": "Jacket",
                    "category": "apparel",
                    "quantity": 1,
                    "unit_price": 20000,
                    "tax_total": 1200,
                    "tax_rate_bps": 600,
                }
            ],
            "shipping": {"method": "standard", "paid": 1000, "cheapest_offered": 1000},
            "payments": list(payments) or [a_payment(f"pi_{order_id}")],
            "loyalty": loyalty,
        }
    )


def a_payment(
    reference: str,
    *,
    payment_id: str = "p1",
    captured: int = 22200,
    processor: str = "sandbox",
    method: str = "card",
    network: str | None = "visa",
) -> dict[str, Any]:
    return {
        "payment_id": payment_id,
        "processor": processor,
        "processor_reference": reference,
        "method": method,
        "network": network,
        "last4": "1234",
        "captured": captured,
        "captured_at": AT,
    }


def a_decision(
    return_id: str,
    *,
    order_id: str = "order-1",
    sequence: int = 1,
    decision: str = "approved",
    total: int = 22200,
    allocations: dict[str, int] | None = None,
    method: str = "original_payment_method",
    test: bool = False,
) -> ReturnDecisionMade:
    parts = {"p1": total} if allocations is None else allocations
    return ReturnDecisionMade.model_validate(
        {
            "return_id": return_id,
            "order_id": order_id,
            "sequence": sequence,
            "decision": decision,
            "resolution": "refund",
            "lines": [],
            "currency": "USD",
            "refund": {"items": total, "total": total},
            "settlement": {
                "method": method,
                "allocations": [{"payment_id": p, "amount": a} for p, a in parts.items()],
            },
            "return": {"required": True},
            "confidence": 0.95,
            "confidence_band": "high",
            "fraud_probability": 0.01,
            "policy": {"id": "p", "version": "1"},
            "law": {"version": "1"},
            "legal_basis": "merchant_policy",
            "facts": {"inputs_sha256": "0" * 64},
            "decided_by": {"kind": "agent", "id": "commerce"},
            "test": test,
            "decided_at": AT,
        }
    )


def a_release(
    return_id: str,
    refund_id: str,
    *,
    order_id: str = "order-1",
    amount: int = 22200,
    method: str = "original_payment_method",
    payment_id: str | None = "p1",
    legs: bool = True,
    **more: Any,
) -> RefundReleased:
    loyalty = {"points_to_reverse": 200, "points_to_restore": 50}
    return RefundReleased.model_validate(
        {
            "return_id": return_id,
            "order_id": order_id,
            "refund_id": refund_id,
            "method": method,
            "payment_id": payment_id,
            "amount": amount,
            "currency": "USD",
            "decision_sequence": 1,
            "legs": {"loyalty": loyalty, "tax": TAX} if legs else None,
            "release_reason": "inspected",
            "released_at": AT,
        }
        | more
    )


def a_void(return_id: str, refund_id: str, *, order_id: str = "order-1") -> RefundVoided:
    return RefundVoided(
        return_id=return_id, order_id=order_id, refund_id=refund_id, reason="another way"
    )


def a_closing(
    return_id: str, *, order_id: str = "order-1", outcome: str = "cancelled"
) -> ReturnClosed:
    return ReturnClosed.model_validate(
        {"return_id": return_id, "order_id": order_id, "outcome": outcome, "sequence": 1}
    )


def an_assessment(
    return_id: str, *, order_id: str = "order-1", round_: int = 1, test: bool = False
) -> AssessmentRequested:
    return AssessmentRequested.model_validate(
        {
            "return_id": return_id,
            "order_id": order_id,
            "order_version": 1,
            "round": round_,
            "lines": [],
            "resolution": "refund",
            "country": "US",
            "purpose": "initial",
            "test": test,
            "requested_at": AT,
        }
    )


def paid_by_a_person(
    return_id: str, refund_id: str, reference: str, *, order_id: str = "order-1"
) -> tuple[OrderSnapshot, ReturnDecisionMade, RefundReleased]:
    """A settled refund of an order's only payment, at whose processor nothing has happened."""
    by_a_person: dict[str, Any] = {"method": "bank_transfer", "order_id": order_id}
    release = a_release(return_id, refund_id, payment_id=None, reference="SEPA 1", **by_a_person)
    order = an_order(a_payment(reference), order_id=order_id)
    return order, a_decision(return_id, **by_a_person), release


def a_reversal(
    return_id: str,
    reversal_id: str,
    *,
    amount: int,
    consent: bool,
    order_id: str = "order-1",
    payment_id: str | None = None,
) -> ReversalReleased:
    given = {"given_at": AT, "text": "yes"} if consent else None
    return ReversalReleased.model_validate(
        {
            "return_id": return_id,
            "order_id": order_id,
            "reversal_id": reversal_id,
            "amount": amount,
            "currency": "USD",
            "consent": given,
            "payment_id": payment_id,
        }
    )


@dataclass(frozen=True)
class Sandbox:
    """The outside world, in a process of its own."""

    url: str

    def pay(
        self, reference: str, *, amount: int = 22200, currency: str = "USD", behaviour: str = "ok"
    ) -> None:
        body = {
            "reference": reference,
            "amount": amount,
            "currency": currency,
            "behaviour": behaviour,
        }
        httpx.post(f"{self.url}/sandbox/payments", json=body).raise_for_status()

    def dispute(self, reference: str, status: str) -> None:
        body = {"reference": reference, "status": status}
        httpx.post(f"{self.url}/sandbox/disputes", json=body).raise_for_status()

    def refund(self, reference: str, amount: int) -> None:
        """A refund that somebody made in the processor's own dashboard."""
        body = {"payment_intent": reference, "amount": str(amount)}
        httpx.post(f"{self.url}/v1/refunds", data=body).raise_for_status()

    def refunds(self, reference: str) -> list[dict[str, Any]]:
        listed = httpx.get(f"{self.url}/v1/refunds", params={"payment_intent": reference})
        found: list[dict[str, Any]] = listed.json()["data"]
        return found

    def book(self, reference: str) -> list[dict[str, Any]]:
        entries = httpx.get(f"{self.url}/sandbox/book").json()["entries"]
        return [entry for entry in entries if entry["reference"] == reference]

    def kinds(self, reference: str) -> list[str]:
        return [entry["kind"] for entry in self.book(reference)]


@contextmanager
def running_sandbox(home: Path, *, payment_url: str) -> Iterator[Sandbox]:
    """`python -m services.sandbox` for the length of a block."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "SANDBOX_PORT": str(port),
        "SANDBOX_URL": url,
        "PAYMENT_URL": payment_url,
        "RETURNS_HOME": str(home),
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    log = home / "sandbox.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.sandbox"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        processes.wait_until(
            lambda: _answers(url), process, seconds=READY_SECONDS_MAX, name="sandbox", log=log
        )
        yield Sandbox(url)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False
