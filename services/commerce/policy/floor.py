"""The legal floor of a policy file: a rule that names a place must give what its law gives.

Only rules that name a country or a region and reach consumers are refused; defaults and general
rules load, and the law overrules them for the buyers it protects (the linter says so).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.decisions import RefundOn
from contracts.orders import BuyerType
from contracts.requests import MERCHANT_FAULT, Condition, Resolution
from services.commerce.law.protection import FEE_TAX_IN_FULL, conformity_in, withdrawal_in
from services.commerce.law.provisions import NATIONAL, ROWS
from services.commerce.law.rows import Outbound, Withdrawal
from services.commerce.policy.model import (
    FeeTax,
    LoyaltyMode,
    OutboundShipping,
    Payer,
    Policy,
    Rule,
    WindowAnchor,
)

LATE = frozenset({RefundOn.RECEIPT, RefundOn.INSPECTION})


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A rule that gives less than a law row; `position` is its place among the rules."""

    position: int
    row_id: str
    message: str


def shortfalls(policy: Policy) -> Iterator[Shortfall]:
    """What makes a policy unlawful, rule by rule, with the row it falls short of."""
    for position, rule in enumerate(policy.rules):
        if not reaches_consumers(rule):
            continue
        for country, region in places(rule):
            for row_id, what in _short(policy, rule, country, region):
                row = ROWS[row_id]
                cited = _cited(row_id, country)
                yield Shortfall(
                    position,
                    row_id,
                    f"rule `{rule.id}` falls short of {cited} for {country}: {what}"
                    f" ({row.citation}); mend it, or limit the rule to buyer_type [business]",
                )


def _cited(row_id: str, country: str) -> str:
    """The row, and the right that it is a part of, as national law has it."""
    row = withdrawal_in(country)
    if row is None or row.id != "EU-WD-GOODS" or not row_id.startswith("EU-"):
        return row_id
    wider = [each for each in (row.id, NATIONAL.get(country)) if each not in (None, row_id)]
    return f"{row_id} ({', '.join(str(each) for each in wider)})" if wider else row_id


def reaches_consumers(rule: Rule) -> bool:
    wanted = rule.when.buyer_type
    if wanted is not None and BuyerType.CONSUMER not in wanted:
        return False
    out = rule.unless
    if out is None or out.given != ("buyer_type",):
        return True
    return BuyerType.CONSUMER not in (out.buyer_type or ())


def places(rule: Rule) -> list[tuple[str, str | None]]:
    """The countries and regions that a rule names."""
    named: list[tuple[str, str | None]] = [(each, None) for each in rule.when.country or ()]
    for each in rule.when.region or ():
        country, _, region = each.partition("-")
        if rule.when.country is None or country in rule.when.country:
            named = [place for place in named if place != (country, None)]
            named.append((country, region))
    return named


def _short(
    policy: Policy, rule: Rule, country: str, region: str | None
) -> Iterator[tuple[str, str]]:
    row = withdrawal_in(country)
    if row is not None and not _is_excluded(rule, row):
        yield from _withdrawal(policy, rule, row)
        yield from _costs(policy, rule, row)
    yield from _fault(rule, country)
    in_full = country in FEE_TAX_IN_FULL.countries and region in FEE_TAX_IN_FULL.regions
    if in_full and rule.set.named().get("restocking_fee_tax") is FeeTax.PROPORTIONAL:
        yield FEE_TAX_IN_FULL.id, "tax comes back in full: set restocking_fee_tax: full"


def _is_excluded(rule: Rule, row: Withdrawal) -> bool:
    """Whether the rule reaches only what the law itself takes out of the right."""
    traits = rule.when.trait
    if not traits:
        return False
    unsealed = rule.when.condition is not None and Condition.UNOPENED not in rule.when.condition
    return all(
        trait in row.excluded or (unsealed and trait in row.excluded_when_unsealed)
        for trait in traits
    )


def _withdrawal(policy: Policy, rule: Rule, row: Withdrawal) -> Iterator[tuple[str, str]]:
    named = rule.set.named()
    if "window_days" in named or "window_anchor" in named:
        least = row.window_days
        anchor = named.get("window_anchor", policy.defaults.window_anchor)
        if anchor is not WindowAnchor.DELIVERED:
            least += policy.defaults.transit_days
        days = named.get("window_days", policy.defaults.window_days)
        if isinstance(days, int) and days < least:
            yield (
                row.id,
                f"the window is {days} days from {anchor}, the law gives {row.window_days} from"
                f" possession: set window_days to at least {least}",
            )
    if named.get("returnable") is False:
        exclusions = "EU-ART16" if row.id == "EU-WD-GOODS" else row.id
        yield (
            exclusions,
            "the law lets these goods be returned: remove returnable: false, or limit the rule to"
            f" what the law excludes ({_exclusions(row)})",
        )
    if row.pays_on_proof_of_sending and named.get("refund_on") in LATE:
        waits = "EU-WITHHOLD" if row.id == "EU-WD-GOODS" else row.id
        yield (
            waits,
            "the refund may wait for the proof of sending at most: set refund_on:"
            " proof_of_sending or approval",
        )
    if "resolutions" in named and Resolution.REFUND not in rule.set.resolutions:
        yield row.id, "a withdrawal brings the money back: add refund to resolutions"
    least_days = row.send_within_days or 0
    if "send_within_days" in named and rule.set.send_within_days < least_days:
        sending = "EU-WD-SENDBACK" if row.id == "EU-WD-GOODS" else row.id
        yield (
            sending,
            f"the law gives {least_days} days to send the goods: set send_within_days to at"
            f" least {least_days}",
        )


def _costs(policy: Policy, rule: Rule, row: Withdrawal) -> Iterator[tuple[str, str]]:
    """What a rule takes from the money that a withdrawal brings back, and the law does not."""
    named = rule.set.named()
    if rule.set.restocking_fee_bps and "restocking_fee_bps" in named:
        fees = "EU-DIMVALUE" if row.id == "EU-WD-GOODS" else row.id
        yield fees, "no restocking fee on a withdrawal: set restocking_fee_bps: 0"
    if not row.consumer_pays_way_back and _charges_way_back(policy, rule):
        yield row.id, "the merchant pays the way back: set return_shipping: merchant"
    is_kept = named.get("outbound_shipping") is OutboundShipping.NONE
    if is_kept and row.outbound is not Outbound.POLICY:
        delivery = "EU-SHIP-STD" if row.id == "EU-WD-GOODS" else row.id
        yield (
            delivery,
            "a withdrawal from everything brings the delivery back: set outbound_shipping:"
            " full_on_full_return or prorata_value",
        )
    if named.get("loyalty") is LoyaltyMode.CASH_EQUIVALENT:
        yield (
            row.id,
            "no cash is deducted for points from a withdrawal: set loyalty: reverse or none",
        )


def _charges_way_back(policy: Policy, rule: Rule) -> bool:
    """Whether a rule makes the customer pay, with what the defaults say about the rest."""
    named = rule.set.named()
    if named.get("return_shipping") is Payer.CUSTOMER:
        return True
    fee = named.get("return_shipping_fee")
    payer = named.get("return_shipping", policy.defaults.return_shipping)
    return bool(fee) and payer is Payer.CUSTOMER


def _exclusions(row: Withdrawal) -> str:
    always = sorted(row.excluded)
    opened = sorted(row.excluded_when_unsealed)
    return ", ".join([*always, *(f"{trait} once opened" for trait in opened)]) or "nothing"


def _fault(rule: Rule, country: str) -> Iterator[tuple[str, str]]:
    """Rules for faults only: no law lets them be refused; some give the money back at once."""
    row = conformity_in(country)
    reasons = rule.when.reason
    if row is None or not reasons or not MERCHANT_FAULT.issuperset(reasons):
        return
    named = rule.set.named()
    if named.get("returnable") is False:
        yield row.id, "faulty goods are the seller's to answer for: remove returnable: false"
    if "restocking_fee_bps" in named and rule.set.restocking_fee_bps:
        yield row.id, "a fault bears no fee: set restocking_fee_bps: 0"
    if not row.refund_at_once or row.days is None:
        return
    if "window_days" in named and rule.set.window_days < row.days:
        yield row.id, f"faulty goods can be rejected for {row.days} days: raise window_days"
    if "resolutions" in named and Resolution.REFUND not in rule.set.resolutions:
        yield row.id, "faulty goods bring the money back: add refund to resolutions"
