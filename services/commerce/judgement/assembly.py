"""Puts a decision together from what the steps found: lines, amounts, the way back, the hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from pydantic import TypeAdapter

from contracts.base import Instant
from contracts.decisions import (
    Allocation,
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
    RefundBreakdown,
    RefundOn,
    ReturnDecisionMade,
    Verdict,
)
from services.commerce.judgement import (
    amount,
    merchant,
    trace,
)
from services.commerce.judgement.amount import Amount
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.judged import Judged
from services.commerce.law.rows import LAW_VERSION
from services.commerce.policy import weights
from services.commerce.quote import calculation
from services.commerce.quote.loyalty import NO_POINTS
from services.commerce.risk.scorecard import SCORECARD_VERSION

LAW = LawReference(version=LAW_VERSION)
RULES = f"{LAW_VERSION} {SCORECARD_VERSION}"
CASES = TypeAdapter(Case)
BESIDE_THE_POLICY = {"policy"}
"""The policy has a fingerprint of its own, made once."""
AGENT = DecidedBy(kind=DeciderKind.AGENT, id="commerce")


def sequence_of(case: Case) -> int:
    if case.sequence is not None:
        return case.sequence
    before = trace.own(case)
    return 1 if before is None else before.sequence + 1


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
    in_goods = case.request.resolution in merchant.IN_GOODS
    too_many = judged.too_many
    return _decision(
        case,
        judged,
        findings,
        sure,
        outcome=outcome,
        lines=_lines(marked, computed, named=not too_many),
        refund=computed.calculation.refund,
        return_=_way_back(case, judged, computed, approved=approved),
        basis=_basis(standing),
        allocations=judged.allocations,
        loyalty=computed.calculation.loyalty,
        refund_on=None if in_goods else computed.refund_on,
        replacement=_replacement(case, judged, computed) if in_goods and not too_many else None,
        refund_due=due(case, judged, approved=approved),
    )


def due(case: Case, judged: Judged, *, approved: bool) -> datetime | None:
    """The statutory date of the refund; None where none is due, or no clock runs yet."""
    if judged.amount is None or case.request.resolution in merchant.IN_GOODS:
        return None
    return amount.refund_due(
        case,
        judged.order,
        judged.standing,
        judged.law,
        goes_back=judged.amount.goes_back,
        approved=approved,
    )


def _marked(judged: Judged, *, approved: bool) -> list[Entry]:
    """The lines with their verdicts: what asks for a person about the whole asks about each."""
    if approved:
        return list(judged.entries)
    asking = [each for each in judged.notes if each.asks_a_person]
    lines = {line for each in asking for line in each.lines}
    everything = not asking or any(not each.lines for each in asking)
    return [
        entry._replace(verdict=Verdict.REVIEW)
        if entry.verdict is Verdict.APPROVED and (everything or position in lines)
        else entry
        for position, entry in enumerate(judged.entries)
    ]


def _lines(marked: Sequence[Entry], computed: Amount, *, named: bool) -> tuple[DecidedLine, ...]:
    """`named`: with their units, one by one."""
    amounts = iter(computed.calculation.lines)
    return tuple(
        _line(entry, next(amounts) if entry.stands else calculation.NOTHING, named=named)
        for entry in marked
    )


def _line(entry: Entry, amounts: calculation.LineAmount, *, named: bool = True) -> DecidedLine:
    return DecidedLine.of_checked(
        line_id=entry.bought.line_id if entry.bought is not None else None,
        sku=entry.asked.sku,
        quantity=entry.quantity,
        units=tuple(entry.units) if named and entry.verdict is not Verdict.REJECTED else (),
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
    return DecidedReturn.of_checked(
        required=True,
        address=address,
        label_provided=facts is not None and facts.label.provided,
        send_by=send_by,
        outstanding=(),
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
    **more: Unpack[Calculated],
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
        **more,
    )


class Calculated(TypedDict, total=False):
    """What only a decision that pays or sends something has."""

    allocations: tuple[Allocation, ...]
    loyalty: DecidedLoyalty
    refund_on: RefundOn | None
    replacement: DecidedReplacement | None
    refund_due: datetime | None


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
    allocations: tuple[Allocation, ...] = (),
    loyalty: DecidedLoyalty = NO_POINTS,
    refund_on: RefundOn | None = None,
    replacement: DecidedReplacement | None = None,
    refund_due: datetime | None = None,
) -> ReturnDecisionMade:
    """A decision with everything that does not depend on its outcome filled in."""
    order = case.order
    return ReturnDecisionMade.of_checked(
        return_id=case.request.return_id,
        order_id=order.order_id if order is not None else case.request.order_id,
        sequence=sequence_of(case),
        decision=outcome,
        resolution=case.request.resolution,
        replacement=replacement,
        refund_on=refund_on,
        lines=lines,
        currency=currency,
        refund=refund,
        settlement=DecidedSettlement.of_checked(
            method=merchant.method_of(case), allocations=allocations
        ),
        return_=return_,
        release=None,
        loyalty=loyalty,
        refund_due=refund_due,
        confidence=confidence,
        confidence_band=weights.band(confidence),
        fraud_probability=probability,
        findings=findings,
        counterfactual=None,
        escalation=None,
        policy=case.policy.reference,
        law=LAW,
        legal_basis=basis,
        facts=facts_used(case),
        decided_by=AGENT,
        test=case.request.channel.test,
        decided_at=case.now,
    )


def facts_used(case: Case) -> FactsUsed:
    """How old the facts are, and the hash over all of them."""
    return FactsUsed.of_checked(
        order_version=case.order.version if case.order is not None else None,
        fulfillment_as_of=case.returnability.as_of if case.returnability else None,
        payment_as_of=case.refundability.as_of if case.refundability else None,
        inputs_sha256=inputs_sha256(case),
    )


def inputs_sha256(case: Case) -> str:
    """Over all that was looked at: the same inputs give the same hash, and the same decision."""
    hashed = hashlib.sha256(f"{RULES} {case.policy.fingerprint}\n".encode())
    hashed.update(
        CASES.dump_json(case, exclude=BESIDE_THE_POLICY, exclude_none=True, warnings=False)
    )
    return hashed.hexdigest()


def rejected(
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
