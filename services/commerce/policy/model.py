"""The policy file as data (keys, types and built-in values: the README's policy reference)."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from contracts.base import Identifier, Instant, Text
from contracts.decisions import PolicyReference, RefundOn
from contracts.money import EXPONENTS
from contracts.orders import Address, BuyerType, Trait
from contracts.requests import MERCHANT_FAULT, ChannelType, Condition, Reason, Resolution
from services.commerce.law.countries import COUNTRIES

DAYS_MAX = 3660
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError(f"{code!r} is no ISO 4217 currency; write a code such as USD")
    return code


def _country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError(f"{code!r} is no ISO 3166-1 country; write a code such as DE")
    return code


def _place(code: str) -> str:
    return code if code == "default" else _country(code)


def _region(code: str) -> str:
    country, hyphen, part = code.partition("-")
    if not hyphen or not part or country not in COUNTRIES:
        raise ValueError(f"{code!r} is no region; write country and part, such as US-CA")
    return code


def _known(value: StrEnum) -> StrEnum:
    if value.value == "unknown":
        allowed = ", ".join(each for each in type(value) if each != "unknown")
        raise ValueError(f"is not one of the allowed values; use one of {allowed}")
    return value


def _email(address: str) -> str:
    name, at, host = address.partition("@")
    if not (name and at and host) or "@" in host or address != "".join(address.split()):
        raise ValueError(f"{address!r} is no e-mail address")
    return address


def _date_and_time(value: object) -> object:
    is_time = isinstance(value, datetime)
    if not is_time and not (isinstance(value, str) and _DATE_AND_TIME.match(value)):
        raise ValueError("a time needs a date and a time of day, such as 2026-01-01T00:00:00Z")
    return value


StartsAt = Annotated[Instant, BeforeValidator(_date_and_time)]
CurrencyKey = Annotated[str, AfterValidator(_currency)]
CountryKey = Annotated[str, AfterValidator(_country)]
PlaceKey = Annotated[str, AfterValidator(_place)]
RegionKey = Annotated[Text, AfterValidator(_region)]
Amount = Annotated[int, Field(strict=True, ge=0)]
Amounts = dict[CurrencyKey, Amount]
Days = Annotated[int, Field(strict=True, ge=0, le=DAYS_MAX)]
Bps = Annotated[int, Field(strict=True, ge=0, le=10_000)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
KnownCondition = Annotated[Condition, AfterValidator(_known)]
KnownResolution = Annotated[Resolution, AfterValidator(_known)]
KnownReason = Annotated[Reason, AfterValidator(_known)]
KnownTrait = Annotated[Trait, AfterValidator(_known)]
KnownRefundOn = Annotated[RefundOn, AfterValidator(_known)]
KnownBuyer = Annotated[BuyerType, AfterValidator(_known)]
KnownChannel = Annotated[ChannelType, AfterValidator(_known)]


class WindowAnchor(StrEnum):
    DELIVERED = "delivered"
    SHIPPED = "shipped"
    ORDERED = "ordered"


class FeeTax(StrEnum):
    PROPORTIONAL = "proportional"
    FULL = "full"


class Payer(StrEnum):
    MERCHANT = "merchant"
    CUSTOMER = "customer"


class OutboundShipping(StrEnum):
    NONE = "none"
    FULL_ON_FULL_RETURN = "full_on_full_return"
    PRORATA_VALUE = "prorata_value"


class RefundFormat(StrEnum):
    ITEMISED = "itemised"
    LUMP_SUM = "lump_sum"


class LoyaltyMode(StrEnum):
    REVERSE = "reverse"
    CASH_EQUIVALENT = "cash_equivalent"
    NONE = "none"


class Reversal(StrEnum):
    NOT_ALLOWED = "not_allowed"
    WITH_CONSENT = "with_consent"


class Settings(Strict):
    """What applies to a line; the built-in values are the defaults here."""

    returnable: Annotated[bool, Field(strict=True)] = True
    window_days: Days = 30
    window_anchor: WindowAnchor = WindowAnchor.DELIVERED
    transit_days: Days = 7
    conditions: tuple[KnownCondition, ...] = (Condition.UNOPENED, Condition.OPENED)
    restocking_fee_bps: Bps = 0
    restocking_fee_tax: FeeTax = FeeTax.PROPORTIONAL
    return_shipping: Payer = Payer.MERCHANT
    return_shipping_fee: Amounts = {}
    outbound_shipping: OutboundShipping = OutboundShipping.FULL_ON_FULL_RETURN
    refund_on: KnownRefundOn = RefundOn.INSPECTION
    refund_format: RefundFormat = RefundFormat.ITEMISED
    resolutions: tuple[KnownResolution, ...] = (
        Resolution.REFUND,
        Resolution.STORE_CREDIT,
        Resolution.REPLACEMENT,
        Resolution.EXCHANGE,
    )
    send_within_days: Days = 14
    keep_item_up_to: Amounts = {}
    loyalty: LoyaltyMode = LoyaltyMode.REVERSE
    point_value: Amounts = {}


class Match(Strict):
    """Every key that is given must match; any value of its list does."""

    category: tuple[Text, ...] | None = None
    sku: tuple[Text, ...] | None = None
    trait: tuple[KnownTrait, ...] | None = None
    country: tuple[CountryKey, ...] | None = None
    region: tuple[RegionKey, ...] | None = None
    condition: tuple[KnownCondition, ...] | None = None
    reason: tuple[KnownReason, ...] | None = None
    resolution: tuple[KnownResolution, ...] | None = None
    buyer_type: tuple[KnownBuyer, ...] | None = None
    channel: tuple[KnownChannel, ...] | None = None

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The keys that the file names."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


class SetSettings(Settings):
    """The settings that a rule sets: those named in the file, and no others."""

    def named(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Rule(Strict):
    id: Identifier
    when: Match = Match()
    unless: Match | None = None
    set: SetSettings


class Rulebook:
    """What decides about a line. Two are the same only if they are one object: rules may be equal
    in every value and yet set different settings, to what happens to be the built-in value."""

    __slots__ = ("defaults", "names_skus", "rules")

    def __init__(self, defaults: Settings, rules: tuple[Rule, ...]) -> None:
        self.defaults = defaults
        self.rules = rules
        looked_at = [match for rule in rules for match in (rule.when, rule.unless)]
        self.names_skus = any(match is not None and match.sku is not None for match in looked_at)
        """Whether any rule looks at the product itself."""


class Goodwill(Strict):
    days_after_window: Days = 14
    lifetime_value_from: Amounts = {"USD": 50000, "EUR": 50000, "GBP": 50000}


class Limits(Strict):
    auto_approve_up_to: Amounts = {"USD": 50000, "EUR": 50000, "GBP": 50000}
    four_eyes_above: Amounts = {}
    confidence_min: Share = 0.6
    risk_freeze_at: Share = 0.75
    high_risk_countries: tuple[CountryKey, ...] = ()
    release_undisputed: Annotated[bool, Field(strict=True)] = False
    """Whether units that an inspection found as promised are paid while a person looks at the
    others."""
    goodwill: Goodwill = Goodwill()
    reversal_after_settlement: Reversal = Reversal.NOT_ALLOWED


class Retention(Strict):
    evidence_days: Days = 730


class EscalationContact(Strict):
    email: Annotated[str, AfterValidator(_email)] = "returns@acme.example"


class Texts(Strict):
    refund_timing: Text = "5–7 business days"


class ReturnAddress(Address):
    model_config = ConfigDict(extra="forbid", frozen=True)

    country: CountryKey


NOT_FOR_FAULTS = Match(reason=tuple(sorted(MERCHANT_FAULT)))
BUILT_IN_RULES = tuple(
    Rule(
        id=id_,
        when=Match(trait=(trait,)),
        unless=NOT_FOR_FAULTS,
        set=SetSettings(returnable=False),
    )
    for id_, trait in (("perishables", Trait.PERISHABLE), ("personalised", Trait.PERSONALISED))
)
ACME = ReturnAddress(
    name="Acme Returns",
    line1="1 Warehouse Way",
    city="Reno",
    region="NV",
    postal_code="89501",
    country="US",
)


class DuplicateRule(ValueError):
    """Two rules have one id; `position` is that of the second."""

    def __init__(self, rule_id: str, position: int) -> None:
        super().__init__(f"the rule id {rule_id!r} is used twice; give each rule its own")
        self.position = position


def _named_once(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    seen: set[str] = set()
    for position, rule in enumerate(rules):
        if rule.id in seen:
            raise DuplicateRule(rule.id, position)
        seen.add(rule.id)
    return rules


class Policy(Strict):
    policy: Identifier
    version: Identifier
    effective_from: StartsAt | None = None
    defaults: Settings = Settings()
    rules: Annotated[tuple[Rule, ...], AfterValidator(_named_once)] = BUILT_IN_RULES
    limits: Limits = Limits()
    retention: Retention = Retention()
    return_addresses: dict[PlaceKey, ReturnAddress] = {"default": ACME}
    escalation: EscalationContact = EscalationContact()
    texts: Texts = Texts()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything the policy says, and of which settings its rules name."""
        named = [sorted(rule.set.named()) for rule in self.rules]
        return hashlib.sha256(f"{self.model_dump_json()}\n{named}".encode()).hexdigest()

    @cached_property
    def rulebook(self) -> Rulebook:
        return Rulebook(self.defaults, self.rules)

    @cached_property
    def reference(self) -> PolicyReference:
        """How decisions name it."""
        return PolicyReference(id=self.policy, version=self.version)


BUILT_IN = Policy(policy="built-in", version="1")
