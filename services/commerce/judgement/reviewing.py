"""What a person decided about a case: carried out within the law, or published again with why."""

from __future__ import annotations

from contracts.decisions import (
    DecidedBy,
    DecidedLine,
    DecidedLoyalty,
    DecidedReturn,
    DecidedSettlement,
    DeciderKind,
    Finding,
    LegalBasis,
    Outcome,
    RefundBreakdown,
    Release,
    ReturnDecisionMade,
    Verdict,
)
from contracts.money import Money, allocate
from contracts.orders import OrderSnapshot
from contracts.requests import CountedLine
from contracts.reviews import ReviewDecided, ReviewDecision
from services.commerce.judgement import amount, approval, cases, choices, parts
from services.commerce.judgement.case import Case, NotAllowed
from services.commerce.judgement.judged import Judged
from services.commerce.judgement.notes import confidence, finding
from services.commerce.policy import weights
from services.commerce.quote import tenders

INSPECTED_WORSE = frozenset({"grade_worse_than_declared", "wrong_item_returned", "item_missing"})
LOWERED_FIRST = (
    "restocking_fee",
    "return_shipping_fee",
    "loyalty_deduction",
    "diminished_value",
)
SECOND_NEEDED = "second_reviewer_needed"


def review(
    case: Case, standing: ReturnDecisionMade, decided: ReviewDecided, *, for_money: bool
) -> ReturnDecisionMade | NotAllowed:
    agreed = approval.for_money(case, standing, decided.settlement) if for_money else standing
    why_not = _refusal(case, agreed, decided)
    if why_not is not None:
        return _not_allowed(case, standing, "not_allowed", why_not)
    if decided.decision is ReviewDecision.REJECT:
        judged = None if case.order is None else approval.judged_as(case, case.order)
        kept = {} if judged is None else choices.stays(case, standing, judged)
        if judged is None or not kept:
            return _rejected(case, standing, decided)
        if not choices.is_everything(standing, kept):
            agreed = _without_the_refused(case, standing, judged, kept)
        agreed = _with_total(agreed, choices.left_by_refusing(case, standing, judged, kept))
    refund = _agreed_refund(agreed, decided)
    second = _second(case, standing, decided, refund.total)
    if second is not None:
        return second
    return _paid(case, agreed, decided, refund)


def _not_allowed(case: Case, standing: ReturnDecisionMade, code: str, why: str) -> NotAllowed:
    return NotAllowed(
        code=code, explanation=why, decision=approval.again(case, standing, code, why)
    )


def _refusal(case: Case, standing: ReturnDecisionMade, decided: ReviewDecided) -> str | None:
    """Why a review is not executed; None: it may be."""
    if standing.decision is not Outcome.ESCALATED:
        return "the return is not under review"
    if case.order is not None and _is_buyer(case.order, decided.reviewer):
        return "nobody reviews their own order"
    if decided.decision is ReviewDecision.REJECT:
        return _reject_refusal(case, standing)
    if decided.decision not in (ReviewDecision.APPROVE, ReviewDecision.ADJUST):
        return f"{decided.decision.replace('_', ' ')} decides nothing"
    if not parts.approved_units(standing):
        known = any(each.verdict is Verdict.REVIEW and each.line_id for each in standing.lines)
        return choices.IN_PARTS if known else "no line of an order is known; link the order first"
    total = standing.refund.total if standing.refund is not None else 0
    if decided.decision is ReviewDecision.APPROVE:
        if decided.amount is not None and decided.amount != total:
            return "an approval pays the amount that was shown; another one is an adjustment"
        return None
    return _adjust_refusal(case, standing, decided)


def _is_buyer(order: OrderSnapshot, reviewer: str) -> bool:
    return reviewer.casefold() in {
        order.buyer.customer_id.casefold(),
        order.buyer.email.casefold(),
    }


def _reject_refusal(case: Case, standing: ReturnDecisionMade) -> str | None:
    judged = None if case.order is None else approval.judged_as(case, case.order)
    return choices.reject_refusal(case, standing, judged)


def _adjust_refusal(case: Case, standing: ReturnDecisionMade, decided: ReviewDecided) -> str | None:
    wanted, refund = decided.amount, standing.refund
    if refund is None or standing.replacement is not None:
        return "there is no amount to adjust: goods are sent"
    currency = standing.currency or ""
    most = choices.total_before_deductions(standing)
    if wanted is None:
        return "an adjustment needs an amount"
    if wanted > most:
        return f"at most {Money(most, currency)} can be paid"
    if wanted < case.live_amount:
        return f"{Money(case.live_amount, currency)} are {choices.GONE}"
    if wanted < refund.total:
        return _deduction_refusal(case, standing)
    return None


def _deduction_refusal(case: Case, standing: ReturnDecisionMade) -> str | None:
    """Diminished value: after an inspection, and never without proof of the information."""
    if case.order is None:
        return None
    judged = approval.judged_as(case, case.order)
    if any(entry.conformity is not None for entry in judged.standing):
        return "faulty goods that are rejected in time bring the full price"
    if standing.legal_basis is not LegalBasis.STATUTORY_WITHDRAWAL:
        return None
    if not judged.law.informed:
        return "value is never deducted from a consumer who was not told of the withdrawal"
    if not any(each.code in INSPECTED_WORSE for each in standing.findings):
        return "value is deducted from a withdrawal only for what an inspection found"
    return None


def _rejected(
    case: Case, standing: ReturnDecisionMade, decided: ReviewDecided
) -> ReturnDecisionMade:
    findings = (*approval.answered(standing.findings, decided.reviewer), _reviewed(decided))
    sure = confidence(findings)
    return standing.model_copy(
        update={
            "sequence": approval.next_sequence(case, standing),
            "decision": Outcome.REJECTED,
            "lines": tuple(_nothing(line) for line in standing.lines),
            "refund": RefundBreakdown(),
            "replacement": None,
            "refund_on": None,
            "refund_due": None,
            "settlement": DecidedSettlement(method=standing.settlement.method),
            "return_": DecidedReturn(required=False),
            "release": None,
            "loyalty": DecidedLoyalty(),
            "findings": findings,
            "confidence": sure,
            "confidence_band": weights.band(sure),
            "escalation": None,
            "counterfactual": None,
            "decided_by": _human(decided),
            "decided_at": case.now,
        }
    )


def _without_the_refused(
    case: Case, standing: ReturnDecisionMade, judged: Judged, kept: parts.Units
) -> ReturnDecisionMade:
    """The case with only the units that no refusal reaches; the others are rejected."""
    running = parts.running(case, standing, judged, kept)
    refused = []
    for line in standing.lines:
        if line.verdict is Verdict.REJECTED or line.line_id is None:
            continue
        lost = len(set(line.units) - set(kept.get(line.line_id, ())))
        if lost:
            refused.append(_nothing(line.model_copy(update={"quantity": lost})))
    awaited = {each.line_id: each.quantity for each in standing.return_.outstanding}
    still = {
        line_id: len(set(sorted(units)[len(units) - awaited.get(line_id, 0) :]) & {*kept[line_id]})
        for line_id, units in parts.approved_units(standing).items()
        if line_id in kept
    }
    outstanding = tuple(
        CountedLine(line_id=line_id, quantity=quantity)
        for line_id, quantity in still.items()
        if quantity
    )
    return standing.model_copy(
        update={
            "lines": (*running.lines, *refused),
            "refund": running.refund,
            "loyalty": running.loyalty,
            "replacement": approval.fewer(standing, kept),
            "settlement": standing.settlement.model_copy(
                update={
                    "allocations": tenders.next_part(
                        running.refund.total, standing.settlement.allocations, ()
                    )
                }
            ),
            "return_": standing.return_.model_copy(update={"outstanding": outstanding}),
        }
    )


def _with_total(standing: ReturnDecisionMade, total: int) -> ReturnDecisionMade:
    """The case at `total`: what is below the calculation is booked as diminished value."""
    refund = standing.refund or RefundBreakdown()
    less = refund.diminished_value + refund.total - total
    lowered = refund.model_copy(update={"diminished_value": less, "total": total})
    return standing.model_copy(update={"refund": lowered})


def _nothing(line: DecidedLine) -> DecidedLine:
    return DecidedLine(
        line_id=line.line_id, sku=line.sku, quantity=line.quantity, verdict=Verdict.REJECTED
    )


def _human(decided: ReviewDecided) -> DecidedBy:
    return DecidedBy(kind=DeciderKind.HUMAN, id=decided.reviewer)


def _reviewed(decided: ReviewDecided) -> Finding:
    return finding(
        "reviewed", f"{decided.reviewer}: {decided.decision} - {decided.reason}", "review"
    )


def _agreed_refund(standing: ReturnDecisionMade, decided: ReviewDecided) -> RefundBreakdown:
    """The breakdown at the agreed total: below it diminished value, above it fewer deductions."""
    refund = standing.refund or RefundBreakdown()
    if decided.decision is not ReviewDecision.ADJUST or decided.amount is None:
        return refund
    rest = decided.amount - refund.total
    if rest <= 0:
        less = refund.diminished_value - rest
        return refund.model_copy(update={"diminished_value": less, "total": decided.amount})
    lowered: dict[str, int] = {"total": decided.amount}
    for name in LOWERED_FIRST:
        cut = min(getattr(refund, name), rest)
        lowered[name] = getattr(refund, name) - cut
        rest -= cut
    return refund.model_copy(update=lowered)


def _second(
    case: Case, standing: ReturnDecisionMade, decided: ReviewDecided, total: int
) -> NotAllowed | None:
    """Above the limit two different people approve the same amount; None: go on."""
    limit = case.policy.limits.four_eyes_above.get(standing.currency or "")
    if limit is None or total <= limit or standing.escalation is None:
        return None
    vote = {
        "reviewer": decided.reviewer,
        "amount": total,
        "settlement": decided.settlement.method.value if decided.settlement else None,
    }
    first = standing.escalation.context.get(cases.FIRST_APPROVAL)
    if isinstance(first, dict) and first.get("reviewer") != decided.reviewer:
        same = first | {"reviewer": None} == vote | {"reviewer": None}
        if same:
            return None
    why = f"{decided.reviewer} approves; above {Money(limit, standing.currency or '')} a second"
    refused = _not_allowed(case, standing, SECOND_NEEDED, f"{why} person has to")
    escalation = standing.escalation
    context = escalation.context | {cases.FIRST_APPROVAL: vote}
    remembered = refused.decision.model_copy(
        update={"escalation": escalation.model_copy(update={"context": context})}
    )
    return refused.model_copy(update={"decision": remembered})


def _paid(
    case: Case, standing: ReturnDecisionMade, decided: ReviewDecided, refund: RefundBreakdown
) -> ReturnDecisionMade:
    findings = (*approval.answered(standing.findings, decided.reviewer), _reviewed(decided))
    adjusted = standing.model_copy(
        update={"refund": refund, "lines": _lines(standing.lines, refund)}
    )
    method = standing.settlement.method
    if decided.settlement is not None:
        method = decided.settlement.method
    update: dict[str, object] = {
        "settlement": approval.settlement(case, _live_first(case, adjusted), method),
        "decided_by": _human(decided),
    }
    if case.order is not None:
        update |= _dates(case, adjusted, case.order)
    made = approval.approved(case, adjusted, findings=findings, update=update)
    return made.model_copy(update={"release": _short_release(case, made)})


def _live_first(case: Case, standing: ReturnDecisionMade) -> ReturnDecisionMade:
    """The allocations of a total that is lower than they are: what is live stays where it is."""
    total = standing.refund.total if standing.refund is not None else 0
    before = standing.settlement.allocations
    if case.live is None or sum(each.amount for each in before) < total:
        return standing
    live = {each.payment_id: min(case.live.get(each.payment_id, 0), each.amount) for each in before}
    kept = dict(live)
    rest = total - sum(live.values())
    for each in before:
        more = max(min(each.amount - live[each.payment_id], rest), 0)
        kept[each.payment_id] += more
        rest -= more
    allocations = tuple(
        each.model_copy(update={"amount": kept[each.payment_id]})
        for each in before
        if kept[each.payment_id]
    )
    settlement = standing.settlement.model_copy(update={"allocations": allocations})
    return standing.model_copy(update={"settlement": settlement})


def _dates(case: Case, standing: ReturnDecisionMade, order: OrderSnapshot) -> dict[str, object]:
    """What an approval sets running: the date to send by, the statutory clock, the basis."""
    judged = approval.judged_as(case, order)
    standing_entries = judged.standing
    found: dict[str, object] = {}
    late = any(entry.days_late for entry in standing_entries)
    if standing.legal_basis is LegalBasis.MERCHANT_POLICY and late:
        found["legal_basis"] = LegalBasis.GOODWILL
    if judged.amount is None:
        return found
    back = standing.return_
    if back.required and back.send_by is None and case.inspection is None:
        send_by = amount.send_by(case, standing_entries, judged.amount.whole, judged.law)
        found["return_"] = back.model_copy(update={"send_by": send_by})
    if standing.replacement is None:
        found["refund_due"] = amount.refund_due(
            case,
            order,
            standing_entries,
            judged.law,
            goes_back=back.required,
            approved=True,
        )
    return found


def _lines(lines: tuple[DecidedLine, ...], refund: RefundBreakdown) -> tuple[DecidedLine, ...]:
    """The lines with their share of the restocking fee that is left."""
    fees = [line.restocking_fee for line in lines]
    if sum(fees) == refund.restocking_fee or not fees:
        return lines
    return tuple(
        line.model_copy(update={"restocking_fee": fee, "refund": line.items + line.tax - fee})
        for line, fee in zip(lines, allocate(refund.restocking_fee, fees), strict=True)
    )


def _short_release(case: Case, made: ReturnDecisionMade) -> Release | None:
    """After a short receipt a person's approval too pays only what is there."""
    outstanding = {each.line_id: each.quantity for each in made.return_.outstanding}
    if not outstanding or case.order is None or case.inspection is None:
        return None
    here = {
        line_id: tuple(sorted(units)[: len(units) - outstanding.get(line_id, 0)])
        for line_id, units in parts.approved_units(made).items()
    }
    return approval.release(case, made, here, ()).release
