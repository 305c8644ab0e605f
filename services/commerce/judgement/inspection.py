"""The decision after an inspection: as promised, or a person looks before money moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.decisions import (
    Finding,
    Outcome,
    Release,
    ReturnDecisionMade,
    Verdict,
)
from contracts.fulfillment import InspectedLine, ReturnInspected
from contracts.orders import OrderSnapshot
from contracts.requests import Condition, CountedLine, Reason
from contracts.warehouse import Grade
from services.commerce.judgement import (
    assembly,
    cases,
    deciding,
    parts,
    serials,
    suspicion,
    trace,
)
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.judged import Judged
from services.commerce.judgement.notes import Note, confidence, first_reason, note
from services.commerce.policy import weights

WORSE = {Condition.UNOPENED: 0, Condition.OPENED: 1, Condition.WORN: 2, Condition.DAMAGED: 3}
GRADES = {Grade.AS_NEW: 0, Grade.OPENED: 1, Grade.WORN: 2, Grade.DAMAGED: 3}
RULE = "inspection"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What the inspection found, in findings, and how many units of each line were counted."""

    notes: tuple[Note, ...]
    inspected: dict[str, int]
    disputed: tuple[InspectedLine, ...]
    """Those about which a person is asked."""

    @property
    def suspected(self) -> frozenset[int]:
        """Positions of lines that are frozen for their risk."""
        frozen = [each for each in self.notes if each.finding.code == "risk_frozen"]
        return frozenset(position for each in frozen for position in each.lines)

    @property
    def in_doubt(self) -> bool:
        """Whether a person is asked about the whole return."""
        return any(each.asks_a_person and not each.lines for each in self.notes)


def decide(case: Case, order: OrderSnapshot, inspection: ReturnInspected) -> ReturnDecisionMade:
    """The next sequence: approved with what may be paid, or escalated with what conflicts.

    A standing approval of this return stays what it is; only what the inspection found is judged.
    """
    first = deciding.steps(case, order)
    withdrawn = _withdrawn(first, inspection)
    judged = _as_withdrawal(case, order, first, withdrawn)
    standing = trace.own(case)
    if standing is None or standing.decision is not Outcome.APPROVED:
        base = deciding.decide(case, judged)
    else:
        base = _carried_on(case, judged, standing, anew=bool(withdrawn))
    if base.decision is Outcome.REJECTED:
        return base
    return _after(case, judged, base, _found(case, judged, base, inspection, withdrawn))


def judged(case: Case, order: OrderSnapshot, inspection: ReturnInspected) -> Judged:
    """The steps over a case whose goods have been inspected."""
    first = deciding.steps(case, order)
    return _as_withdrawal(case, order, first, _withdrawn(first, inspection))


def _withdrawn(judged: Judged, inspection: ReturnInspected) -> frozenset[str]:
    """Lines whose defect was not confirmed, but which a withdrawal in its period pays anyway."""
    unconfirmed = _unconfirmed(inspection)
    return frozenset(
        entry.bought.line_id
        for entry in judged.standing
        if entry.bought is not None
        and entry.bought.line_id in unconfirmed
        and entry.fault
        and entry.right is not None
    )


def _as_withdrawal(
    case: Case, order: OrderSnapshot, judged: Judged, withdrawn: frozenset[str]
) -> Judged:
    if not withdrawn:
        return judged
    return deciding.steps(case, order, _reasons(case, judged, withdrawn))


def _unconfirmed(inspection: ReturnInspected) -> frozenset[str]:
    return frozenset(line.line_id for line in inspection.lines if line.defect_confirmed is False)


def _reasons(case: Case, judged: Judged, withdrawn: frozenset[str]) -> tuple[Reason, ...]:
    """The claimed reasons, but a defect that was not there counts as a change of mind."""
    changed = {
        id(entry.asked)
        for entry in judged.entries
        if entry.bought is not None and entry.bought.line_id in withdrawn
    }
    return tuple(
        Reason.CHANGED_MIND if id(line) in changed else line.reason for line in case.request.lines
    )


def _carried_on(
    case: Case, judged: Judged, standing: ReturnDecisionMade, *, anew: bool
) -> ReturnDecisionMade:
    """The standing approval as the next sequence: what it rests on is not asked again.

    `anew`: its amounts are those of the withdrawal that it turned out to be.
    """
    update: dict[str, object] = {
        "sequence": max(assembly.sequence_of(case), standing.sequence + 1),
        "decided_by": standing.decided_by,
        "policy": standing.policy,
    }
    if anew:
        fresh = assembly.assembled(
            case, judged, list(standing.findings), standing.confidence, approved=True
        )
        return fresh.model_copy(update=update)
    update |= {
        "facts": assembly.facts_used(case),
        "refund_due": assembly.due(case, judged, approved=True),
        "decided_at": case.now,
        "counterfactual": None,
    }
    return standing.model_copy(update=update)


def _found(
    case: Case,
    judged: Judged,
    base: ReturnDecisionMade,
    inspection: ReturnInspected,
    withdrawn: frozenset[str],
) -> Found:
    approved = parts.approved_units(base)
    by_line = {
        entry.bought.line_id: (position, entry)
        for position, entry in reversed(list(enumerate(judged.entries)))
        if entry.bought is not None and entry.stands
    }
    inspected: dict[str, int] = {}
    notes: list[Note] = []
    disputed: list[InspectedLine] = []
    for line in inspection.lines:
        inspected[line.line_id] = inspected.get(line.line_id, 0) + line.quantity
        known = by_line.get(line.line_id)
        if known is None or line.line_id not in approved:
            notes.append(_unexpected(f"{line.quantity} of {line.sku} that nobody announced"))
            continue
        position, entry = known
        graded = tuple(_graded(line, entry, position))
        notes += graded
        if any(each.asks_a_person for each in graded):
            disputed.append(line)
        if line.line_id in withdrawn:
            notes.append(
                note(
                    "withdrawal_pays_anyway",
                    "the defect was not confirmed; a withdrawal in its period pays anyway",
                    RULE,
                    line=position,
                )
            )
    for line_id, quantity in inspected.items():
        expected = len(approved.get(line_id, ()))
        if line_id in approved and quantity > expected:
            notes.append(_unexpected(f"{quantity} of line {line_id}, {expected} were approved"))
    notes += _suspicious(case, judged, base)
    if not any(each.asks_a_person for each in notes):
        notes.append(note("inspected_as_promised", "the goods are as promised", RULE))
    return Found(notes=tuple(notes), inspected=inspected, disputed=tuple(disputed))


def _suspicious(case: Case, judged: Judged, base: ReturnDecisionMade) -> list[Note]:
    """What the parcel tells of the risk, as far as the approval did not know of it."""
    if base.decision is not Outcome.APPROVED:
        return []
    known = {(each.code, each.rule_id) for each in base.findings}
    told = suspicion.after_receipt(case, judged.order, list(judged.entries), judged.score)
    return [each for each in told if (each.finding.code, each.finding.rule_id) not in known]


def _unexpected(what: str) -> Note:
    return note("unexpected_goods", f"the warehouse found {what}", RULE)


def _graded(line: InspectedLine, entry: Entry, position: int) -> Iterator[Note]:
    if entry.bought is not None and serials.others(entry.bought, line):
        numbers = ", ".join(serials.others(entry.bought, line))
        yield note(
            "serial_not_sold", f"{numbers} was not sold with this order", RULE, line=position
        )
    if line.grade is Grade.WRONG_ITEM:
        said = f"{line.quantity} of {line.sku} are another thing"
        yield note("wrong_item_returned", said, RULE, line=position)
    elif line.grade is Grade.MISSING:
        said = f"{line.quantity} of {line.sku} were not in the parcel"
        yield note("item_missing", said, RULE, line=position)
    elif line.grade is Grade.UNKNOWN:
        yield note("grade_unknown", "the grade is not known here", RULE, line=position)
    elif not entry.fault and GRADES[line.grade] > WORSE.get(entry.condition, 1):
        yield note(
            "grade_worse_than_declared",
            f"{line.sku} was declared {entry.condition} and is {line.grade}".replace("_", " "),
            RULE,
            line=position,
        )
    if entry.fault and entry.withdrawal is None and line.defect_confirmed is False:
        yield note(
            "defect_not_confirmed",
            f"{entry.reason.replace('_', ' ')} was claimed, the inspection found no such thing",
            RULE,
            line=position,
        )


def _after(
    case: Case, judged: Judged, base: ReturnDecisionMade, found: Found
) -> ReturnDecisionMade:
    findings = (*base.findings, *(each.finding for each in found.notes))
    sure = confidence(findings)
    here, missing = _counted(case, base, found)
    decision = base.model_copy(
        update={
            "findings": findings,
            "fraud_probability": judged.score.probability,
            "confidence": sure,
            "confidence_band": weights.band(sure),
            "refund_on": None,
            "release": None,
            "escalation": None,
            "decision": Outcome.APPROVED,
            "return_": base.return_.model_copy(update={"outstanding": missing}),
        }
    )
    reason = _reason(base, found, findings)
    if reason is not None:
        asked = _under_review(decision, judged, found)
        if base.decision is Outcome.APPROVED and case.policy.limits.release_undisputed:
            asked = _with_the_undisputed(case, judged, asked, found, here)
        return cases.escalated(case, judged.order, asked, reason, cases.basis_of(case, judged))
    if not missing and not case.released:
        return decision
    return decision.model_copy(update={"release": _release(case, judged, decision, here)})


def _with_the_undisputed(
    case: Case,
    judged: Judged,
    decision: ReturnDecisionMade,
    found: Found,
    here: dict[str, tuple[int, ...]],
) -> ReturnDecisionMade:
    """The case, with what may be paid now although a person looks at the rest."""
    if found.in_doubt:
        return decision
    left = {line_id: set(ordinals) for line_id, ordinals in here.items()}
    for position in found.suspected:
        entry = judged.entries[position]
        if entry.bought is not None:
            left.pop(entry.bought.line_id, None)
    for line in found.disputed:
        mine = left.get(line.line_id, set())
        # Which ones they are is not always told: then the lowest ordinals are paid first.
        mine -= set(line.units or sorted(mine)[-line.quantity :])
    undisputed = {line_id: tuple(sorted(ordinals)) for line_id, ordinals in left.items()}
    release = _release(case, judged, decision, undisputed)
    if release is None or not release.lines:
        return decision
    return decision.model_copy(update={"release": release})


def _reason(
    base: ReturnDecisionMade, found: Found, findings: tuple[Finding, ...]
) -> weights.Reason | None:
    if base.decision is Outcome.ESCALATED:
        return first_reason(findings) or (
            base.escalation.reason if base.escalation is not None else None
        )
    return first_reason(each.finding for each in found.notes)


def _counted(
    case: Case, base: ReturnDecisionMade, found: Found
) -> tuple[dict[str, tuple[int, ...]], tuple[CountedLine, ...]]:
    """The units that were inspected, lowest ordinals first, and how many are not there yet."""
    here: dict[str, tuple[int, ...]] = {}
    missing: list[CountedLine] = []
    for line_id, approved in parts.approved_units(base).items():
        inspected = found.inspected.get(line_id, 0)
        here[line_id] = tuple(sorted(approved)[:inspected])
        counted = max(inspected, case.counted.get(line_id, 0))
        if counted < len(approved):
            missing.append(CountedLine(line_id=line_id, quantity=len(approved) - counted))
    return here, tuple(missing)


def _release(
    case: Case,
    judged: Judged,
    decision: ReturnDecisionMade,
    here: dict[str, tuple[int, ...]],
) -> Release | None:
    """What may be paid now; None where that is everything."""
    new = {
        line_id: tuple(unit for unit in ordinals if unit not in case.released.get(line_id, ()))
        for line_id, ordinals in here.items()
    }
    before = parts.running(case, decision, judged, case.released)
    until = parts.running(
        case,
        decision,
        judged,
        {line_id: (*case.released.get(line_id, ()), *new[line_id]) for line_id in new},
    )
    first = parts.part_of(decision, before, (), case.released)
    return parts.part_of(decision, until, (first,), new).release


def _under_review(decision: ReturnDecisionMade, judged: Judged, found: Found) -> ReturnDecisionMade:
    """Lines with a conflict are for review; the others stay approved."""
    positions = {line for each in found.notes if each.asks_a_person for line in each.lines}
    in_doubt = {
        entry.bought.line_id
        for position, entry in enumerate(judged.entries)
        if entry.bought is not None and position in positions
    }
    everything = found.in_doubt
    lines = tuple(
        line.model_copy(update={"verdict": Verdict.REVIEW})
        if line.verdict is Verdict.APPROVED and (everything or line.line_id in in_doubt)
        else line
        for line in decision.lines
    )
    return decision.model_copy(update={"decision": Outcome.ESCALATED, "lines": lines})
