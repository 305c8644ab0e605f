"""What a message on the bus tells a person: one line or more per message that matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from contracts.assessments import RefundabilityAssessed, ReturnabilityAssessed
from contracts.base import Message
from contracts.decisions import RefundReleased, ReturnClosed, ReturnDecisionMade
from contracts.fulfillment import (
    ItemDisposed,
    ReturnDelivered,
    ReturnInspected,
    ReturnLabelIssued,
    ReturnReceived,
    ReturnShipped,
)
from contracts.lifecycle import ReturnStatusChanged
from contracts.payment import (
    LoyaltyReversed,
    RefundFailed,
    RefundPending,
    RefundReservationVoided,
    RefundReserved,
    RefundSettled,
    StoreCreditIssued,
    TaxReversalRecorded,
)
from contracts.requests import CancelReturn, ReturnRequest, SettlementChosen
from contracts.reviews import ReviewDecided

STEP_NAMES = {
    1: "policy check",
    2: "fraud assessment",
    3: "inventory state",
    4: "conditional approval",
    5: "warehouse",
    6: "quality check",
    7: "refund settlement",
    8: "reversal of loyalty",
    9: "tax reversal",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """`amount` in minor units of `currency`; `step` of the jacket's story, 0 for none of them."""

    text: str
    amount: int | None = None
    currency: str = ""
    step: int = 0


def lines(message: Message) -> tuple[Line, ...]:
    """What to tell about a message; nothing about those that only machines care for."""
    teller = TELLERS.get(type(message))
    return tuple(teller(message)) if teller else ()


def _requested(message: ReturnRequest) -> Iterator[Line]:
    reasons = ", ".join(f"{line.quantity} x {line.sku}: {line.reason}" for line in message.lines)
    yield Line(text=f"asks to return {reasons}")


def _goods_known(message: ReturnabilityAssessed) -> Iterator[Line]:
    returnable = all(line.returnable for line in message.lines)
    received = sum(line.received_quantity for line in message.lines)
    label = "a prepaid label is provided" if message.label.provided else "no label is provided"
    yield Line(
        text=f"{'returnable' if returnable else 'not returnable'}, {received} received; {label}",
        step=3,
    )


def _money_known(message: RefundabilityAssessed) -> Iterator[Line]:
    yield Line(text=message.summary or "said what can be refunded")


def _decided(message: ReturnDecisionMade) -> Iterator[Line]:
    if message.sequence == 1:
        yield Line(
            text=f"policy {message.policy.id} {message.policy.version}: {_findings(message)}",
            step=1,
        )
        risk = "low" if message.fraud_probability < 0.5 else "high"
        yield Line(text=f"risk {risk}: probability {message.fraud_probability:g}", step=2)
    by = "" if message.decided_by.kind == "agent" else f" by {message.decided_by.id}"
    on = f", refund on {message.refund_on}" if message.refund_on else ""
    why = f": {message.escalation.reason}" if message.escalation else ""
    yield Line(
        text=f"decision {message.sequence}: {message.decision}{why}{by}{on}",
        amount=message.refund.total if message.refund else None,
        currency=message.currency or "",
        step=4 if message.decision == "approved" and message.refund_on else 0,
    )


def _findings(message: ReturnDecisionMade) -> str:
    """What policy says about time, which is what people ask first; else the legal basis."""
    told = [each.explanation for each in message.findings if "window" in each.code]
    return told[0] if told else str(message.legal_basis)


def _received(message: ReturnReceived) -> Iterator[Line]:
    counted = ", ".join(f"{line.quantity} x {line.sku}" for line in message.lines)
    yield Line(text=f"physically received: {counted}", step=5)


def _inspected(message: ReturnInspected) -> Iterator[Line]:
    for line in message.lines:
        defect = "" if line.defect_confirmed is None else f", defect {_found(line)}"
        yield Line(text=f"inspected {line.quantity} x {line.sku}: {line.grade}{defect}", step=6)


def _found(line: Any) -> str:
    return "confirmed" if line.defect_confirmed else "not found"


def _reserved(message: RefundReserved) -> Iterator[Line]:
    total = sum(each.amount for each in message.allocations)
    yield Line(text="money reserved", amount=total, currency=message.currency)


def _settled(message: RefundSettled) -> Iterator[Line]:
    yield _money(f"refund settled ({message.method})", message, step=7)


def _failed(message: RefundFailed) -> Iterator[Line]:
    other = ", ".join(str(method) for method in message.alternatives)
    yield _money(f"refund {message.state}: {message.failure_message}; instead: {other}", message)


def _money(text: str, message: Any, *, step: int = 0) -> Line:
    return Line(text=text, amount=message.amount, currency=message.currency, step=step)


def _loyalty(message: LoyaltyReversed) -> Iterator[Line]:
    restored = f", {message.points_restored} restored" if message.points_restored else ""
    yield Line(text=f"{message.points_reversed} points reversed{restored}", step=8)


def _tax(message: TaxReversalRecorded) -> Iterator[Line]:
    yield Line(
        text=f"tax recorded, credit note {message.credit_note_number}",
        amount=message.tax,
        currency=message.currency,
        step=9,
    )


def _status(message: ReturnStatusChanged) -> Iterator[Line]:
    if message.status != message.previous:
        until = f" until {message.until:%d %b %H:%M}" if message.until else ""
        waits = "" if message.waiting_on == "none" else f" (waits on {message.waiting_on}{until})"
        yield Line(text=f"status: {message.status}{waits}")


TELLERS: dict[type[Message], Callable[[Any], Iterator[Line]]] = {
    ReturnRequest: _requested,
    CancelReturn: lambda message: iter([Line(text=f"cancels: {message.reason}")]),
    SettlementChosen: lambda message: iter([Line(text=f"chooses {message.method}")]),
    ReviewDecided: lambda message: iter([Line(text=f"{message.decision}: {message.reason}")]),
    ReturnabilityAssessed: _goods_known,
    RefundabilityAssessed: _money_known,
    ReturnDecisionMade: _decided,
    ReturnLabelIssued: lambda message: iter(
        [Line(text=f"label issued: {message.carrier} {message.tracking_number}")]
    ),
    ReturnShipped: lambda message: iter([Line(text="the carrier has the parcel")]),
    ReturnDelivered: lambda message: iter([Line(text="the parcel is at the warehouse")]),
    ReturnReceived: _received,
    ReturnInspected: _inspected,
    ItemDisposed: lambda message: iter([Line(text=f"goods: {message.disposition}")]),
    RefundReserved: _reserved,
    RefundReservationVoided: lambda message: iter([Line(text="reservation voided")]),
    RefundReleased: lambda message: iter([_money("refund released", message)]),
    RefundPending: lambda message: iter(
        [_money(f"refund at the processor: {message.processor_reference}", message)]
    ),
    RefundSettled: _settled,
    RefundFailed: _failed,
    StoreCreditIssued: lambda message: iter([_money("store credit issued", message)]),
    LoyaltyReversed: _loyalty,
    TaxReversalRecorded: _tax,
    ReturnStatusChanged: _status,
    ReturnClosed: lambda message: iter([Line(text=f"closed: {message.outcome}")]),
}
