"""After a scenario: do status, the processor's book, points, tax and all three stores agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.base import Message
from contracts.decisions import ReturnClosed
from contracts.payment import (
    LoyaltyReversed,
    RefundSettled,
    StoreCreditIssued,
    TaxReversalRecorded,
)
from services.ops.demo.orders import Json
from services.ops.demo.scenarios import Scenario

SIGNS = {"refund": 1, "refund_failed": -1, "charge": 0}


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at. `found` equals `expected` when all is well."""

    what: str
    expected: object
    found: object

    @property
    def holds(self) -> bool:
        return self.expected == self.found


@dataclass(kw_only=True)
class Evidence:
    """Everything that was seen of one return, from outside."""

    seen: Json
    book: Sequence[Json]
    messages: Sequence[Message]
    steps: set[int] = field(default_factory=set)


def checks(scenario: Scenario, evidence: Evidence) -> list[Check]:
    """Everything that must hold at the end of a scenario."""
    book, seen, messages = evidence.book, evidence.seen, evidence.messages
    settled = {each.refund_id: each for each in messages if isinstance(each, RefundSettled)}
    credited = {each.refund_id: each for each in messages if isinstance(each, StoreCreditIssued)}
    loyalty = [each for each in messages if isinstance(each, LoyaltyReversed)]
    tax = [each for each in messages if isinstance(each, TaxReversalRecorded)]
    paid = sum(SIGNS[entry["kind"]] * entry["amount"] for entry in book)
    refunds = [entry for entry in book if entry["kind"] == "refund"]
    found = [
        Check(what="status", expected=scenario.ends, found=seen["status"]),
        Check(what="paid out in the processor's book", expected=scenario.paid, found=paid),
        Check(what="refunds there", expected=1 if scenario.paid else 0, found=len(refunds)),
        Check(
            what="refunds in the book name this return",
            expected={seen["return_id"]} if refunds else set(),
            found={entry["metadata"].get("return_id") for entry in refunds},
        ),
        Check(
            what="settled, says payment",
            expected=scenario.moved,
            found=sum(each.amount for each in settled.values()),
        ),
        Check(
            what="settled, says the gateway",
            expected=scenario.moved,
            found=sum(each["amount"] for each in seen["refunds"] if each["state"] == "settled"),
        ),
        Check(
            what="store credit",
            expected=scenario.credited,
            found=sum(each.amount for each in credited.values()),
        ),
        Check(
            what="points reversed",
            expected=scenario.points_reversed,
            found=sum(each.points_reversed for each in loyalty),
        ),
        Check(
            what="tax recorded",
            expected=scenario.tax_recorded,
            found=sum(each.tax for each in tax),
        ),
    ]
    if scenario.steps:
        found.append(
            Check(
                what="steps of the story",
                expected=list(scenario.steps),
                found=sorted(evidence.steps),
            )
        )
    if scenario.ends == "cancelled":
        closed = [each.outcome for each in messages if isinstance(each, ReturnClosed)]
        found.append(Check(what="closed once", expected=["cancelled"], found=closed))
    return found
