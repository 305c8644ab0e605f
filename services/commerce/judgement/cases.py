"""What a person is shown of an escalated return, and the hash that binds a review to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from contracts.base import IDENTIFIER_LENGTH_MAX, Part
from contracts.decisions import (
    CaseFact,
    Escalation,
    EscalationReason,
    Recommendation,
    ReturnDecisionMade,
    ReviewCase,
)
from contracts.fulfillment import ReturnInspected
from contracts.orders import OrderSnapshot
from services.commerce.judgement import choices, money, trace
from services.commerce.judgement.case import Case, Precedent
from services.commerce.judgement.judged import Judged
from services.commerce.policy import weights

Reason = EscalationReason
SIGNALS_SHOWN_MAX = 5
FIRST_APPROVAL = "first_approval"
PRECEDENTS = "similar_cases"
PASSING = frozenset({"stale_review", "not_allowed", "second_reviewer_needed"})
"""Findings about the reviewing itself: they change nothing of what is judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Basis:
    """What a recommendation rests on, beside the decision itself."""

    days_late: int = 0
    fault_may_be_owed: bool = False
    """A late claim of a fault that the law may still give."""
    refundable: int | None = None
    """What the payments can give back together, in minor units; None: not looked at."""
    value_may_be_deducted: bool = False
    """The worse condition may lower the amount: told of the right, no fault of the merchant."""
    facts: tuple[CaseFact, ...] = ()
    pattern: tuple[str, ...] = field(default=())
    judged: Judged | None = None


NOTHING_KNOWN = Basis()


def basis_of(case: Case, judged: Judged) -> Basis:
    standing = judged.standing
    return Basis(
        judged=judged,
        days_late=max((entry.days_late for entry in standing), default=0),
        fault_may_be_owed=any(
            entry.days_late and entry.fault and judged.law.conformity is not None
            for entry in standing
        ),
        refundable=judged.refundable,
        value_may_be_deducted=judged.law.informed and any(not entry.fault for entry in standing),
        facts=tuple(_facts(case, judged)),
        pattern=tuple(each.explanation for each in judged.score.contributions if each.log_odds > 0)[
            :SIGNALS_SHOWN_MAX
        ],
    )


def keeping_its_reservation(basis: Basis, decision: ReturnDecisionMade) -> Basis:
    """An escalation leaves the reservation: that money counts as what can go back."""
    reserved = sum(each.amount for each in decision.settlement.allocations)
    return replace(basis, refundable=max(basis.refundable or 0, reserved))


def _facts(case: Case, judged: Judged) -> Iterable[CaseFact]:
    order, law = judged.order, judged.law
    fulfilled = case.returnability.as_of if case.returnability is not None else None
    paid = case.refundability.as_of if case.refundability is not None else None
    yield CaseFact(name="order", value=order.order_number)
    yield CaseFact(name="order_version", value=order.version)
    yield CaseFact(name="placed_at", value=_text(order.placed_at))
    yield CaseFact(name="requested_at", value=_text(case.request.requested_at))
    yield CaseFact(name="buyer_country", value=order.buyer.country)
    yield CaseFact(name="protected_in", value=law.place.country)
    if order.buyer.customer_since is not None:
        yield CaseFact(name="customer_since", value=_text(order.buyer.customer_since))
    yield CaseFact(name="lifetime_value", value=order.buyer.lifetime_value)
    yield CaseFact(name="fraud_probability", value=judged.score.probability)
    if law.right is not None:
        until = law.goods_until
        yield CaseFact(name="withdrawal_period_ends", value=until.isoformat() if until else "open")
        yield CaseFact(name="informed_of_withdrawal", value=law.informed)
    for delivery in order.deliveries:
        at = delivery.delivered_at
        yield CaseFact(
            name=_named("delivered", delivery.delivery_id), value=_text(at) if at else None
        )
    if case.returnability is not None:
        for line in case.returnability.lines:
            yield CaseFact(
                name=_named("returnable", line.line_id), value=line.returnable, as_of=fulfilled
            )
            yield CaseFact(
                name=_named("received", line.line_id), value=line.received_quantity, as_of=fulfilled
            )
    if case.refundability is not None:
        for payment in case.refundability.payments:
            yield CaseFact(
                name=_named("refundable", payment.payment_id), value=payment.refundable, as_of=paid
            )
            yield CaseFact(
                name=_named("dispute", payment.payment_id), value=str(payment.dispute), as_of=paid
            )


def _gone(case: Case) -> Iterable[CaseFact]:
    """What has become of the money, where not all that was released has gone out."""
    if case.live is not None:
        lost = max(case.released_amount - case.live_amount, 0)
        yield CaseFact(name="paid_or_on_its_way", value=case.live_amount)
        yield CaseFact(name="taken_back_or_failed", value=lost)


def _named(what: str, of: str) -> str:
    return f"{what}:{of}"[:IDENTIFIER_LENGTH_MAX]


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def escalated(
    case: Case,
    order: OrderSnapshot | None,
    decision: ReturnDecisionMade,
    reason: EscalationReason,
    basis: Basis,
    *,
    context: Mapping[str, object] | None = None,
) -> ReturnDecisionMade:
    """The decision with its case: recommendation, context, choices and the hash over them."""
    recommendation = _recommendation(case, order, reason, basis)
    total = decision.refund.total if decision.refund is not None else 0
    recommended = 0 if recommendation is Recommendation.REJECT else total
    if basis.refundable is not None:
        recommended = min(recommended, basis.refundable)
    reasons = _reasons(decision, reason)
    gathered = _context(case, order, reasons, basis) | _precedents_told(case, reason)
    gathered |= dict(context or {})
    offered = choices.of(
        case, decision, reason, basis.judged, value_may_be_deducted=basis.value_may_be_deducted
    )
    history = tuple(
        each.model_dump(mode="json", exclude_none=True)
        for each in (case.history.returns if case.history is not None else ())
    )
    facts = (*basis.facts, CaseFact(name="refund_total", value=total), *_gone(case))
    shown = ReviewCase(
        case_sha256="0" * 64,
        choices=offered,
        facts=facts,
        history=history,
        evidence=case.request.evidence,
    )
    escalation = Escalation(
        reason=reason,
        recommendation=recommendation,
        recommended_amount=recommended,
        context=gathered,
        case=shown,
    )
    return remembering(case, sealed(decision.model_copy(update={"escalation": escalation})))


def with_precedents(
    decision: ReturnDecisionMade, precedents: Sequence[Precedent]
) -> ReturnDecisionMade:
    escalation = decision.escalation
    if escalation is None or PRECEDENTS in escalation.context or not precedents:
        return decision
    shown = [_plain(each) for each in precedents]
    context = escalation.context | {PRECEDENTS: shown}
    told = escalation.model_copy(update={"context": context})
    return sealed(decision.model_copy(update={"escalation": told}))


def _precedents_told(case: Case, reason: Reason) -> dict[str, object]:
    """Those that the case showed already: new ones elsewhere change nothing of what was seen."""
    before = trace.own(case)
    told = before.escalation if before is not None else None
    if told is None or told.reason is not reason or PRECEDENTS not in told.context:
        return {}
    return {PRECEDENTS: told.context[PRECEDENTS]}


def remembering(case: Case, decision: ReturnDecisionMade) -> ReturnDecisionMade:
    """The first of two approvals is kept while the case that was looked at stays the same."""
    before = trace.own(case)
    new = decision.escalation
    if before is None or before.escalation is None or new is None:
        return decision
    first = before.escalation.context.get(FIRST_APPROVAL)
    if first is None or before.escalation.case.case_sha256 != new.case.case_sha256:
        return decision
    context = new.context | {FIRST_APPROVAL: first}
    return decision.model_copy(update={"escalation": new.model_copy(update={"context": context})})


def sealed(decision: ReturnDecisionMade) -> ReturnDecisionMade:
    """The decision with the hash over what is shown: the values, not when they were known."""
    escalation = decision.escalation
    assert escalation is not None
    case = escalation.case
    context = {key: value for key, value in escalation.context.items() if key != FIRST_APPROVAL}
    shown = {
        "reason": escalation.reason,
        "recommendation": escalation.recommendation,
        "recommended_amount": escalation.recommended_amount,
        "context": context,
        "choices": [_plain(choice) for choice in case.choices],
        "facts": [[fact.name, fact.value] for fact in case.facts],
        "history": case.history,
        "evidence": [_plain(each) for each in case.evidence],
        "lines": [_plain(line) for line in decision.lines],
        "refund": None if decision.refund is None else _plain(decision.refund),
        "currency": decision.currency,
        "settlement": _plain(decision.settlement),
        "release": None if decision.release is None else _plain(decision.release),
        "resolution": decision.resolution,
        "findings": [
            [each.code, each.effect, each.weight, each.explanation, each.rule_id]
            for each in decision.findings
            if each.code not in PASSING
        ],
        "confidence": decision.confidence,
        "fraud_probability": decision.fraud_probability,
        "legal_basis": decision.legal_basis,
        "refund_due": None if decision.refund_due is None else _text(decision.refund_due),
    }
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    case = case.model_copy(update={"case_sha256": digest})
    return decision.model_copy(update={"escalation": escalation.model_copy(update={"case": case})})


def _plain(part: Part) -> dict[str, object]:
    return part.model_dump(mode="json", exclude_none=True)


def _reasons(decision: ReturnDecisionMade, first: EscalationReason) -> set[EscalationReason]:
    """Every reason that was found: the reviewer gets the context of all of them."""
    found = {
        weights.KINDS[each.code].reason for each in decision.findings if each.code in weights.KINDS
    }
    return {first, *(reason for reason in found if reason is not None)}


_FIXED = {
    Reason.AMOUNT_OVER_LIMIT: Recommendation.APPROVE,
    Reason.SETTLEMENT_FAILED: Recommendation.APPROVE,
}


def _recommendation(
    case: Case, order: OrderSnapshot | None, reason: EscalationReason, basis: Basis
) -> Recommendation:
    if reason is Reason.OUTSIDE_WINDOW and order is not None:
        if _goodwill(case, order, basis.days_late):
            return Recommendation.APPROVE
        return Recommendation.VERIFY if basis.fault_may_be_owed else Recommendation.REJECT
    if reason is Reason.PAYMENT_NOT_REFUNDABLE:
        return Recommendation.APPROVE if basis.refundable else Recommendation.VERIFY
    return _FIXED.get(reason, Recommendation.VERIFY)


def _goodwill(case: Case, order: OrderSnapshot, days_late: int) -> bool:
    goodwill = case.policy.limits.goodwill
    worth = order.buyer.lifetime_value
    least = goodwill.lifetime_value_from.get(order.currency)
    if worth is None or least is None:
        return False
    return days_late <= goodwill.days_after_window and worth >= least


def customer_words(case: Case) -> str:
    """Everything the customer said: notes and evidence texts, joined by newlines."""
    notes = [line.note for line in case.request.lines]
    texts = [each.text for each in case.request.evidence]
    return "\n".join(text for text in (*notes, *texts) if text)


def _context(
    case: Case,
    order: OrderSnapshot | None,
    reasons: set[EscalationReason],
    basis: Basis,
) -> dict[str, object]:
    context: dict[str, object] = {"customer_words": customer_words(case)}
    if Reason.OUTSIDE_WINDOW in reasons:
        context["lifetime_value"] = order.buyer.lifetime_value if order is not None else None
        context["days_late"] = basis.days_late
    if Reason.FRAUD_SUSPECTED in reasons:
        context["pattern"] = list(basis.pattern) or ["no single signal stands out"]
        context["prior_returns"] = [
            each.model_dump(mode="json", exclude_none=True)
            for each in (case.history.returns if case.history is not None else ())
        ]
    if reasons & {Reason.PAYMENT_NOT_REFUNDABLE, Reason.SETTLEMENT_FAILED}:
        context["alternatives"] = [str(method) for method in money.alternatives(case)]
    if Reason.ORDER_NOT_FOUND in reasons:
        context["requested_at"] = _text(case.request.requested_at)
        claim = case.request.claim
        if claim is not None:
            context["claim"] = claim.model_dump(mode="json", exclude_none=True)
        else:
            context["claim"] = {"order_id": case.request.order_id}
        if case.request.order_id is not None:
            context["order_id"] = case.request.order_id
    if Reason.INVENTORY_CONTRADICTION in reasons:
        facts = case.returnability
        context["contradictions"] = [
            _plain(each) for each in (facts.contradictions if facts is not None else ())
        ]
    if Reason.CONFLICTING_EVIDENCE in reasons:
        context["claimed"] = claimed(case)
        context["inspected"] = inspected(case.inspection)
    return context


def claimed(case: Case) -> list[dict[str, object]]:
    return [
        {
            "line_id": line.line_id,
            "sku": line.sku,
            "quantity": line.quantity,
            "reason": str(line.reason),
            "condition": str(line.condition) if line.condition is not None else "opened",
        }
        for line in case.request.lines
    ]


def inspected(inspection: ReturnInspected | None) -> list[dict[str, object]]:
    if inspection is None:
        return []
    return [
        {
            "line_id": line.line_id,
            "sku": line.sku,
            "quantity": line.quantity,
            "grade": str(line.grade),
        }
        | ({} if line.defect_confirmed is None else {"defect_confirmed": line.defect_confirmed})
        | ({} if line.note is None else {"note": line.note})
        for line in inspection.lines
    ]
