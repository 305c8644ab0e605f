"""Judgement: every case leads to a decision, every decision says why. Pure and total.

`judge` decides a case (also after an inspection); the other functions take a decision that
stands and return the next sequence, or what may be paid now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.decisions import EscalationReason, Finding, Outcome, ReturnDecisionMade
from contracts.orders import OrderSnapshot
from contracts.requests import Method
from contracts.reviews import ReviewDecided
from services.commerce.judgement import (
    approval,
    cases,
    deciding,
    inspection,
    parts,
    reviewing,
    suspicion,
    wording,
)
from services.commerce.judgement.case import (
    Case,
    History,
    NotAllowed,
    OrdersOfTheYear,
    PastReturn,
    Precedent,
    Released,
    Replaced,
)
from services.commerce.judgement.counterfactual import smallest_change

__all__ = [
    "Case",
    "History",
    "NotAllowed",
    "OrdersOfTheYear",
    "PastReturn",
    "Precedent",
    "Released",
    "Replaced",
    "customer_sentence",
    "escalate",
    "is_suspected_by_its_parcel",
    "judge",
    "release",
    "release_all",
    "review",
    "reviewer_paragraph",
    "settle_by",
    "stale",
    "with_precedents",
    "without",
]


def judge(case: Case, *, counterfactual: bool = True) -> ReturnDecisionMade:
    """The decision on a case: approved, rejected or escalated. Never raises.

    With `case.inspection` it is the decision after inspection. What is not approved tells the
    smallest change that would have led to another outcome, found by deciding again and again;
    `counterfactual=False` leaves that out.
    """
    if case.order is None:
        return deciding.unknown_order(case)
    if case.inspection is not None:
        return inspection.decide(case, case.order, case.inspection)
    judged = deciding.steps(case, case.order)
    decision = deciding.decide(case, judged)
    if not counterfactual or decision.decision is Outcome.APPROVED:
        return decision
    late = max((entry.days_late for entry in judged.standing), default=0)
    change = smallest_change(case, decision, late, lambda other: judge(other, counterfactual=False))
    return decision.model_copy(update={"counterfactual": change})


def is_suspected_by_its_parcel(case: Case) -> bool:
    """Whether what arrived (its weight) makes a return that was approved too suspicious to pay."""
    if case.order is None:
        return False
    judged = deciding.steps(case, case.order)
    told = suspicion.after_receipt(case, case.order, list(judged.entries), judged.score)
    return any(each.asks_a_person for each in told)


def release(
    case: Case,
    standing: ReturnDecisionMade,
    units: Mapping[str, Sequence[int]],
    *,
    already: tuple[Released, ...] = (),
) -> Released:
    """What may be paid for `units` (line_id -> ordinals) of an approval that stands.

    `already` are this approval's earlier parts. The part that completes the approval takes every
    remainder, so that all parts sum to it exactly.
    """
    return approval.release(case, standing, units, already)


def release_all(
    order: OrderSnapshot, standing: ReturnDecisionMade, units: Mapping[str, Sequence[int]]
) -> Released | None:
    """The same as `release` where `units` are all of an approval and none was released: read off
    the decision, without judging again. None: `release` has to look."""
    return parts.all_at_once(order, standing, units)


def review(
    case: Case, standing: ReturnDecisionMade, decided: ReviewDecided, *, for_money: bool = False
) -> ReturnDecisionMade | NotAllowed:
    """The next sequence after a person approved, rejected or adjusted an escalated case.

    The caller compares `case_sha256` with the standing case first (`stale` publishes it again).
    Over `four_eyes_above` the first of two reviewers gets NotAllowed with code
    `second_reviewer_needed`, whose decision remembers them. `for_money`: a replacement could not
    be sent, and what was decided is how the units are paid instead.
    """
    return reviewing.review(case, standing, decided, for_money=for_money)


def stale(case: Case, standing: ReturnDecisionMade) -> ReturnDecisionMade:
    """The case published again because a review was bound to a hash that no longer stands."""
    why = "the review was about an earlier state of the case: look again"
    return approval.again(case, standing, "stale_review", why)


def escalate(
    case: Case,
    standing: ReturnDecisionMade,
    reason: EscalationReason,
    *,
    context: Mapping[str, object] | None = None,
    findings: tuple[Finding, ...] = (),
) -> ReturnDecisionMade:
    """A standing decision that now needs a person; amounts, units and settlement are kept."""
    return approval.escalate(case, standing, reason, context=context, findings=findings)


def with_precedents(
    decision: ReturnDecisionMade, precedents: tuple[Precedent, ...]
) -> ReturnDecisionMade:
    """An escalated decision that shows how people decided cases like it; told once, then kept."""
    return cases.with_precedents(decision, precedents)


def settle_by(
    case: Case, standing: ReturnDecisionMade, method: Method, reference: str | None = None
) -> ReturnDecisionMade:
    """A new approved sequence with another settlement method, chosen by customer or person."""
    return approval.settle_by(case, standing, method, reference)


def without(
    case: Case, standing: ReturnDecisionMade, units: Mapping[str, Sequence[int]]
) -> ReturnDecisionMade:
    """A new approved sequence without these units (line_id -> ordinals): they never came."""
    return approval.without(case, standing, units)


def customer_sentence(decision: ReturnDecisionMade) -> str:
    """One sentence for the customer, from the decision's own findings and numbers."""
    return wording.customer_sentence(decision)


def reviewer_paragraph(decision: ReturnDecisionMade) -> str:
    """A paragraph for a reviewer: what, why, how sure, what each number rests on."""
    return wording.reviewer_paragraph(decision)
