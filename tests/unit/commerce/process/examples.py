"""Sarah's jacket, and what the other services say about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.assessments import (
    AssessmentRequested,
    LabelOffer,
    LineReturnability,
    PaymentRefundability,
    RefundabilityAssessed,
    ReturnabilityAssessed,
)
from contracts.decisions import RefundReleased, ReturnDecisionMade
from contracts.fulfillment import (
    InspectedLine,
    ReceivedLine,
    ReturnDelivered,
    ReturnInspected,
    ReturnLabelIssued,
    ReturnReceived,
    ReturnShipped,
    ShippedLine,
)
from contracts.orders import OrderSnapshot, PaymentMethod
from contracts.payment import FailedState, RefundFailed, RefundReserved, RefundSettled
from contracts.requests import Method, ReturnRequest
from contracts.warehouse import Grade

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RETURN_ID = str(UUID(int=1))
ORDER_ID = "order-1"


def order(*, quantity: int = 1, country: str = "US", **changes: Any) -> OrderSnapshot:
    """A jacket for 200 dollars, 12 tax, 10 shipping, delivered ten days ago."""
    delivered = NOW - timedelta(days=10)
    placed = NOW - timedelta(days=13)
    fields: dict[str, Any] = {
        "order_id": ORDER_ID,
        "order_number": "N1",
        "version": 1,
        "placed_at": placed,
        "currency": "USD",
        "prices_include_tax": False,
        "buyer": {
            "customer_id": "customer-1",
            "email": "Sarah@customer.example",
            "country": country,
            "region": "NV" if country == "US" else None,
        },
        "lines": [
            {
                "line_id": "1",
                "sku": "JACKET-M",
                "title": "Winter jacket",
                "category": "apparel",
                "quantity": quantity,
                "unit_price": 20000,
                "tax_total": 1200 * quantity,
                "tax_rate_bps": 600,
            }
        ],
        "shipping": {"method": "standard", "paid": 1000, "cheapest_offered": 1000},
        "payments": [
            {
                "payment_id": "p1",
                "processor": "sandbox",
                "processor_reference": "pi_1",
                "method": "card",
                "captured": 21200 * quantity + 1000,
                "captured_at": placed,
            }
        ],
        "deliveries": [
            {
                "delivery_id": "d1",
                "shipped_at": delivered - timedelta(days=2),
                "delivered_at": delivered,
                "lines": [{"line_id": "1", "quantity": quantity}],
            }
        ],
        "withdrawal_information": {"provided_at": placed, "document_version": "1"},
    }
    return OrderSnapshot.model_validate(fields | changes)


def request(
    *,
    return_id: str = RETURN_ID,
    quantity: int = 1,
    reason: str = "wrong_size",
    condition: str = "unopened",
    now: datetime = NOW,
    **changes: Any,
) -> ReturnRequest:
    fields: dict[str, Any] = {
        "return_id": return_id,
        "order_id": ORDER_ID,
        "requester": {"customer_id": "customer-1", "verified_by": "session"},
        "lines": [
            {
                "line_id": "1",
                "sku": "JACKET-M",
                "quantity": quantity,
                "reason": reason,
                "condition": condition,
                "note": "it does not fit",
            }
        ],
        "resolution": "refund",
        "currency": "USD",
        "requested_at": now,
    }
    return ReturnRequest.model_validate(fields | changes)


def returnable(asked: AssessmentRequested, **changes: Any) -> ReturnabilityAssessed:
    """Fulfillment's answer: all is well, and a label is provided."""
    fields: dict[str, Any] = {
        "as_of": asked.requested_at,
        "lines": tuple(
            LineReturnability(line_id=line.line_id, returnable=True) for line in asked.lines
        ),
        "label": LabelOffer(provided=True),
    }
    return ReturnabilityAssessed.model_validate(_answer(asked) | fields | changes)


def refundable(
    asked: AssessmentRequested, amount: int | None = None, **changes: Any
) -> RefundabilityAssessed:
    """Payment's answer: `amount` minor units are left to refund."""
    captured = 21200 * sum(line.quantity for line in asked.lines) + 1000
    fields: dict[str, Any] = {
        "as_of": asked.requested_at,
        "payments": (
            PaymentRefundability(
                payment_id="p1",
                method=PaymentMethod.CARD,
                processed_at=NOW - timedelta(days=13),
                captured=captured,
                refundable=captured if amount is None else amount,
            ),
        ),
        "alternatives": (Method.STORE_CREDIT, Method.BANK_TRANSFER),
        "summary": "refundable",
    }
    return RefundabilityAssessed.model_validate(_answer(asked) | fields | changes)


def _answer(asked: AssessmentRequested) -> dict[str, Any]:
    return {
        "return_id": asked.return_id,
        "order_id": asked.order_id,
        "order_version": asked.order_version,
        "round": asked.round,
    }


def reserved(made: ReturnDecisionMade) -> RefundReserved:
    assert made.order_id is not None and made.currency is not None
    return RefundReserved(
        return_id=made.return_id,
        order_id=made.order_id,
        decision_sequence=made.sequence,
        allocations=made.settlement.allocations,
        currency=made.currency,
    )


def _of(at: datetime, return_id: str = RETURN_ID) -> dict[str, Any]:
    return {"return_id": return_id, "order_id": ORDER_ID, "occurred_at": at}


def labelled(at: datetime = NOW, return_id: str = RETURN_ID) -> ReturnLabelIssued:
    return ReturnLabelIssued(
        **_of(at, return_id),
        carrier="sandbox",
        tracking_number="T1",
        label_url="http://carrier.example/T1",
        expires_at=at + timedelta(days=30),
    )


def shipped(units: tuple[int, ...] = (1,), at: datetime = NOW) -> ReturnShipped:
    return ReturnShipped(**_of(at), tracking_number="T1", lines=_lines(ShippedLine, units))


def delivered(units: tuple[int, ...] = (1,), at: datetime = NOW) -> ReturnDelivered:
    return ReturnDelivered(**_of(at), tracking_number="T1", lines=_lines(ShippedLine, units))


def received(units: tuple[int, ...] = (1,), at: datetime = NOW) -> ReturnReceived:
    return ReturnReceived(**_of(at), lines=_lines(ReceivedLine, units))


def inspected(
    units: tuple[int, ...] = (1,),
    grade: Grade = Grade.AS_NEW,
    at: datetime = NOW,
    *,
    defect_confirmed: bool | None = None,
) -> ReturnInspected:
    line = InspectedLine(
        line_id="1",
        sku="JACKET-M",
        quantity=len(units),
        units=units,
        grade=grade,
        defect_confirmed=defect_confirmed,
    )
    return ReturnInspected(**_of(at), lines=(line,), inspector="w1")


def _lines(kind: Any, units: tuple[int, ...]) -> Any:
    """No line where nothing is named."""
    if not units:
        return ()
    return (kind(line_id="1", sku="JACKET-M", quantity=len(units), units=units),)


def _refund(released: RefundReleased, at: datetime) -> Mapping[str, Any]:
    return {
        "return_id": released.return_id,
        "order_id": released.order_id,
        "refund_id": released.refund_id,
        "payment_id": released.payment_id,
        "method": released.method,
        "amount": released.amount,
        "currency": released.currency,
        "attempt": 1,
        "idempotency_key": f"refund:{released.refund_id}:1",
        "occurred_at": at,
    }


def settled(released: RefundReleased, at: datetime = NOW) -> RefundSettled:
    return RefundSettled(**_refund(released, at))


def failed(
    released: RefundReleased,
    state: FailedState = FailedState.REFUSED,
    alternatives: tuple[Method, ...] = (Method.STORE_CREDIT, Method.BANK_TRANSFER),
) -> RefundFailed:
    return RefundFailed(
        **_refund(released, NOW),
        state=state,
        failure_code="declined",
        failure_message="the bank declined the refund",
        retryable=False,
        alternatives=alternatives,
    )
