"""The amount of a return: lines, shipping, fees, points. One code quotes, decides and releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.decisions import (
    DecidedLoyalty,
    Outcome,
    RefundBreakdown,
    ReturnDecisionMade,
    TaxLeg,
    Verdict,
)
from contracts.money import round_half_up
from contracts.orders import OrderLine, OrderSnapshot
from services.commerce.policy.model import LoyaltyMode, OutboundShipping
from services.commerce.quote import loyalty, shipping, units

BPS = 10_000
NO_SHIPPING = shipping.Part(0, 0)


class Asked(NamedTuple):
    """Some units of an order line, and the fee that applies to them."""

    line: OrderLine
    units: Sequence[int]
    fee_bps: int = 0
    fee_tax_in_full: bool = False


class Terms(NamedTuple):
    """What applies to the whole return; amounts in minor units of the order's currency."""

    basis: shipping.Basis
    mode: OutboundShipping
    way_back_fee: int = 0
    loyalty: LoyaltyMode = LoyaltyMode.REVERSE
    point_value: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What decisions on the same order that stand have given, in minor units."""

    taken: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """line_id -> ordinals that are returned or in return."""
    anew: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """(line_id, ordinal) -> the SKU that the customer has in place of what came back."""
    refunded: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The same, without those that were replaced: their price stays with the merchant."""
    net: int = 0
    """items - restocking fee."""
    shipping: shipping.Part = NO_SHIPPING
    allocated: Mapping[str, int] = field(default_factory=dict)
    """payment_id -> minor units."""


class LineAmount(NamedTuple):
    items: int
    tax: int
    fee: int

    @property
    def refund(self) -> int:
        return self.items + self.tax - self.fee


NOTHING = LineAmount(0, 0, 0)


class Calculation(NamedTuple):
    """`lines` in the order they were asked; `refund` and `loyalty` for all of them together."""

    lines: tuple[LineAmount, ...]
    refund: RefundBreakdown
    loyalty: DecidedLoyalty
    shipping_tax: int


def line_amount(asked: Asked, *, includes_tax: bool) -> LineAmount:
    """Net, tax and restocking fee of some units, rounded half up once.

    Tax under a fee comes back in full by policy or in California (row US-CA-FEE-TAX), otherwise
    in proportion.
    """
    worth = units.worth(asked.line, asked.units, includes_tax=includes_tax)
    if not asked.fee_bps:
        return LineAmount(worth.items, worth.tax, 0)
    fee = round_half_up(worth.items * asked.fee_bps, BPS)
    tax = worth.tax
    if not asked.fee_tax_in_full:
        tax = round_half_up(tax * (BPS - asked.fee_bps), BPS)
    return LineAmount(worth.items, tax, fee)


def calculate(
    order: OrderSnapshot, asked: Sequence[Asked], terms: Terms, earlier: Earlier
) -> Calculation:
    """The refund of these units after `earlier`; its total is never negative."""
    inclusive = order.prices_include_tax
    lines = tuple(line_amount(each, includes_tax=inclusive) for each in asked)
    items = sum(line.items for line in lines)
    fee = sum(line.fee for line in lines)
    share = _share(order, asked, terms, items, earlier)
    way_out = shipping.refunded(
        order.shipping, terms.basis, terms.mode, share, earlier.shipping, includes_tax=inclusive
    )
    tax = sum(line.tax for line in lines) + way_out.tax
    rest = items + tax + way_out.paid - fee
    way_back = min(terms.way_back_fee, rest)
    points = _points(order, terms, items, items - fee, share, earlier)
    deduction = 0
    if terms.loyalty is LoyaltyMode.CASH_EQUIVALENT and terms.point_value is not None:
        deduction = min(points.points_to_reverse * terms.point_value, rest - way_back)
        points = points.model_copy(update={"points_to_reverse": 0})
    return Calculation(
        lines=lines,
        refund=RefundBreakdown(
            items=items,
            tax=tax,
            shipping=way_out.paid,
            restocking_fee=fee,
            return_shipping_fee=way_back,
            loyalty_deduction=deduction,
            total=rest - way_back - deduction,
        ),
        loyalty=points,
        shipping_tax=way_out.tax,
    )


def _share(
    order: OrderSnapshot, asked: Sequence[Asked], terms: Terms, items: int, earlier: Earlier
) -> shipping.Share:
    """The values are worked out only where shipping or points are split by them."""
    inclusive = order.prices_include_tax
    now = _counts(asked)
    by_value = terms.mode is OutboundShipping.PRORATA_VALUE or order.loyalty is not None
    everything = True
    whole = before = 0
    for line in order.lines:
        gone = earlier.refunded.get(line.line_id, ())
        everything &= len(gone) + now.get(line.line_id, 0) >= line.quantity
        if by_value:
            before += units.worth(line, tuple(gone), includes_tax=inclusive).items if gone else 0
            whole += units.line_worth(line, includes_tax=inclusive).items
    return shipping.Share(before=before, after=before + items, whole=whole, everything=everything)


def _counts(asked: Iterable[Asked]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in asked:
        counts[each.line.line_id] = counts.get(each.line.line_id, 0) + len(each.units)
    return counts


def _points(
    order: OrderSnapshot,
    terms: Terms,
    items: int,
    net: int,
    share: shipping.Share,
    earlier: Earlier,
) -> DecidedLoyalty:
    if order.loyalty is None or terms.loyalty is LoyaltyMode.NONE:
        return loyalty.NO_POINTS
    return DecidedLoyalty(
        points_to_reverse=loyalty.earned_share(
            order.loyalty, before=earlier.net, net=net, whole=share.whole
        ),
        points_to_restore=loyalty.redeemed_share(
            order.loyalty, before=share.before, items=items, whole=share.whole
        ),
    )


def earlier_of(decisions: Iterable[ReturnDecisionMade], replaced: Collection[str] = ()) -> Earlier:
    """What these decisions on one order took and gave: approved and escalated ones count.

    Returns in `replaced` took nothing in the end: others are in place of their units.
    """
    anew: dict[tuple[str, int], str] = {}
    taken: dict[str, set[int]] = {}
    refunded: dict[str, set[int]] = {}
    allocated: dict[str, int] = {}
    net = way_out = way_out_tax = 0
    for decision in sorted(decisions, key=lambda each: each.decided_at):
        if decision.decision not in (Outcome.APPROVED, Outcome.ESCALATED):
            continue
        line_tax = 0
        for line in decision.lines:
            if line.verdict is Verdict.REJECTED or line.line_id is None:
                continue
            if decision.replacement is not None and decision.return_id in replaced:
                sku = decision.replacement.sku
                anew.update(((line.line_id, ordinal), sku) for ordinal in line.units)
                continue
            taken.setdefault(line.line_id, set()).update(line.units)
            if decision.replacement is None:
                refunded.setdefault(line.line_id, set()).update(line.units)
            net += line.items - line.restocking_fee
            line_tax += line.tax
        if decision.refund is not None:
            way_out += decision.refund.shipping
            way_out_tax += max(decision.refund.tax - line_tax, 0)
        for part in decision.settlement.allocations:
            allocated[part.payment_id] = allocated.get(part.payment_id, 0) + part.amount
    return Earlier(
        taken={line_id: frozenset(ordinals) for line_id, ordinals in taken.items()},
        anew=anew,
        refunded={line_id: frozenset(ordinals) for line_id, ordinals in refunded.items()},
        net=net,
        shipping=shipping.Part(way_out, way_out_tax),
        allocated=allocated,
    )


def tax_legs(
    order: OrderSnapshot, asked: Sequence[Asked], calculation: Calculation
) -> tuple[TaxLeg, ...]:
    """One leg per tax rate that refunds tax; their tax sums to the refund's."""
    net: dict[int, int] = {}
    tax: dict[int, int] = {}
    for each, amount in zip(asked, calculation.lines, strict=True):
        rate = each.line.tax_rate_bps
        net[rate] = net.get(rate, 0) + amount.items - amount.fee
        tax[rate] = tax.get(rate, 0) + amount.tax
    if calculation.shipping_tax:
        rate = shipping_rate(order)
        net[rate] = net.get(rate, 0) + calculation.refund.shipping
        tax[rate] = tax.get(rate, 0) + calculation.shipping_tax
    return tuple(
        TaxLeg(rate_bps=rate, net=net[rate], tax=tax[rate]) for rate in sorted(net) if tax[rate]
    )


def shipping_rate(order: OrderSnapshot) -> int:
    """The tax rate of shipping in bps: as the order says, else what its amounts amount to."""
    way_out = order.shipping
    if way_out.tax_rate_bps is not None:
        return way_out.tax_rate_bps
    net = way_out.paid - way_out.tax_total if order.prices_include_tax else way_out.paid
    return min(round_half_up(way_out.tax_total * BPS, net), BPS) if net > 0 else 0
