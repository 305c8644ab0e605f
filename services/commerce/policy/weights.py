"""The one table of findings: what each means for the decision, how much it weighs, who is asked.

Confidence = 1 - the sum of the weights of findings that oppose or require review. A finding that
requires review weighs more than 0.1 and at most 0.4, so that alone it gives a medium confidence;
it escalates by itself, with its reason. Adding a finding never raises the confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.decisions import Band, Effect, EscalationReason

Reason = EscalationReason
WEIGHT_MAX = 0.4
HIGH_FROM = 0.9
MEDIUM_FROM = 0.6
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """`step` of the order of judgement; `reason` only where a person has to look."""

    step: int
    effect: Effect
    weight: float = 0.0
    reason: EscalationReason | None = None


def _supports(step: int) -> Kind:
    return Kind(step, Effect.SUPPORTS)


def _opposes(step: int, weight: float = 0.0) -> Kind:
    return Kind(step, Effect.OPPOSES, weight)


def _blocks(step: int) -> Kind:
    return Kind(step, Effect.BLOCKS)


def _person(step: int, weight: float, reason: EscalationReason) -> Kind:
    return Kind(step, Effect.REQUIRES_REVIEW, weight, reason)


KINDS: dict[str, Kind] = {
    # 1 trace
    "order_traced": _supports(1),
    "order_unknown": _person(1, 0.4, Reason.ORDER_NOT_FOUND),
    "line_unknown": _person(1, 0.4, Reason.ORDER_NOT_FOUND),
    "already_returned": _blocks(1),
    "replacement_returned": _supports(1),
    "replaced_goods_unseen": _person(4, 0.3, Reason.INVENTORY_CONTRADICTION),
    "requester_verified": _supports(1),
    "requester_unverified": _person(1, 0.3, Reason.LOW_CONFIDENCE),
    "requester_is_another": _person(1, 0.4, Reason.LOW_CONFIDENCE),
    "order_contradicts_itself": _person(1, 0.35, Reason.LOW_CONFIDENCE),
    "currency_unknown": _person(1, 0.35, Reason.LOW_CONFIDENCE),
    "currency_differs": _person(1, 0.3, Reason.LOW_CONFIDENCE),
    "merchant_decision": _supports(1),
    # 2 legal floor
    "statutory_withdrawal": _supports(2),
    "lack_of_conformity": _supports(2),
    "withdrawal_excluded": _opposes(2),
    "withdrawal_period_over": _opposes(2),
    "law_overrules_policy": _supports(2),
    "law_unknown": _opposes(2),
    # 3 merchant policy
    "rule_fired": _supports(3),
    "rule_not_fired": _supports(3),
    "inside_window": _supports(3),
    "outside_window": _person(3, 0.3, Reason.OUTSIDE_WINDOW),
    "not_returnable": _blocks(3),
    "not_returnable_but_owed": _person(3, 0.3, Reason.POLICY_GAP),
    "condition_not_accepted": _person(3, 0.25, Reason.POLICY_GAP),
    "resolution_not_offered": _person(3, 0.2, Reason.POLICY_GAP),
    "replacement_without_price": _person(3, 0.2, Reason.POLICY_GAP),
    "rejection_needs_a_person": _person(3, 0.3, Reason.POLICY_GAP),
    "too_many_units": _person(3, 0.3, Reason.POLICY_GAP),
    "settlement_by_a_person": _person(3, 0.2, Reason.POLICY_GAP),
    # 4 goods
    "goods_agree": _supports(4),
    "goods_contradict": _person(4, 0.3, Reason.INVENTORY_CONTRADICTION),
    "goods_not_returnable": _person(4, 0.3, Reason.INVENTORY_CONTRADICTION),
    "goods_already_back": _person(4, 0.3, Reason.INVENTORY_CONTRADICTION),
    "replacement_unavailable": _opposes(4, 0.1),
    "inspected_as_promised": _supports(4),
    "withdrawal_pays_anyway": _supports(4),
    "grade_worse_than_declared": _person(4, 0.25, Reason.CONFLICTING_EVIDENCE),
    "wrong_item_returned": _person(4, 0.35, Reason.CONFLICTING_EVIDENCE),
    "serial_not_sold": _person(4, 0.35, Reason.CONFLICTING_EVIDENCE),
    "item_missing": _person(4, 0.35, Reason.CONFLICTING_EVIDENCE),
    "defect_not_confirmed": _person(4, 0.3, Reason.CONFLICTING_EVIDENCE),
    "unexpected_goods": _person(4, 0.3, Reason.CONFLICTING_EVIDENCE),
    "grade_unknown": _person(4, 0.3, Reason.CONFLICTING_EVIDENCE),
    "returnability_missing": _person(4, 0.3, Reason.ASSESSMENT_TIMEOUT),
    # 5 money
    "payments_can_refund": _supports(5),
    "dispute_open": _person(5, 0.4, Reason.PAYMENT_NOT_REFUNDABLE),
    "payments_insufficient": _person(5, 0.3, Reason.PAYMENT_NOT_REFUNDABLE),
    "payments_contradict": _person(5, 0.35, Reason.PAYMENT_NOT_REFUNDABLE),
    "refundability_missing": _person(5, 0.3, Reason.ASSESSMENT_TIMEOUT),
    # 6 risk
    "risk_signal": _supports(6),
    "risk_frozen": _person(6, 0.4, Reason.FRAUD_SUSPECTED),
    "risk_flagged": _opposes(6, 0.1),
    "risk_elevated": _opposes(6, 0.05),
    "high_risk_country": _person(6, 0.25, Reason.HIGH_RISK_JURISDICTION),
    # 7 amount
    "amount_calculated": _supports(7),
    "amount_over_limit": _person(7, 0.15, Reason.AMOUNT_OVER_LIMIT),
    "requested_amount_differs": _opposes(7, 0.05),
    "quote_differs": _opposes(7),
    # 8 confidence
    "confidence_below_minimum": _opposes(8),
    # after a decision
    "settlement_failed": _person(9, 0.3, Reason.SETTLEMENT_FAILED),
    "payment_not_refundable": _person(9, 0.3, Reason.PAYMENT_NOT_REFUNDABLE),
    "inventory_contradiction": _person(9, 0.3, Reason.INVENTORY_CONTRADICTION),
    "conflicting_evidence": _person(9, 0.3, Reason.CONFLICTING_EVIDENCE),
    "policy_gap": _person(9, 0.2, Reason.POLICY_GAP),
    "quarantined_message": _person(9, 0.3, Reason.QUARANTINED_MESSAGE),
    "assessment_timeout": _person(9, 0.3, Reason.ASSESSMENT_TIMEOUT),
    "fraud_suspected": _person(9, 0.4, Reason.FRAUD_SUSPECTED),
    "high_risk_jurisdiction": _person(9, 0.25, Reason.HIGH_RISK_JURISDICTION),
    "order_not_found": _person(9, 0.4, Reason.ORDER_NOT_FOUND),
    "low_confidence": _person(9, 0.3, Reason.LOW_CONFIDENCE),
    "stale_review": _opposes(9),
    "not_allowed": _opposes(9),
    "second_reviewer_needed": _opposes(9),
    "reviewed": _supports(9),
    "settlement_chosen": _supports(9),
    "units_never_sent": _supports(9),
}

REASONS_BY_STEP: dict[int, tuple[EscalationReason, ...]] = {
    1: (Reason.ORDER_NOT_FOUND, Reason.LOW_CONFIDENCE),
    3: (Reason.OUTSIDE_WINDOW, Reason.POLICY_GAP),
    4: (Reason.INVENTORY_CONTRADICTION, Reason.CONFLICTING_EVIDENCE, Reason.ASSESSMENT_TIMEOUT),
    5: (Reason.PAYMENT_NOT_REFUNDABLE, Reason.ASSESSMENT_TIMEOUT),
    6: (Reason.FRAUD_SUSPECTED, Reason.HIGH_RISK_JURISDICTION),
    7: (Reason.AMOUNT_OVER_LIMIT,),
    8: (Reason.LOW_CONFIDENCE,),
}


def rank(code: str) -> tuple[int, int]:
    """Where the reason of a finding comes in the order of judgement: the lowest one is named."""
    kind = KINDS[code]
    assert kind.reason is not None
    order = REASONS_BY_STEP.get(kind.step, (kind.reason,))
    return kind.step, order.index(kind.reason)


def band(confidence: float) -> Band:
    if confidence >= HIGH_FROM:
        return Band.HIGH
    return Band.MEDIUM if confidence >= MEDIUM_FROM else Band.LOW


def confidence(weights: list[float]) -> float:
    """1 - the weights of what opposes or requires review, clamped to 0..1, four decimals."""
    return round(min(max(1.0 - sum(weights), 0.0), 1.0), DECIMALS)


for _code, _kind in KINDS.items():
    if _kind.effect is Effect.REQUIRES_REVIEW:
        assert 0.1 < _kind.weight <= WEIGHT_MAX and _kind.reason is not None, _code
        assert _kind.step == 9 or _kind.reason in REASONS_BY_STEP[_kind.step], _code
    else:
        assert _kind.weight <= 0.1 and _kind.reason is None, _code
