"""Which settings hold for a line: read from top to bottom, the last rule that sets one wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from contracts.decisions import RefundOn
from contracts.orders import BuyerType, Trait
from contracts.requests import ChannelType, Condition, Reason, Resolution
from services.commerce.policy.model import (
    LoyaltyMode,
    Match,
    OutboundShipping,
    Payer,
    Policy,
    Rulebook,
    Settings,
)

DEFAULTS = "defaults"
REMEMBERED_MAX = 4096
"""Most lines look alike to a policy: what it says of such a line is worked out once."""


class Subject(NamedTuple):
    """What a rule can look at."""

    category: str
    sku: str
    traits: tuple[Trait, ...]
    country: str
    """The protecting country."""
    region: str | None
    """The part after the hyphen."""
    condition: Condition
    reason: Reason
    resolution: Resolution
    buyer_type: BuyerType
    channel: ChannelType


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule that was read: whether it applied to the line, and why (not)."""

    rule_id: str
    fired: bool
    why: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Applied:
    """What a policy says of a line; the same object for all lines that it cannot tell apart."""

    settings: Settings
    set_by: Mapping[str, str]
    """setting -> id of the rule that set it; a setting that is missing is the default's."""
    tried: tuple[Tried, ...]

    def rule_of(self, setting: str) -> str:
        return self.set_by.get(setting, DEFAULTS)


def apply(policy: Policy, subject: Subject) -> Applied:
    """The settings of a line under a policy, and what each rule had to say."""
    book = policy.rulebook
    return _applied(book, subject if book.names_skus else subject._replace(sku=""))


@lru_cache(maxsize=REMEMBERED_MAX)
def _applied(book: Rulebook, subject: Subject) -> Applied:
    changes: dict[str, object] = {}
    set_by: dict[str, str] = {}
    tried = []
    for rule in book.rules:
        miss = _mismatch(rule.when, subject)
        if miss is not None:
            tried.append(Tried(rule.id, False, miss))
            continue
        if rule.unless is not None and _mismatch(rule.unless, subject) is None:
            tried.append(Tried(rule.id, False, "its `unless` matches"))
            continue
        named = rule.set.named()
        changes.update(named)
        set_by.update(dict.fromkeys(named, rule.id))
        tried.append(Tried(rule.id, True, f"sets {', '.join(named)}"))
    settings = book.defaults.model_copy(update=changes) if changes else book.defaults
    return Applied(settings=settings, set_by=set_by, tried=tuple(tried))


def _mismatch(match: Match, subject: Subject) -> str | None:
    """The first key that does not match, in words; None: all do."""
    for key in match.given:
        if not _MATCHERS[key](match, subject):
            return f"{key} is not {' or '.join(getattr(match, key))}"
    return None


_MATCHERS = {
    "category": lambda match, subject: subject.category in match.category,
    "sku": lambda match, subject: any(fnmatchcase(subject.sku, glob) for glob in match.sku),
    "trait": lambda match, subject: any(trait in match.trait for trait in subject.traits),
    "country": lambda match, subject: subject.country in match.country,
    "region": lambda match, subject: f"{subject.country}-{subject.region}" in match.region,
    "condition": lambda match, subject: subject.condition in match.condition,
    "reason": lambda match, subject: subject.reason in match.reason,
    "resolution": lambda match, subject: subject.resolution in match.resolution,
    "buyer_type": lambda match, subject: subject.buyer_type in match.buyer_type,
    "channel": lambda match, subject: subject.channel in match.channel,
}


_LATEST_FIRST = (
    RefundOn.INSPECTION,
    RefundOn.RECEIPT,
    RefundOn.PROOF_OF_SENDING,
    RefundOn.APPROVAL,
)
_LEAST_SHIPPING_FIRST = (
    OutboundShipping.NONE,
    OutboundShipping.PRORATA_VALUE,
    OutboundShipping.FULL_ON_FULL_RETURN,
)
_DEAREST_POINTS_FIRST = (LoyaltyMode.CASH_EQUIVALENT, LoyaltyMode.REVERSE, LoyaltyMode.NONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole:
    """The settings of the whole return, of the lines' the one kindest to the merchant."""

    refund_on: RefundOn
    outbound_shipping: OutboundShipping
    return_shipping: Payer
    return_shipping_fee: int
    keep_item_up_to: int | None
    """None: the goods always come back."""
    send_within_days: int
    loyalty: LoyaltyMode
    point_value: int | None


@lru_cache(maxsize=REMEMBERED_MAX)
def whole(lines: tuple[Applied, ...], currency: str) -> Whole:
    """Of the lines of one return; amounts in minor units of `currency`. At least one line."""
    each = [line.settings for line in lines]
    paid_by_customer = any(line.return_shipping is Payer.CUSTOMER for line in each)
    keep = [line.keep_item_up_to.get(currency) for line in each]
    limits = [limit for limit in keep if limit is not None]
    values = [line.point_value[currency] for line in each if currency in line.point_value]
    return Whole(
        refund_on=min((line.refund_on for line in each), key=_LATEST_FIRST.index),
        outbound_shipping=min(
            (line.outbound_shipping for line in each), key=_LEAST_SHIPPING_FIRST.index
        ),
        return_shipping=Payer.CUSTOMER if paid_by_customer else Payer.MERCHANT,
        return_shipping_fee=max(line.return_shipping_fee.get(currency, 0) for line in each),
        keep_item_up_to=min(limits) if len(limits) == len(each) else None,
        send_within_days=min(line.send_within_days for line in each),
        loyalty=min((line.loyalty for line in each), key=_DEAREST_POINTS_FIRST.index),
        point_value=max(values, default=None),
    )
