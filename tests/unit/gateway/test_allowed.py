"""What may be asked in which status: the whole table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from contracts.decisions import EscalationReason, ReturnDecisionMade
from contracts.lifecycle import Party, ReturnStatusChanged, Status
from contracts.requests import ChosenMethod, Method
from services.gateway import allowed
from services.gateway.model import Goods, Refund, RefundState, View
from tests.integration.gateway.door import a_decision

RETURN_ID = "7d6f3f0a-5b0c-4a7e-9a55-0c2b1c6f7a10"
NOW = datetime(2026, 3, 14, 10, tzinfo=UTC)
STATUSES = [status for status in Status if status is not Status.UNKNOWN]

CANCEL = {
    Status.REQUESTED,
    Status.ASSESSING,
    Status.AWAITING_REVIEW,
    Status.AWAITING_PHYSICAL_RECEIPT,
    Status.PENDING_SETTLEMENT,
}
EVIDENCE = set(STATUSES) - {
    Status.REJECTED,
    Status.CANCELLED,
    Status.EXPIRED,
    Status.SETTLED,
}
REVIEW = {Status.AWAITING_REVIEW, Status.SETTLEMENT_FAILED}
SETTLEMENT = {Status.AWAITING_REVIEW, Status.SETTLEMENT_FAILED}
REVERSAL = {Status.SETTLED}


def a_view(status: Status, **changes: object) -> View:
    change = ReturnStatusChanged(
        return_id=RETURN_ID,
        number=1,
        status=status,
        waiting_on=Party.NONE,
        explanation="",
        changed_at=NOW,
    )
    view = View(return_id=change.return_id, requested_at=NOW, changes=(change,))
    return view.model_copy(update=changes)


def escalated(reason: EscalationReason) -> ReturnDecisionMade:
    made = a_decision(RETURN_ID, "escalated")
    assert made.escalation is not None
    return made.model_copy(
        update={"escalation": made.escalation.model_copy(update={"reason": reason})}
    )


def a_refund(state: RefundState) -> Refund:
    return Refund(refund_id="r1", method=Method.STORE_CREDIT, amount=1, currency="USD", state=state)


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_allows_what_the_domain_says(status: Status) -> None:
    view = a_view(status)
    credit = ChosenMethod.STORE_CREDIT
    assert (allowed.why_not_cancel(view) is None) == (status in CANCEL)
    assert (allowed.why_no_evidence(view) is None) == (status in EVIDENCE)
    assert (allowed.why_no_review(view, "a" * 64) is None) == (status in REVIEW)
    assert (allowed.why_no_settlement(view, credit) is None) == (status in SETTLEMENT)
    assert (allowed.why_no_reversal(view) is None) == (status in REVERSAL)


def test_a_scan_or_a_release_ends_the_time_to_cancel() -> None:
    status = Status.AWAITING_PHYSICAL_RECEIPT
    scanned = a_view(status, goods=Goods(shipped=True))
    released = a_view(status, refunds=(a_refund(RefundState.SUBMITTING),))
    replaced = a_view(status, replacement_released=True)
    for view in (scanned, released, replaced):
        assert allowed.why_not_cancel(view)


def test_what_was_paid_may_be_asked_back_whatever_the_status() -> None:
    paid = a_view(Status.AWAITING_REVIEW, refunds=(a_refund(RefundState.SETTLED),))
    pending = a_view(Status.AWAITING_REVIEW, refunds=(a_refund(RefundState.SUBMITTING),))
    assert allowed.why_no_reversal(paid) is None
    assert allowed.why_no_reversal(pending)


def test_another_method_is_chosen_for_what_was_approved_not_in_place_of_the_person() -> None:
    disputed = a_view(
        Status.AWAITING_REVIEW, decision=escalated(EscalationReason.PAYMENT_NOT_REFUNDABLE)
    )
    assert "person" in str(allowed.why_no_settlement(disputed, ChosenMethod.STORE_CREDIT))
    before = disputed.changes[0].model_copy(update={"status": Status.AWAITING_PHYSICAL_RECEIPT})
    later = disputed.changes[0].model_copy(update={"number": 2})
    approved_before = disputed.model_copy(update={"changes": (before, later)})
    assert allowed.why_no_settlement(approved_before, ChosenMethod.STORE_CREDIT) is None
    late = a_view(Status.AWAITING_REVIEW, decision=escalated(EscalationReason.OUTSIDE_WINDOW))
    assert allowed.why_no_settlement(late, ChosenMethod.STORE_CREDIT)


def test_waiting_is_a_choice_only_for_a_replacement_out_of_stock() -> None:
    failed = a_view(Status.AWAITING_PHYSICAL_RECEIPT, replacement_failed=True)
    refund_failed = a_view(Status.SETTLEMENT_FAILED)
    assert allowed.why_no_settlement(failed, ChosenMethod.WAIT) is None
    assert allowed.why_no_settlement(failed, ChosenMethod.STORE_CREDIT) is None
    assert allowed.why_no_settlement(refund_failed, ChosenMethod.WAIT)


def test_before_any_status_a_return_counts_as_requested() -> None:
    view = View(return_id="7d6f3f0a-5b0c-4a7e-9a55-0c2b1c6f7a10", requested_at=NOW)
    assert allowed.status(view) is Status.REQUESTED
    assert allowed.why_not_cancel(view) is None
