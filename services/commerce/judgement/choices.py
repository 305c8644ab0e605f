"""What a person may decide about a case, and what each choice would cause: amount, date, law."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.decisions import (
    EscalationReason,
    LegalBasis,
    ReturnDecisionMade,
    ReviewChoice,
)
from contracts.money import Money
from services.commerce.judgement import parts
from services.commerce.judgement.case import Case
from services.commerce.judgement.judged import Judged

LINK = ReviewChoice(
    decision="link_order", effect="the return is judged anew against the order that is linked"
)
ASK = ReviewChoice(decision="request_evidence", effect="the customer is asked and has 7 days")
REFUSE = ReviewChoice(decision="reject", effect="nothing is refunded, the return ends")
IN_PARTS = "it has more units than one return carries; have it asked for in parts"
CONFIRM_ONLY = "a withdrawal in its period can only be confirmed"
GONE = "paid or on their way already"
PAID = "money has been released; only a reversal takes it back"


def of(
    case: Case,
    decision: ReturnDecisionMade,
    reason: EscalationReason,
    judged: Judged | None,
    *,
    value_may_be_deducted: bool,
) -> tuple[ReviewChoice, ...]:
    """The choices of a case, in the order in which they are offered."""
    if reason is EscalationReason.ORDER_NOT_FOUND and case.order is None:
        return LINK, ASK, REFUSE
    return tuple(_of_order(case, decision, judged, value_may_be_deducted=value_may_be_deducted))


def _of_order(
    case: Case, decision: ReturnDecisionMade, judged: Judged | None, *, value_may_be_deducted: bool
) -> Iterator[ReviewChoice]:
    refund = decision.refund
    total = refund.total if refund is not None else 0
    if judged is not None and judged.too_many:
        yield ReviewChoice(decision="reject", effect=_rejecting(case, decision, judged))
        yield ASK
        return
    approve = f"{Money(total, decision.currency or '')} are refunded{_of_it(case, decision)}"
    approve += _by_law(decision)
    if decision.replacement is not None:
        approve = f"{decision.replacement.quantity} of {decision.replacement.sku} are sent"
    yield ReviewChoice(decision="approve", effect=approve)
    yield ReviewChoice(decision="reject", effect=_rejecting(case, decision, judged))
    if refund is not None and decision.replacement is None:
        effect = _adjusting(case, decision, value_may_be_deducted=value_may_be_deducted)
        yield ReviewChoice(decision="adjust", effect=effect)
    yield ASK


def _of_it(case: Case, decision: ReturnDecisionMade) -> str:
    """How much of the amount has gone out before, where not all that was released has."""
    if case.live is None or not case.live_amount:
        return ""
    return f", {Money(case.live_amount, decision.currency or '')} of it are {GONE}"


def _by_law(decision: ReturnDecisionMade) -> str:
    """On what it rests, and until when it has to be paid."""
    if decision.refund_due is None:
        return ""
    due = decision.refund_due.isoformat().replace("+00:00", "Z")
    return f", by law due by {due} ({decision.legal_basis.replace('_', ' ')})"


def stays(case: Case, standing: ReturnDecisionMade, judged: Judged) -> dict[str, tuple[int, ...]]:
    """The units that no refusal reaches: withdrawn in their period, or paid already."""
    found: dict[str, tuple[int, ...]] = {}
    paid = {} if case.taken_back else case.released
    for line_id, ordinals in parts.approved_units(standing).items():
        beyond = judged.withdrawn.get(line_id, set()) | set(paid.get(line_id, ()))
        if ordinals & beyond:
            found[line_id] = tuple(sorted(ordinals & beyond))
    return found


def left_by_refusing(
    case: Case, standing: ReturnDecisionMade, judged: Judged, kept: dict[str, tuple[int, ...]]
) -> int:
    """Minor units that a refusal leaves of the `kept` units.

    A part of what was released for them may have failed or been taken back, as after a lost
    dispute: that part is refused too, unless it is of units that are withdrawn in their period.
    """
    left = parts.running(case, standing, judged, kept).refund.total
    if case.live is None or case.taken_back:
        return left
    withdrawn = {
        line_id: tuple(sorted(set(ordinals) & judged.withdrawn.get(line_id, set())))
        for line_id, ordinals in case.released.items()
    }
    released, owed = (
        parts.running(case, standing, judged, units).refund.total
        for units in (case.released, withdrawn)
    )
    return left - max(released - max(case.live_amount, owed), 0)


def is_everything(standing: ReturnDecisionMade, units: dict[str, tuple[int, ...]]) -> bool:
    return {line: set(each) for line, each in units.items()} == {
        line: each for line, each in parts.approved_units(standing).items() if each
    }


def reject_refusal(case: Case, standing: ReturnDecisionMade, judged: Judged | None) -> str | None:
    """Why nothing of a case can be rejected; None: all of it can, or a part."""
    if judged is not None and judged.too_many:
        withdrawn = any(entry.withdrawal is not None for entry in judged.standing)
        return f"{CONFIRM_ONLY}: {IN_PARTS}" if withdrawn else None
    kept = {} if judged is None else stays(case, standing, judged)
    paid = case.released_amount and not case.taken_back
    if not kept:
        return PAID if paid else None
    if not is_everything(standing, kept) or judged is None:
        return None
    total = standing.refund.total if standing.refund is not None else 0
    if left_by_refusing(case, standing, judged, kept) < total:
        return None
    return PAID if paid and case.live_amount >= total else CONFIRM_ONLY


def _rejecting(case: Case, decision: ReturnDecisionMade, judged: Judged | None) -> str:
    refusal = reject_refusal(case, decision, judged)
    if refusal is not None:
        return f"not allowed: {refusal}"
    kept = {} if judged is None else stays(case, decision, judged)
    if not kept or judged is None:
        return REFUSE.effect
    left = left_by_refusing(case, decision, judged, kept)
    total, currency = decision.refund.total if decision.refund else 0, decision.currency or ""
    why = "for what is withdrawn or paid already"
    if left == case.live_amount:
        why = "because they are paid or on their way"
    if left >= total:
        return f"{Money(left, currency)} stand {why}, the rest is refused"
    return f"{Money(left, currency)} stand {why}, {Money(total - left, currency)} are refused"


def _adjusting(case: Case, decision: ReturnDecisionMade, *, value_may_be_deducted: bool) -> str:
    refund = decision.refund
    assert refund is not None
    currency = decision.currency or ""
    most = total_before_deductions(decision)
    if decision.legal_basis is LegalBasis.STATUTORY_WITHDRAWAL and not value_may_be_deducted:
        least = refund.total
        why = (
            "; less is not allowed: the consumer was not told of the withdrawal, or is not at fault"
        )
    else:
        least = case.live_amount
        why = "; what is below the calculation is booked as diminished value, tax stays"
    return f"between {Money(least, currency)} and {Money(most, currency)}{why}"


def total_before_deductions(decision: ReturnDecisionMade) -> int:
    """The most that an adjustment may pay, in minor units."""
    refund = decision.refund
    if refund is None:
        return 0
    return (
        refund.total
        + refund.restocking_fee
        + refund.return_shipping_fee
        + refund.diminished_value
        + refund.loyalty_deduction
    )
