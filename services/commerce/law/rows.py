"""The statutory rules, one row each: what they give, whom, where it says so, how sure we are.

Confidence: H read in the statute, M from a secondary source, L general knowledge; a row marked L
is enforced only where it favours the consumer, and shown as unverified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contracts.orders import Trait
from services.commerce.law.countries import EEA

LAW_VERSION = "2026-11"


class Confidence(StrEnum):
    HIGH = "H"
    MEDIUM = "M"
    LOW = "L"


class Outbound(StrEnum):
    """What of the outbound delivery a withdrawal from everything gives back."""

    CHEAPEST_OFFERED = "cheapest_offered"
    ALL = "all"
    POLICY = "policy"


class RefundClock(StrEnum):
    """From when the statutory refund deadline runs."""

    NOTICE = "notice"
    GOODS_OR_PROOF = "goods_or_proof"


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """A right to return without a reason."""

    id: str
    countries: frozenset[str]
    source: str
    confidence: Confidence
    window_days: int
    rolls_over: bool
    """A period that ends on a weekend or public holiday ends with the next working day."""
    months_without_information: int
    outbound: Outbound
    refund_days: int
    refund_clock: RefundClock
    pays_on_proof_of_sending: bool
    excluded: frozenset[Trait]
    excluded_when_unsealed: frozenset[Trait]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Any other row: cited in findings, or a switch that the quote asks for."""

    id: str
    countries: frozenset[str]
    regions: frozenset[str] = frozenset()
    source: str
    confidence: Confidence
    summary: str
    conformity_days: int | None = None
    """Days from delivery in which a fault is the seller's business."""


_CRD_EXCLUDED = frozenset({Trait.PERSONALISED, Trait.PERISHABLE})
_CRD_UNSEALED = frozenset({Trait.SEALED_HYGIENE, Trait.SEALED_MEDIA})

WITHDRAWALS = (
    Withdrawal(
        id="EU-WD-GOODS",
        countries=EEA,
        source="Directive 2011/83/EU art. 9, 10, 13, 14, 16; Regulation 1182/71",
        confidence=Confidence.MEDIUM,
        window_days=14,
        rolls_over=True,
        months_without_information=12,
        outbound=Outbound.CHEAPEST_OFFERED,
        refund_days=14,
        refund_clock=RefundClock.NOTICE,
        pays_on_proof_of_sending=True,
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="UK-CANCEL",
        countries=frozenset({"GB"}),
        source="Consumer Contracts Regulations 2013 (SI 2013/3134) regs 28-38",
        confidence=Confidence.MEDIUM,
        window_days=14,
        rolls_over=False,
        months_without_information=12,
        outbound=Outbound.CHEAPEST_OFFERED,
        refund_days=14,
        refund_clock=RefundClock.GOODS_OR_PROOF,
        pays_on_proof_of_sending=True,
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="BR-CDC49",
        countries=frozenset({"BR"}),
        source="Código de Defesa do Consumidor art. 49; Decreto 7.962/2013 art. 5",
        confidence=Confidence.MEDIUM,
        window_days=7,
        rolls_over=False,
        months_without_information=0,
        outbound=Outbound.ALL,
        refund_days=0,
        refund_clock=RefundClock.NOTICE,
        pays_on_proof_of_sending=False,
        excluded=frozenset(),
        excluded_when_unsealed=frozenset(),
    ),
    Withdrawal(
        id="CN-7D",
        countries=frozenset({"CN"}),
        source="Consumer Law art. 25; Interim Measures 2017 (rev. 2020)",
        confidence=Confidence.MEDIUM,
        window_days=7,
        rolls_over=False,
        months_without_information=0,
        outbound=Outbound.POLICY,
        refund_days=7,
        refund_clock=RefundClock.GOODS_OR_PROOF,
        pays_on_proof_of_sending=False,
        excluded=_CRD_EXCLUDED | {Trait.DIGITAL},
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="KR-ECOMM",
        countries=frozenset({"KR"}),
        source="Act on Consumer Protection in E-Commerce arts 17-18",
        confidence=Confidence.HIGH,
        window_days=7,
        rolls_over=False,
        months_without_information=0,
        outbound=Outbound.POLICY,
        refund_days=3,
        refund_clock=RefundClock.GOODS_OR_PROOF,
        pays_on_proof_of_sending=False,
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
)

RULES = (
    Rule(
        id="EU-CONF-2Y",
        countries=EEA,
        source="Directive (EU) 2019/771 art. 10, 13, 14, 16",
        confidence=Confidence.LOW,
        summary="a fault within two years of delivery is the seller's business",
        conformity_days=730,
    ),
    Rule(
        id="UK-REJECT-30",
        countries=frozenset({"GB"}),
        source="Consumer Rights Act 2015 ss 20, 22",
        confidence=Confidence.MEDIUM,
        summary="faulty goods can be rejected for a full refund within 30 days",
        conformity_days=30,
    ),
    Rule(
        id="US-DEFAULT",
        countries=frozenset({"US"}),
        source="UCC 2-601, 2-714",
        confidence=Confidence.LOW,
        summary="the merchant's posted policy applies",
    ),
    Rule(
        id="US-CA-FEE-TAX",
        countries=frozenset({"US"}),
        regions=frozenset({"CA"}),
        source="CDTFA annotation 490.0223",
        confidence=Confidence.HIGH,
        summary="tax is given back on the full price even where a restocking fee is kept",
    ),
    Rule(
        id="CH-NONE",
        countries=frozenset({"CH"}),
        source="no statutory right for online sales",
        confidence=Confidence.MEDIUM,
        summary="the merchant's policy applies",
    ),
    Rule(
        id="JP-MAIL",
        countries=frozenset({"JP"}),
        source="Act on Specified Commercial Transactions art. 15-3",
        confidence=Confidence.MEDIUM,
        summary="the seller's displayed terms prevail",
    ),
    Rule(
        id="AU-ACL",
        countries=frozenset({"AU"}),
        source="Australian Consumer Law; consumer guarantees",
        confidence=Confidence.MEDIUM,
        summary="no change-of-mind right; faults have no fixed time limit",
        conformity_days=730,
    ),
    Rule(
        id="NZ-CGA",
        countries=frozenset({"NZ"}),
        source="Consumer Guarantees Act",
        confidence=Confidence.MEDIUM,
        summary="no change-of-mind right; faults have no fixed time limit",
        conformity_days=730,
    ),
    Rule(
        id="CA-ON",
        countries=frozenset({"CA"}),
        source="Ontario CPA 2002; Québec CPA",
        confidence=Confidence.LOW,
        summary="cancellation where required disclosure is missing",
    ),
    Rule(
        id="IN-ECOM",
        countries=frozenset({"IN"}),
        source="Consumer Protection (E-Commerce) Rules 2020 r. 6",
        confidence=Confidence.LOW,
        summary="no take-back may be refused for defective or late goods",
    ),
)
KNOWN_COUNTRIES = frozenset().union(
    *(row.countries for row in WITHDRAWALS), *(rule.countries for rule in RULES)
)
FEE_TAX_IN_FULL = next(rule for rule in RULES if rule.id == "US-CA-FEE-TAX")


def withdrawal_in(country: str) -> Withdrawal | None:
    """The right to return without a reason that consumers of a country have; None: no such row."""
    return next((row for row in WITHDRAWALS if country in row.countries), None)


def conformity_in(country: str) -> Rule | None:
    return next(
        (rule for rule in RULES if country in rule.countries and rule.conformity_days), None
    )


def fee_tax_in_full(country: str, region: str | None) -> bool:
    """Law row US-CA-FEE-TAX."""
    return country in FEE_TAX_IN_FULL.countries and region in FEE_TAX_IN_FULL.regions
