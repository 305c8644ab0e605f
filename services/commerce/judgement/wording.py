"""Sentences for people, made from the decision itself, so that they cannot say anything else."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.decisions import (
    Effect,
    EscalationReason,
    LegalBasis,
    Outcome,
    RefundOn,
    ReturnDecisionMade,
    ShipOn,
    Verdict,
)
from contracts.money import Money
from contracts.requests import Method

SENTENCE_LENGTH_MAX = 500
FINDINGS_TOLD_MAX = 12

_WHEN = {
    RefundOn.APPROVAL: "right away",
    RefundOn.PROOF_OF_SENDING: "as soon as the parcel is on its way",
    RefundOn.RECEIPT: "once the goods have arrived",
    RefundOn.INSPECTION: "once the goods have arrived and been checked",
}
_SHIPS = {
    ShipOn.APPROVAL: "right away",
    ShipOn.PROOF_OF_SENDING: "as soon as your parcel is on its way",
    ShipOn.RECEIPT: "once your parcel has arrived",
}
_TO = {
    Method.ORIGINAL_PAYMENT_METHOD: "to the payment method you used",
    Method.STORE_CREDIT: "as store credit",
    Method.BANK_TRANSFER: "by bank transfer",
    Method.NEW_METHOD: "by the method that we agree with you",
}
_LOOKED_AT = {
    EscalationReason.ORDER_NOT_FOUND: "we could not find the order yet",
    EscalationReason.OUTSIDE_WINDOW: "the return window has ended",
    EscalationReason.CONFLICTING_EVIDENCE: "what arrived differs from what was announced",
    EscalationReason.INVENTORY_CONTRADICTION: "our records of the goods have to be checked",
    EscalationReason.PAYMENT_NOT_REFUNDABLE: (
        "the payment cannot be refunded the usual way at the moment"
    ),
    EscalationReason.SETTLEMENT_FAILED: "the refund did not go through",
    EscalationReason.AMOUNT_OVER_LIMIT: "returns of this size are confirmed by a person",
    EscalationReason.ASSESSMENT_TIMEOUT: "an answer that we need is late",
    EscalationReason.QUARANTINED_MESSAGE: "a message about this return could not be read",
    EscalationReason.POLICY_GAP: "a person has to arrange it",
}
_BASES = {
    LegalBasis.STATUTORY_WITHDRAWAL: "the statutory right of withdrawal",
    LegalBasis.LACK_OF_CONFORMITY: "a fault that the merchant answers for",
    LegalBasis.MERCHANT_POLICY: "the merchant's policy",
    LegalBasis.GOODWILL: "goodwill",
}


def customer_sentence(decision: ReturnDecisionMade) -> str:
    if decision.decision is Outcome.APPROVED:
        sentence = _approved(decision)
    elif decision.decision is Outcome.REJECTED:
        sentence = f"We cannot take this back: {_why_rejected(decision)}."
    else:
        sentence = _escalated(decision)
    return sentence[:SENTENCE_LENGTH_MAX]


def _money(decision: ReturnDecisionMade, amount: int) -> str:
    return str(Money(amount, decision.currency or ""))


def _approved(decision: ReturnDecisionMade) -> str:
    back = decision.return_
    sending = ""
    if back.required and back.send_by is not None:
        sending = f"; please send it by {_day(back.send_by)}"
    elif not back.required and decision.release is None:
        sending = "; you can keep the item"
    if decision.replacement is not None:
        ships = _SHIPS.get(decision.replacement.ship_on, "soon")
        return f"Your return is approved: we send the replacement {ships}{sending}."
    if decision.release is not None:
        paid = _money(decision, decision.release.amount)
        return f"{paid} are refunded now for what has arrived; the rest is still awaited."
    total = _money(decision, decision.refund.total if decision.refund is not None else 0)
    to = _TO.get(decision.settlement.method, "")
    if decision.refund_on is None:
        return f"Your return is accepted: {total} are refunded {to}."
    when = _WHEN.get(decision.refund_on, "soon")
    return f"Your return is approved: {total} are refunded {to} {when}{sending}."


def _day(end: datetime) -> str:
    """The day whose end this is where the buyer is: from Honolulu to Auckland the day of ten hours
    before."""
    return (end - timedelta(hours=10)).date().isoformat()


def _why_rejected(decision: ReturnDecisionMade) -> str:
    for finding in decision.findings:
        if finding.effect is Effect.BLOCKS:
            return finding.explanation
    return "a person has decided so"


def _escalated(decision: ReturnDecisionMade) -> str:
    reason = decision.escalation.reason if decision.escalation is not None else None
    why = _LOOKED_AT.get(reason) if reason is not None else None
    because = f", because {why}" if why else ""
    return f"A person looks at your return{because}; you will hear from us."


def reviewer_paragraph(decision: ReturnDecisionMade) -> str:
    refund = decision.refund
    total = _money(decision, refund.total if refund is not None else 0)
    said = [f"{decision.decision.capitalize()} (sequence {decision.sequence})"]
    escalation = decision.escalation
    if escalation is not None:
        said[0] += f" for {escalation.reason.replace('_', ' ')}"
        said.append(
            f"Recommended: {escalation.recommendation},"
            f" {_money(decision, escalation.recommended_amount or 0)}"
        )
    said.append(f"Calculated refund {total}{_breakdown(decision)}")
    said.append(
        f"It rests on {_BASES.get(decision.legal_basis, decision.legal_basis)}"
        f" (policy {decision.policy.id} {decision.policy.version}, law {decision.law.version})"
    )
    if decision.refund_due is not None:
        said.append(f"By law due by {decision.refund_due.isoformat()}")
    said.append(
        f"Confidence {decision.confidence:.2f} ({decision.confidence_band}),"
        f" probability of abuse {decision.fraud_probability:.2f}"
    )
    against = [
        f"{each.explanation} [{each.rule_id}]"
        for each in decision.findings
        if each.effect is not Effect.SUPPORTS
    ][:FINDINGS_TOLD_MAX]
    if against:
        said.append(f"Against it: {'; '.join(against)}")
    rejected = [line for line in decision.lines if line.verdict is Verdict.REJECTED]
    if rejected and decision.decision is not Outcome.REJECTED:
        said.append(f"{sum(line.quantity for line in rejected)} units are rejected")
    if decision.counterfactual is not None:
        said.append(decision.counterfactual.rstrip("."))
    return ". ".join(said) + "."


def _breakdown(decision: ReturnDecisionMade) -> str:
    refund = decision.refund
    if refund is None:
        return ""
    given = [("items", refund.items), ("tax", refund.tax), ("shipping", refund.shipping)]
    taken = [
        ("restocking fee", refund.restocking_fee),
        ("return shipping", refund.return_shipping_fee),
        ("diminished value", refund.diminished_value),
        ("loyalty", refund.loyalty_deduction),
    ]
    shown = [f"{name} {_money(decision, amount)}" for name, amount in given if amount]
    shown += [f"less {name} {_money(decision, amount)}" for name, amount in taken if amount]
    return f" ({', '.join(shown)})" if shown else ""
