"""What may be asked of a return now, judged from its view. Pure.

The view may lag behind: commerce has the last word and explains itself in a status change.
Rules: the moves of the decision machine and the hand-overs of the domain, section 1.
"""

from __future__ import annotations

from contracts.decisions import EscalationReason, Outcome
from contracts.lifecycle import Status
from contracts.requests import ChosenMethod
from services.gateway.model import RefundState, View

FINAL = frozenset({Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.SETTLED})
UNDER_WAY = frozenset({Status.IN_TRANSIT, Status.PHYSICALLY_RECEIVED, Status.QUALITY_CHECK})
APPROVED = UNDER_WAY | {
    Status.AWAITING_PHYSICAL_RECEIPT, Status.PENDING_SETTLEMENT, Status.SETTLEMENT_FAILED,
    Status.SETTLED,
}  # fmt: skip
"""Statuses that a return has only once it was approved."""
UNDER_REVIEW = frozenset({Status.AWAITING_REVIEW, Status.SETTLEMENT_FAILED})
OTHER_METHOD_NEEDED = frozenset(
    {EscalationReason.PAYMENT_NOT_REFUNDABLE, EscalationReason.SETTLEMENT_FAILED}
)


def status(view: View) -> Status:
    return view.latest.status if view.latest else Status.REQUESTED


def why_not_cancel(view: View) -> str | None:
    """Possible until a carrier has scanned the parcel and nothing is released."""
    now = status(view)
    if now in FINAL:
        return f"the return is {now} already"
    if now in UNDER_WAY or view.goods.shipped:
        return "the parcel is on its way or has arrived"
    if view.refunds or view.replacement_released or now is Status.SETTLEMENT_FAILED:
        return "the refund or replacement is being carried out"
    return None


def why_no_evidence(view: View) -> str | None:
    now = status(view)
    return f"the return is {now}: nothing is left to judge" if now in FINAL else None


def why_no_settlement(view: View, method: ChosenMethod) -> str | None:
    """A method is chosen where the promised one failed, or a replacement cannot be sent."""
    now = status(view)
    if now in FINAL:
        return f"the return is {now} already"
    if method is ChosenMethod.WAIT and not view.replacement_failed:
        return "no replacement is out of stock: there is nothing to wait for"
    if view.replacement_failed or now is Status.SETTLEMENT_FAILED:
        return None
    if now is Status.AWAITING_REVIEW:
        return _why_no_other_method(view)
    return f"the return is {now}: no other settlement is to be chosen"


def _why_no_other_method(view: View) -> str | None:
    """Only what was approved; a decision that is not seen yet is given the benefit of the doubt."""
    if view.decision is None or view.decision.escalation is None:
        return None
    if view.decision.escalation.reason not in OTHER_METHOD_NEEDED:
        return "the return is under review: no other settlement is to be chosen"
    if not any(change.status in APPROVED for change in view.changes):
        return "the return is not approved yet: a person decides first, also how it is paid"
    return None


def why_no_reversal(view: View) -> str | None:
    """Only money that was paid can be taken back."""
    paid = any(refund.state is RefundState.SETTLED for refund in view.refunds)
    if status(view) is Status.SETTLED or paid:
        return None
    return f"the return is {status(view)}: nothing was paid that could be taken back"


def why_no_review(view: View, case_sha256: str | None) -> str | None:
    """A reviewer decides on exactly the case that stands."""
    now = status(view)
    if now not in UNDER_REVIEW:
        return f"the return is {now}: it is not under review"
    standing = standing_case(view)
    if standing is not None and case_sha256 is not None and case_sha256 != standing:
        return "the case has changed since it was looked at: look at it again"
    return None


def standing_case(view: View) -> str | None:
    """`case_sha256` of the case that waits for a person, where it is known here."""
    decision = view.decision
    if decision is None or decision.decision is not Outcome.ESCALATED or not decision.escalation:
        return None
    return decision.escalation.case.case_sha256
