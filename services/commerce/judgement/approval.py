"""After a decision: what may be paid now, and the next sequences of an approval that stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.decisions import (
    DecidedLine,
    DecidedLoyalty,
    DecidedSettlement,
    Effect,
    EscalationReason,
    Finding,
    Legs,
    Outcome,
    RefundBreakdown,
    Release,
    ReturnDecisionMade,
    Verdict,
)
from contracts.orders import OrderSnapshot
from contracts.requests import (
    CountedLine,
    Method,
    RequestedSettlement,
    Resolution,
)
from contracts.reviews import ReviewedSettlement
from services.commerce.judgement import assembly, cases, deciding, inspection, money, parts, trace
from services.commerce.judgement.case import Case, Released
from services.commerce.judgement.judged import Judged
from services.commerce.judgement.notes import confidence, finding
from services.commerce.policy import weights
from services.commerce.quote import calculation, tenders

NOTHING_RELEASED = Released(
    release=Release(lines=(), amount=0), refund=RefundBreakdown(), allocations=(), legs=Legs()
)


def next_sequence(case: Case, standing: ReturnDecisionMade) -> int:
    return max(assembly.sequence_of(case), standing.sequence + 1)


def judged_as(case: Case, order: OrderSnapshot) -> Judged:
    """The steps over the case, on the terms that its decisions are made on."""
    if case.inspection is None:
        return deciding.steps(case, order)
    return inspection.judged(case, order, case.inspection)


def release(
    case: Case,
    standing: ReturnDecisionMade,
    units: Mapping[str, Sequence[int]],
    already: Sequence[Released],
) -> Released:
    if case.order is None:
        return NOTHING_RELEASED
    judged = judged_as(case, case.order)
    approved = parts.approved_units(standing)
    before: dict[str, set[int]] = {}
    for part in already:
        for line in part.release.lines:
            before.setdefault(line.line_id, set()).update(line.units)
    new = {
        line_id: tuple(
            sorted((set(ordinals) & approved.get(line_id, set())) - before.get(line_id, set()))
        )
        for line_id, ordinals in units.items()
    }
    together = {
        line_id: tuple(sorted(before.get(line_id, set()) | set(new.get(line_id, ()))))
        for line_id in {*before, *new}
    }
    until = parts.running(case, standing, judged, together)
    return parts.part_of(standing, until, already, new)


def escalate(
    case: Case,
    standing: ReturnDecisionMade,
    reason: EscalationReason,
    *,
    context: Mapping[str, object] | None,
    findings: Sequence[Finding],
) -> ReturnDecisionMade:
    asked = finding(reason.value, _WHY[reason], "process")
    together = _once((*standing.findings, *findings, asked))
    sure = confidence(together)
    decision = standing.model_copy(
        update={
            "sequence": next_sequence(case, standing),
            "decision": Outcome.ESCALATED,
            "lines": tuple(_under_review(line) for line in standing.lines),
            "findings": together,
            "confidence": sure,
            "confidence_band": weights.band(sure),
            "release": _still_undisputed(case, standing, reason),
            "escalation": None,
            "counterfactual": None,
            "decided_by": assembly.AGENT,
            "decided_at": case.now,
        }
    )
    basis = cases.NOTHING_KNOWN
    if case.order is not None:
        basis = cases.basis_of(case, deciding.steps(case, case.order))
        if reason is not EscalationReason.PAYMENT_NOT_REFUNDABLE:
            basis = cases.keeping_its_reservation(basis, decision)
    return cases.escalated(case, case.order, decision, reason, basis, context=context)


def _still_undisputed(
    case: Case, standing: ReturnDecisionMade, reason: EscalationReason
) -> Release | None:
    """What the case as it stood paid all the same, unless it was paid or money is the trouble."""
    release = standing.release
    about_money = reason in (
        EscalationReason.PAYMENT_NOT_REFUNDABLE,
        EscalationReason.SETTLEMENT_FAILED,
    )
    if release is None or standing.decision is not Outcome.ESCALATED or about_money:
        return None
    waiting = [
        line
        for line in release.lines
        if not set(line.units) <= set(case.released.get(line.line_id, ()))
    ]
    return release if waiting else None


_WHY = {
    EscalationReason.ORDER_NOT_FOUND: "no order is known for this return",
    EscalationReason.OUTSIDE_WINDOW: "the window has ended",
    EscalationReason.FRAUD_SUSPECTED: "the pattern looks like abuse",
    EscalationReason.CONFLICTING_EVIDENCE: "what arrived is not what was announced",
    EscalationReason.INVENTORY_CONTRADICTION: "the goods are not where they should be",
    EscalationReason.PAYMENT_NOT_REFUNDABLE: "the payments cannot give the money back now",
    EscalationReason.SETTLEMENT_FAILED: "the refund failed at the processor",
    EscalationReason.HIGH_RISK_JURISDICTION: "a person looks at returns from this country",
    EscalationReason.AMOUNT_OVER_LIMIT: "the amount is over the limit",
    EscalationReason.ASSESSMENT_TIMEOUT: "an answer did not come in time",
    EscalationReason.LOW_CONFIDENCE: "the case is not clear enough",
    EscalationReason.QUARANTINED_MESSAGE: "a message about this return could not be read",
    EscalationReason.POLICY_GAP: "the policy does not say what to do here",
    EscalationReason.UNKNOWN: "a person has to look",
}


def _once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each finding once: a case that is published again does not weigh heavier."""
    found: dict[tuple[str, str, str], Finding] = {}
    for each in findings:
        found.setdefault((each.code, each.rule_id, each.explanation), each)
    return tuple(found.values())


def _under_review(line: DecidedLine) -> DecidedLine:
    if line.verdict is not Verdict.APPROVED:
        return line
    return line.model_copy(update={"verdict": Verdict.REVIEW})


def again(
    case: Case, standing: ReturnDecisionMade, code: str, explanation: str
) -> ReturnDecisionMade:
    """The case published again with a finding about the reviewing; its hash stays."""
    note = finding(code, explanation, "review")
    kept = tuple(each for each in standing.findings if each.code not in cases.PASSING)
    return standing.model_copy(
        update={
            "sequence": next_sequence(case, standing),
            "findings": (*kept, note),
            "decided_at": case.now,
        }
    )


def answered(findings: Sequence[Finding], by: str) -> tuple[Finding, ...]:
    """Findings of a case that a person has decided: they no longer ask anybody."""
    return tuple(
        each
        if each.effect is not Effect.REQUIRES_REVIEW
        else each.model_copy(
            update={
                "effect": Effect.OPPOSES,
                "weight": 0.0,
                "explanation": f"{each.explanation} (answered by {by})",
            }
        )
        for each in findings
        if each.code not in cases.PASSING
    )


def approved(
    case: Case,
    standing: ReturnDecisionMade,
    *,
    findings: Sequence[Finding],
    update: Mapping[str, object],
) -> ReturnDecisionMade:
    """The next sequence, approved: what was for review is approved, nothing is asked any more."""
    sure = confidence(findings)
    return standing.model_copy(
        update={
            "sequence": next_sequence(case, standing),
            "decision": Outcome.APPROVED,
            "lines": tuple(_settled(line) for line in standing.lines),
            "findings": tuple(findings),
            "confidence": sure,
            "confidence_band": weights.band(sure),
            "escalation": None,
            "counterfactual": None,
            "decided_at": case.now,
            **update,
        }
    )


def _settled(line: DecidedLine) -> DecidedLine:
    """What was for review is approved; a line that the order does not have cannot be."""
    if line.verdict is not Verdict.REVIEW:
        return line
    verdict = Verdict.REJECTED if line.line_id is None else Verdict.APPROVED
    return line.model_copy(update={"verdict": verdict})


def settlement(case: Case, standing: ReturnDecisionMade, method: Method) -> DecidedSettlement:
    """The allocations that stand, or new ones where they do not cover the total."""
    total = standing.refund.total if standing.refund is not None else 0
    kept = standing.settlement.allocations
    if case.order is None or sum(each.amount for each in kept) == total:
        return DecidedSettlement(method=method, allocations=kept)
    earlier = calculation.earlier_of(trace.others(case))
    refundable = money.capacities(case, case.order, earlier, method)
    return DecidedSettlement(
        method=method,
        allocations=tenders.allocations(
            total, [payment.payment_id for payment in case.order.payments], refundable
        ),
    )


def settle_by(
    case: Case, standing: ReturnDecisionMade, method: Method, reference: str | None
) -> ReturnDecisionMade:
    said = f"to be settled by {method.replace('_', ' ')}"
    if reference is not None:
        said += f", paid under reference {reference}"
    chosen = finding("settlement_chosen", said, "settlement")
    findings = (*answered(standing.findings, "the choice of another method"), chosen)
    if standing.replacement is not None and case.order is not None:
        standing = _in_money(case, standing, case.order, method)
    return approved(
        case,
        standing,
        findings=findings,
        update={"settlement": settlement(case, standing, method)},
    )


def _in_money(
    case: Case, standing: ReturnDecisionMade, order: OrderSnapshot, method: Method
) -> ReturnDecisionMade:
    """The same units for money: the replacement failed, and the customer chose."""
    wanted = Resolution.STORE_CREDIT if method is Method.STORE_CREDIT else Resolution.REFUND
    request = case.request.model_copy(
        update={"resolution": wanted, "settlement": RequestedSettlement(method=method)}
    )
    paid = case.model_copy(update={"request": request})
    fresh = assembly.assembled(
        paid,
        judged_as(paid, order),
        list(standing.findings),
        standing.confidence,
        approved=True,
    )
    return fresh.model_copy(
        update={
            "sequence": standing.sequence,
            "decided_by": standing.decided_by,
            "return_": standing.return_,
            "refund_on": None if case.inspection is not None else fresh.refund_on,
        }
    )


def for_money(
    case: Case, standing: ReturnDecisionMade, chosen: ReviewedSettlement | None
) -> ReturnDecisionMade:
    """An escalated case about goods as one about money, to be paid as a person chose."""
    if case.order is None or chosen is None:
        return standing
    return _in_money(case, standing, case.order, chosen.method).model_copy(
        update={"decision": standing.decision, "escalation": standing.escalation}
    )


def without(
    case: Case, standing: ReturnDecisionMade, units: Mapping[str, Sequence[int]]
) -> ReturnDecisionMade:
    if case.order is None:
        return standing
    judged = judged_as(case, case.order)
    left = {
        line_id: tuple(sorted(ordinals - set(units.get(line_id, ()))))
        for line_id, ordinals in parts.approved_units(standing).items()
    }
    running = parts.running(case, standing, judged, left)
    gone = sum(len(ordinals) for ordinals in units.values())
    noted = finding("units_never_sent", f"{gone} units never came", "process")
    outstanding = tuple(
        CountedLine(line_id=each.line_id, quantity=each.quantity - lost)
        for each in standing.return_.outstanding
        if (lost := len(units.get(each.line_id, ()))) < each.quantity
    )
    total = running.refund.total
    return approved(
        case,
        standing,
        findings=(*answered(standing.findings, "the approval"), noted),
        update={
            "lines": running.lines,
            "refund": running.refund,
            "loyalty": running.loyalty if standing.replacement is None else DecidedLoyalty(),
            "replacement": fewer(standing, left),
            "settlement": DecidedSettlement(
                method=standing.settlement.method,
                allocations=tenders.next_part(total, standing.settlement.allocations, ()),
            ),
            "return_": standing.return_.model_copy(update={"outstanding": outstanding}),
            "release": None,
        },
    )


def fewer(standing: ReturnDecisionMade, left: Mapping[str, Sequence[int]]) -> object:
    if standing.replacement is None:
        return None
    count = sum(len(ordinals) for ordinals in left.values())
    if not count:
        return None
    return standing.replacement.model_copy(update={"quantity": count})
