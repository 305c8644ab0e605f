"""Messages for the toy, short to write."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from contracts.orders import Buyer, OrderSnapshot, Shipping
from contracts.requests import (
    CancelReturn,
    ChosenMethod,
    Evidence,
    EvidenceAdded,
    EvidenceKind,
    Reason,
    RequestLine,
    Resolution,
    ReturnRequest,
    SettlementChosen,
)
from contracts.reviews import ReviewDecided, ReviewDecision
from tests.driving import START


def return_id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def request(order_id: str, name: str = "r", *, locale: str = "en") -> ReturnRequest:
    return ReturnRequest(
        return_id=return_id(name),
        order_id=order_id,
        lines=(RequestLine(sku="jacket", quantity=1, reason=Reason.WRONG_SIZE),),
        resolution=Resolution.REFUND,
        locale=locale,
        requested_at=START,
    )


def order(order_id: str, version: int = 1) -> OrderSnapshot:
    return OrderSnapshot(
        order_id=order_id,
        order_number=order_id,
        version=version,
        placed_at=START,
        currency="USD",
        prices_include_tax=False,
        buyer=Buyer(customer_id="c", email="c@example.com", country="US"),
        lines=(),
        shipping=Shipping(method="ground", paid=0, cheapest_offered=0),
    )


def review(order_id: str, reason: str = "fine", name: str = "r") -> ReviewDecided:
    return ReviewDecided(
        return_id=return_id(name),
        order_id=order_id,
        decision=ReviewDecision.APPROVE,
        reason=reason,
        reviewer="sam",
        decided_at=START,
    )


def cancel(order_id: str, reason: str | None = None, name: str = "r") -> CancelReturn:
    return CancelReturn(
        return_id=return_id(name), order_id=order_id, reason=reason, requested_at=START
    )


def settlement(order_id: str, name: str = "r") -> SettlementChosen:
    return SettlementChosen(
        return_id=return_id(name),
        order_id=order_id,
        method=ChosenMethod.STORE_CREDIT,
        consent_at=START,
    )


def evidence(order_id: str, *texts: str, name: str = "r") -> EvidenceAdded:
    return EvidenceAdded(
        return_id=return_id(name),
        order_id=order_id,
        evidence=tuple(
            Evidence(evidence_id=f"{order_id}:{text}", kind=EvidenceKind.TEXT, text=text)
            for text in texts
        ),
        added_at=START,
    )
