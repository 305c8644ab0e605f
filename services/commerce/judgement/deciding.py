"""The order of judgement: eight small steps, then the decision from what they found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from contracts.base import Instant
from contracts.decisions import (
    DecidedBy,
    DecidedLine,
    DecidedLoyalty,
    DecidedReplacement,
    DecidedReturn,
    DecidedSettlement,
    DeciderKind,
    FactsUsed,
    Finding,
    LawReference,
    LegalBasis,
    Outcome,
    PolicyReference,
    RefundBreakdown,
    ReturnDecisionMade,
    Verdict,
)
from contracts.orders import OrderSnapshot
from contracts.requests import MERCHANT_FAULT, Reason
from services.commerce.judgement import (
    amount,
    cases,
    floor,
    goods,
    merchant,
    money,
    suspicion,
    trace,
)
from services.commerce.judgement.amount import Amount
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.judged import Judged
from services.commerce.judgement.notes import Note, confidence, first_reason, note
from services.commerce.law.protection import protection_of
from services.commerce.law.rows import LAW_VERSION
from services.commerce.policy import weights
from services.commerce.quote import calculation, tenders
from services.commerce.risk.scorecard import SCORECARD_VERSION

AGENT = DecidedBy(kind=DeciderKind.AGENT, id="commerce")


def steps(case: Case, order: OrderSnapshot, reasons: Sequence[Reason] | None = None) -> Judged:
    """All steps over a known order. `reasons` replace the claimed ones, line by line of the request
    (after an inspection)."""
    earlier = calculation.earlier_of(trace.others(case))
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
        computed = amount.compute(case, order, standing, law, earlier, frozen=frozen)
        total = computed.calculation.refund.total
    gathered = [
        note("order_traced", f"order {order.order_number} is known", "trace.order"),
        *traced,
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
        return _rejected(case, judged, findings, sure)
    if reason is None and sure < case.policy.limits.confidence_min:
        findings.append(
            note(
                "confidence_below_minimum",
                f"the confidence of {sure:.2f} is below {case.policy.limits.confidence_min:.2f}",
                "limits.confidence_min",
            ).finding
        )
        reason = weights.Reason.LOW_CONFIDENCE
    decision = assembled(case, judged, findings, sure, approved=reason is None)
    if reason is None:
        return decision
    return cases.escalated(case, judged.order, decision, reason, cases.basis_of(case, judged))


def sequence_of(case: Case) -> int:
    if case.sequence is not None:
        return case.sequence
    before = trace.own(case)
    return 1 if before is None else before.sequence + 1


def _rejected(
    case: Case, judged: Judged, findings: list[Finding], sure: float
) -> ReturnDecisionMade:
    fault = any(entry.fault for entry in judged.entries)
    return _decision(
        case,
        judged,
        findings,
        sure,
        outcome=Outcome.REJECTED,
        lines=tuple(_line(entry, calculation.NOTHING) for entry in judged.entries),
        refund=RefundBreakdown(),
        return_=DecidedReturn(required=False),
        basis=LegalBasis.LACK_OF_CONFORMITY if fault else LegalBasis.MERCHANT_POLICY,
    )


def assembled(
    case: Case, judged: Judged, findings: list[Finding], sure: float, *, approved: bool
) -> ReturnDecisionMade:
    """An approved or escalated decision with the amounts that were calculated."""
    computed = judged.amount
    marked = _marked(judged, approved=approved)
    outcome = Outcome.APPROVED if approved else Outcome.ESCALATED
    if computed is None:
        return _decision(
            case,
            judged,
            findings,
            sure,
            outcome=outcome,
            lines=tuple(_line(entry, calculation.NOTHING) for entry in marked),
            refund=RefundBreakdown(),
            return_=DecidedReturn(required=False),
            basis=LegalBasis.MERCHANT_POLICY,
        )
    standing = judged.standing
    decision = _decision(
        case,
        judged,
        findings,
        sure,
        outcome=outcome,
        lines=_lines(marked, computed),
        refund=computed.calculation.refund,
        return_=_way_back(case, judged, computed, approved=approved),
        basis=_basis(standing),
    )
    in_goods = case.request.resolution in merchant.IN_GOODS
    return decision.model_copy(
        update={
            "refund_on": None if in_goods else computed.refund_on,
            "replacement": _replacement(case, judged, computed) if in_goods else None,
            "settlement": DecidedSettlement(
                method=merchant.method_of(case), allocations=judged.allocations
            ),
            "loyalty": computed.calculation.loyalty,
            "refund_due": None
            if in_goods
            else amount.refund_due(
                case,
                judged.order,
                standing,
                judged.law,
                goes_back=computed.goes_back,
                approved=approved,
            ),
        }
    )


def _marked(judged: Judged, *, approved: bool) -> list[Entry]:
    """The lines with their verdicts: what asks for a person about the whole asks about each."""
    if approved:
        return list(judged.entries)
    asking = [each for each in judged.notes if each.asks_a_person]
    lines = {each.line for each in asking}
    everything = None in lines or not asking
    return [
        replace(entry, verdict=Verdict.REVIEW)
        if entry.verdict is Verdict.APPROVED and (everything or position in lines)
        else entry
        for position, entry in enumerate(judged.entries)
    ]


def _lines(marked: Sequence[Entry], computed: Amount) -> tuple[DecidedLine, ...]:
    amounts = iter(computed.calculation.lines)
    return tuple(
        _line(entry, next(amounts) if entry.stands else calculation.NOTHING) for entry in marked
    )


def _line(entry: Entry, amounts: calculation.LineAmount) -> DecidedLine:
    return DecidedLine(
        line_id=entry.bought.line_id if entry.bought is not None else None,
        sku=entry.asked.sku,
        quantity=entry.quantity,
        units=() if entry.verdict is Verdict.REJECTED else entry.units,
        verdict=entry.verdict,
        items=amounts.items,
        tax=amounts.tax,
        restocking_fee=amounts.fee,
        refund=amounts.refund,
    )


def _way_back(case: Case, judged: Judged, computed: Amount, *, approved: bool) -> DecidedReturn:
    if not computed.goes_back:
        return DecidedReturn(required=False)
    facts = case.returnability
    address = facts.return_address if facts is not None else None
    places = case.policy.return_addresses
    if address is None:
        address = places.get(judged.law.place.country) or places.get("default")
    send_by: Instant | None = None
    if approved:
        send_by = amount.send_by(case, judged.standing, computed.whole, judged.law)
    return DecidedReturn(
        required=True,
        address=address,
        label_provided=facts is not None and facts.label.provided,
        send_by=send_by,
    )


def _replacement(case: Case, judged: Judged, computed: Amount) -> DecidedReplacement:
    standing = judged.standing
    sku = merchant.replacement_sku(case, standing)
    offer = case.returnability.replacement if case.returnability is not None else None
    return DecidedReplacement(
        sku=sku,
        quantity=sum(entry.quantity for entry in standing),
        unit_price=merchant.replacement_price(case, judged.order, standing),
        ship_on=amount.SHIP_ON[computed.refund_on],
        ship_by=offer.ship_by if offer is not None and offer.sku == sku else None,
    )


def _basis(standing: Sequence[Entry]) -> LegalBasis:
    if any(entry.withdrawal is not None for entry in standing):
        return LegalBasis.STATUTORY_WITHDRAWAL
    if any(entry.fault for entry in standing):
        return LegalBasis.LACK_OF_CONFORMITY
    return LegalBasis.MERCHANT_POLICY


def _decision(
    case: Case,
    judged: Judged,
    findings: list[Finding],
    sure: float,
    *,
    outcome: Outcome,
    lines: tuple[DecidedLine, ...],
    refund: RefundBreakdown,
    return_: DecidedReturn,
    basis: LegalBasis,
) -> ReturnDecisionMade:
    return base(
        case,
        outcome=outcome,
        lines=lines,
        currency=judged.order.currency,
        refund=refund,
        return_=return_,
        basis=basis,
        findings=tuple(findings),
        confidence=sure,
        probability=judged.score.probability,
    )


def base(
    case: Case,
    *,
    outcome: Outcome,
    lines: tuple[DecidedLine, ...],
    currency: str | None,
    refund: RefundBreakdown,
    return_: DecidedReturn,
    basis: LegalBasis,
    findings: tuple[Finding, ...],
    confidence: float,
    probability: float,
) -> ReturnDecisionMade:
    """A decision with everything that does not depend on its outcome filled in."""
    order = case.order
    return ReturnDecisionMade(
        return_id=case.request.return_id,
        order_id=order.order_id if order is not None else case.request.order_id,
        sequence=sequence_of(case),
        decision=outcome,
        resolution=case.request.resolution,
        lines=lines,
        currency=currency,
        refund=refund,
        settlement=DecidedSettlement(method=merchant.method_of(case)),
        return_=return_,
        loyalty=DecidedLoyalty(),
        confidence=confidence,
        confidence_band=weights.band(confidence),
        fraud_probability=probability,
        findings=findings,
        policy=PolicyReference(id=case.policy.policy, version=case.policy.version),
        law=LawReference(version=LAW_VERSION),
        legal_basis=basis,
        facts=FactsUsed(
            order_version=order.version if order is not None else None,
            fulfillment_as_of=case.returnability.as_of if case.returnability else None,
            payment_as_of=case.refundability.as_of if case.refundability else None,
            inputs_sha256=inputs_sha256(case),
        ),
        decided_by=AGENT,
        test=case.request.channel.test,
        decided_at=case.now,
    )


def inputs_sha256(case: Case) -> str:
    """Over all that was looked at: the same inputs give the same hash, and the same decision."""
    digest = hashlib.sha256()
    digest.update(f"{LAW_VERSION} {SCORECARD_VERSION} {case.policy.fingerprint}\n".encode())
    parts = (
        case.order,
        case.request,
        case.returnability,
        case.refundability,
        case.history,
        case.inspection,
        *case.earlier,
    )
    for part in parts:
        digest.update(b"-" if part is None else part.model_dump_json().encode())
        digest.update(b"\n")
    digest.update(
        f"{case.now.isoformat()} {case.sequence} {case.timed_out} {sorted(case.released.items())}"
        f" {sorted(case.counted.items())}"
        f" {case.linked} {case.sent_at} {case.received_at} {case.extra_findings}".encode()
    )
    return digest.hexdigest()


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
    decision = base(
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
