"""The order of judgement: eight small steps, then the decision from what they found."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.decisions import (
    DecidedLine,
    DecidedReturn,
    LegalBasis,
    Outcome,
    RefundBreakdown,
    ReturnDecisionMade,
    Verdict,
)
from contracts.orders import OrderSnapshot
from contracts.requests import MERCHANT_FAULT, Reason
from services.commerce.judgement import (
    amount,
    assembly,
    cases,
    floor,
    goods,
    inplace,
    merchant,
    money,
    suspicion,
    trace,
)
from services.commerce.judgement.case import Case
from services.commerce.judgement.judged import Judged
from services.commerce.judgement.notes import Note, confidence, first_reason, note
from services.commerce.law.protection import protection_of
from services.commerce.policy import weights
from services.commerce.quote import calculation, tenders


def steps(case: Case, order: OrderSnapshot, reasons: Sequence[Reason] | None = None) -> Judged:
    """All steps over a known order. `reasons` replace the claimed ones, line by line of the request
    (after an inspection)."""
    earlier = calculation.earlier_of(trace.others(case), {each.return_id for each in case.replaced})
    law = protection_of(order, floor.judged_at(case), floor.delivered_by_line(case))
    asked = case.request.lines
    if reasons is not None:
        asked = tuple(
            line.model_copy(update={"reason": reason})
            for line, reason in zip(asked, reasons, strict=True)
        )
    found = trace.entries(order, asked, earlier)
    traced = tuple(trace.line_notes(found))
    found = floor.apply(case, order, found, law)
    found = merchant.apply(case, order, found, law)
    score = suspicion.score(case, order, found)
    standing = [entry for entry in found if entry.stands]
    computed = None
    method = merchant.method_of(case)
    refundable = money.capacities(case, order, earlier, method)
    total = 0
    if standing:
        frozen = suspicion.is_frozen_at(case, score.probability)
        frozen |= suspicion.is_high_risk(case, order)
        computed = amount.compute(case, order, standing, law, earlier, frozen=frozen)
        total = computed.calculation.refund.total
    gathered = [
        note("order_traced", f"order {order.order_number} is known", "trace.order"),
        *traced,
        *inplace.notes(case, found, earlier),
        *trace.size_notes(standing),
        *trace.owner_notes(case, order),
        *trace.fact_notes(case, order),
        *_merchant_decision(case),
        *floor.notes(case, found, law),
        *merchant.notes(case, order, found, law),
        *goods.notes(case, found, earlier),
        *money.notes(case, order, total, refundable),
        *suspicion.notes(case, order, found, score),
    ]
    if computed is not None:
        gathered += amount.notes(case, order, computed)
    gathered += [Note(each) for each in case.extra_findings]
    return Judged(
        order=order,
        entries=tuple(found),
        law=law,
        earlier=earlier,
        score=score,
        amount=computed,
        allocations=tenders.allocations(
            total, [payment.payment_id for payment in order.payments], refundable
        ),
        refundable=sum(refundable.values()),
        notes=tuple(gathered),
    )


def _merchant_decision(case: Case) -> list[Note]:
    """What the merchant said in the request is noted; it decides nothing."""
    said = case.request.merchant_decision
    if said is None:
        return []
    word = "approve" if said.approved else "decline"
    return [note("merchant_decision", f"{said.decided_by} would {word} it", "request.decision")]


def decide(case: Case, judged: Judged) -> ReturnDecisionMade:
    """The decision: rejected if every line is on the closed list, escalated if anything asks for
    a person, otherwise approved."""
    findings = [each.finding for each in judged.notes]
    reason = first_reason(findings)
    sure = confidence(findings)
    if all(entry.verdict is Verdict.REJECTED for entry in judged.entries):
        if judged.law.known:
            return assembly.rejected(case, judged, findings, sure)
        return _unknown_law(case, judged)
    if reason is None and sure < case.policy.limits.confidence_min:
        findings.append(
            note(
                "confidence_below_minimum",
                f"the confidence of {sure:.2f} is below {case.policy.limits.confidence_min:.2f}",
                "limits.confidence_min",
            ).finding
        )
        reason = weights.Reason.LOW_CONFIDENCE
    decision = assembly.assembled(case, judged, findings, sure, approved=reason is None)
    if reason is None:
        return decision
    return cases.escalated(case, judged.order, decision, reason, cases.basis_of(case, judged))


def _unknown_law(case: Case, judged: Judged) -> ReturnDecisionMade:
    """Where no row says what a buyer is owed nothing is refused by machine: a person looks."""
    asked = note(
        "rejection_needs_a_person",
        "the policy would reject it, but the law of the place is not known here",
        "law.unknown",
    )
    looked_at = tuple(entry._replace(verdict=Verdict.REVIEW) for entry in judged.entries)
    judged = judged._replace(entries=looked_at, notes=(*judged.notes, asked))
    findings = [each.finding for each in judged.notes]
    decision = assembly.assembled(case, judged, findings, confidence(findings), approved=False)
    reason = first_reason(findings) or weights.Reason.POLICY_GAP
    return cases.escalated(case, judged.order, decision, reason, cases.basis_of(case, judged))


def unknown_order(case: Case) -> ReturnDecisionMade:
    """No order: a person, with everything the customer said. Never rejected."""
    request = case.request
    score = suspicion.score(case, None, [])
    claimed = request.order_id or (request.claim.order_number if request.claim else None)
    found = note(
        "order_unknown",
        f"no order is known as {claimed}" if claimed else "the claim matches no order",
        "trace.order",
    ).finding
    findings = (found, *(each.finding for each in _merchant_decision(case)), *case.extra_findings)
    decision = assembly.base(
        case,
        outcome=Outcome.ESCALATED,
        lines=tuple(
            DecidedLine(sku=line.sku, quantity=line.quantity, verdict=Verdict.REVIEW)
            for line in request.lines
        ),
        currency=request.currency,
        refund=RefundBreakdown(),
        return_=DecidedReturn(required=False),
        basis=LegalBasis.LACK_OF_CONFORMITY
        if any(line.reason in MERCHANT_FAULT for line in request.lines)
        else LegalBasis.MERCHANT_POLICY,
        findings=findings,
        confidence=confidence(findings),
        probability=score.probability,
    )
    return cases.escalated(
        case, None, decision, weights.Reason.ORDER_NOT_FOUND, cases.NOTHING_KNOWN
    )
