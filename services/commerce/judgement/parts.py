"""Parts of an approval: what some of its units are worth, so that all parts sum to it exactly.

A part is the difference of two running amounts: with and without its units. Shipping is judged on
the units that are there; the part that completes the approval takes all that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.decisions import (
    DecidedLine,
    DecidedLoyalty,
    Legs,
    LineUnits,
    RefundBreakdown,
    Release,
    ReturnDecisionMade,
    TaxLeg,
    Verdict,
)
from contracts.money import round_half_up
from contracts.orders import OrderSnapshot
from services.commerce.judgement.case import Case, Released
from services.commerce.judgement.judged import Judged
from services.commerce.quote import calculation, tenders
from services.commerce.quote.calculation import Asked

GIVEN = ("items", "tax", "shipping")
DEDUCTED = ("restocking_fee", "return_shipping_fee", "diminished_value", "loyalty_deduction")
Units = Mapping[str, Sequence[int]]
NOTHING = RefundBreakdown()


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What a set of units of the approval is worth together."""

    refund: RefundBreakdown
    loyalty: DecidedLoyalty
    tax: tuple[TaxLeg, ...]
    lines: tuple[DecidedLine, ...]


def approved_units(standing: ReturnDecisionMade) -> dict[str, set[int]]:
    """line_id -> ordinals that the decision gives money (or goods) for."""
    found: dict[str, set[int]] = {}
    for line in standing.lines:
        if line.line_id is not None and line.units and line.verdict is not Verdict.REJECTED:
            found.setdefault(line.line_id, set()).update(line.units)
    return found


def running(case: Case, standing: ReturnDecisionMade, judged: Judged, chosen: Units) -> Running:
    """The amounts of those units of the approval that are in `chosen`."""
    order = judged.order
    whole = standing.refund or NOTHING
    asked = _asked(standing, judged, order)
    wanted = {line_id: set(ordinals) for line_id, ordinals in chosen.items()}
    kept = [_restricted(each, wanted) for each in asked]
    everything = all(
        len(some.units) == len(every.units) for some, every in zip(kept, asked, strict=True)
    )
    if judged.amount is None or standing.replacement is not None:
        return Running(
            refund=NOTHING, loyalty=DecidedLoyalty(), tax=(), lines=_lines(standing, kept, None)
        )
    terms = judged.amount.terms
    full = calculation.calculate(order, asked, terms, judged.earlier)
    legs = calculation.tax_legs(order, asked, full)
    if everything:
        return Running(refund=whole, loyalty=standing.loyalty, tax=legs, lines=standing.lines)
    some = calculation.calculate(order, kept, terms, judged.earlier)
    refund = _scaled(whole, full.refund, some.refund)
    return Running(
        refund=refund,
        loyalty=DecidedLoyalty(
            points_to_reverse=min(
                some.loyalty.points_to_reverse, standing.loyalty.points_to_reverse
            ),
            points_to_restore=min(
                some.loyalty.points_to_restore, standing.loyalty.points_to_restore
            ),
        ),
        tax=calculation.tax_legs(order, kept, some),
        lines=_lines(standing, kept, some),
    )


def _asked(standing: ReturnDecisionMade, judged: Judged, order: OrderSnapshot) -> tuple[Asked, ...]:
    """The approval's lines with the fees they were judged with, one for one."""
    bought = {line.line_id: line for line in order.lines}
    judged_asked = judged.amount.asked if judged.amount is not None else ()
    by_line: dict[str, list[Asked]] = {}
    for each in judged_asked:
        by_line.setdefault(each.line.line_id, []).append(each)
    found = []
    for line in standing.lines:
        if line.line_id not in bought or line.verdict is Verdict.REJECTED:
            continue
        known = by_line.get(line.line_id or "", [])
        first = known.pop(0) if len(known) > 1 else (known[0] if known else None)
        fresh = Asked(line=bought[line.line_id], units=line.units)
        found.append(fresh if first is None else first._replace(units=line.units))
    return tuple(found)


def _restricted(asked: Asked, wanted: Mapping[str, set[int]]) -> Asked:
    some = wanted.get(asked.line.line_id, set())
    return asked._replace(units=tuple(unit for unit in asked.units if unit in some))


def _lines(
    standing: ReturnDecisionMade, kept: Sequence[Asked], some: calculation.Calculation | None
) -> tuple[DecidedLine, ...]:
    """The decision's lines with only the units that are kept; empty ones are left out."""
    found: list[DecidedLine] = []
    position = 0
    for line in standing.lines:
        if line.verdict is Verdict.REJECTED or line.line_id is None:
            found.append(line)
            continue
        asked = kept[position]
        amount = some.lines[position] if some is not None else calculation.NOTHING
        position += 1
        if asked.units:
            found.append(
                line.model_copy(
                    update={
                        "quantity": len(asked.units),
                        "units": asked.units,
                        "items": amount.items,
                        "tax": amount.tax,
                        "restocking_fee": amount.fee,
                        "refund": amount.refund,
                    }
                )
            )
    return tuple(found)


def _scaled(
    whole: RefundBreakdown, full: RefundBreakdown, some: RefundBreakdown
) -> RefundBreakdown:
    """`some` units under `whole`, which a person may have adjusted away from `full`."""
    amounts: dict[str, int] = {}
    for name in (*GIVEN, *DEDUCTED):
        stands, computed, part = (getattr(each, name) for each in (whole, full, some))
        if stands != computed:
            part += _share(stands - computed, some.items, full.items)
        amounts[name] = min(max(part, 0), stands)
    return _bounded(amounts, whole)


def _share(difference: int, items: int, whole: int) -> int:
    return round_half_up(difference * items, whole) if whole else 0


def _bounded(amounts: dict[str, int], whole: RefundBreakdown) -> RefundBreakdown:
    """Deductions so that neither this part nor what is left of `whole` is negative."""
    given = sum(amounts[name] for name in GIVEN)
    total = given - sum(amounts[name] for name in DEDUCTED)
    for name in DEDUCTED:
        if total < 0:
            less = min(-total, amounts[name])
            amounts[name] -= less
            total += less
        elif total > whole.total:
            more = min(total - whole.total, getattr(whole, name) - amounts[name])
            amounts[name] += more
            total -= more
    return RefundBreakdown(**amounts, total=total)


def all_at_once(order: OrderSnapshot, standing: ReturnDecisionMade, new: Units) -> Released | None:
    """The only part of an approval, where it pays all of it at once: as the decision has it.

    None where the amounts have to be looked at again: units are missing, goods are sent instead, or
    a person changed the amount.
    """
    refund = standing.refund
    wanted = {line_id: set(ordinals) for line_id, ordinals in new.items() if ordinals}
    changed = any(each.code == "reviewed" for each in standing.findings)
    if refund is None or standing.replacement is not None or changed:
        return None
    if wanted != {line: units for line, units in approved_units(standing).items() if units}:
        return None
    return Released(
        release=Release(lines=_named(new), amount=refund.total),
        refund=refund,
        allocations=tenders.next_part(refund.total, standing.settlement.allocations, ()),
        legs=Legs(
            loyalty=standing.loyalty, tax=tuple(leg for leg in _legs(order, standing) if leg.tax)
        ),
    )


def _legs(order: OrderSnapshot, standing: ReturnDecisionMade) -> list[TaxLeg]:
    """The decision's tax by rate: of its lines, and what is left of it for the shipping."""
    rates = {line.line_id: line.tax_rate_bps for line in order.lines}
    net: dict[int, int] = {}
    tax: dict[int, int] = {}
    for line in standing.lines:
        if line.line_id in rates and line.verdict is not Verdict.REJECTED:
            rate = rates[line.line_id]
            net[rate] = net.get(rate, 0) + line.items - line.restocking_fee
            tax[rate] = tax.get(rate, 0) + line.tax
    refund = standing.refund or NOTHING
    rest = refund.tax - sum(tax.values())
    if rest:
        rate = calculation.shipping_rate(order)
        net[rate] = net.get(rate, 0) + refund.shipping
        tax[rate] = tax.get(rate, 0) + rest
    return [TaxLeg(rate_bps=rate, net=net[rate], tax=tax[rate]) for rate in sorted(net)]


def _named(units: Units) -> tuple[LineUnits, ...]:
    return tuple(
        LineUnits(line_id=line_id, units=tuple(ordinals))
        for line_id, ordinals in units.items()
        if ordinals
    )


def part_of(
    standing: ReturnDecisionMade, until: Running, already: Sequence[Released], new: Units
) -> Released:
    """What `until` adds to what has been released, as a release of the `new` units."""
    before = {name: sum(getattr(each.refund, name) for each in already) for name in GIVEN}
    before |= {name: sum(getattr(each.refund, name) for each in already) for name in DEDUCTED}
    amounts = {
        name: max(getattr(until.refund, name) - before[name], 0) for name in (*GIVEN, *DEDUCTED)
    }
    paid = sum(each.refund.total for each in already)
    whole = standing.refund or NOTHING
    left = max(whole.total - paid, 0)
    refund = _bounded(amounts, whole.model_copy(update={"total": left}))
    if until.refund == whole:
        refund = _exactly(left, refund)
    reversed_before = sum(each.legs.loyalty.points_to_reverse for each in already)
    restored_before = sum(each.legs.loyalty.points_to_restore for each in already)
    return Released(
        release=Release(lines=_named(new), amount=refund.total),
        refund=refund,
        allocations=tenders.next_part(
            refund.total,
            standing.settlement.allocations,
            [each for part in already for each in part.allocations],
        ),
        legs=Legs(
            loyalty=DecidedLoyalty(
                points_to_reverse=max(until.loyalty.points_to_reverse - reversed_before, 0),
                points_to_restore=max(until.loyalty.points_to_restore - restored_before, 0),
            ),
            tax=_fitted(_new_tax(until.tax, already), until.tax, refund.tax),
        ),
    )


def _exactly(total: int, refund: RefundBreakdown) -> RefundBreakdown:
    """The last part pays all that is left, also where earlier parts were paid on other terms."""
    amounts = {name: getattr(refund, name) for name in (*GIVEN, *DEDUCTED)}
    rest = total - refund.total
    for name in DEDUCTED:
        less = min(max(rest, 0), amounts[name])
        amounts[name] -= less
        rest -= less
    if rest > 0:
        amounts["items"] += rest
    else:
        amounts["diminished_value"] -= rest
    return RefundBreakdown(**amounts, total=total)


def _new_tax(until: Sequence[TaxLeg], already: Sequence[Released]) -> tuple[TaxLeg, ...]:
    net: dict[int, int] = {}
    tax: dict[int, int] = {}
    for sign, legs in (
        (1, until),
        (-1, [leg for part in already for leg in part.legs.tax]),
    ):
        for leg in legs:
            net[leg.rate_bps] = net.get(leg.rate_bps, 0) + sign * leg.net
            tax[leg.rate_bps] = tax.get(leg.rate_bps, 0) + sign * leg.tax
    return tuple(
        TaxLeg(rate_bps=rate, net=net[rate], tax=tax[rate]) for rate in sorted(net) if tax[rate]
    )


def _fitted(legs: Sequence[TaxLeg], rates: Sequence[TaxLeg], tax: int) -> tuple[TaxLeg, ...]:
    """The legs with exactly the tax that is paid: a part is bounded by what stands."""
    surplus = sum(leg.tax for leg in legs) - tax
    fitted: list[TaxLeg] = []
    for leg in reversed(legs):
        less = min(max(surplus, 0), max(leg.tax, 0))
        surplus -= less
        fitted.insert(0, leg.model_copy(update={"tax": leg.tax - less}))
    if surplus < 0 and (fitted or rates):
        first = fitted.pop(0) if fitted else rates[0].model_copy(update={"net": 0, "tax": 0})
        fitted.insert(0, first.model_copy(update={"tax": first.tax - surplus}))
    return tuple(leg for leg in fitted if leg.tax)
