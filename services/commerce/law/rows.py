"""The statutory rows: what each gives, whom, where it says so, how sure we are.

Confidence: H read in the statute, M from a secondary source, L general knowledge; a row marked L
is enforced only where it favours the consumer, and shown as unverified wherever it is cited.
A change of any row is a new LAW_VERSION.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from contracts.orders import Trait
from services.commerce.law.countries import EEA

LAW_VERSION = "2026-11"


class Confidence(StrEnum):
    HIGH = "H"
    MEDIUM = "M"
    LOW = "L"


class Outbound(StrEnum):
    """What of the outbound delivery a withdrawal gives back."""

    CHEAPEST_OFFERED = "cheapest_offered"
    """Of a withdrawal from everything; of a part the policy's mode decides."""
    ALL = "all"
    POLICY = "policy"


class Clock(StrEnum):
    """From when a refund deadline runs."""

    NOTICE = "notice"
    """From the notice, postponed to the goods or the proof of sending if they come later."""
    GOODS_OR_PROOF = "goods_or_proof"
    """From the earlier of goods back and proof of sending; from the notice if nothing goes back."""
    GOODS = "goods"
    AGREEMENT = "agreement"
    """From the decision that a refund is due."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """A refund must have been made so many days after its clock started."""

    days: int
    clock: Clock
    working_days: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One statutory rule; `summary` says what it gives in a sentence."""

    id: str
    countries: frozenset[str]
    regions: frozenset[str] = frozenset()
    """Empty: the whole country."""
    source: str
    confidence: Confidence
    summary: str
    valid_from: date | None = None

    @property
    def citation(self) -> str:
        """The source as it is shown: an unverified row says so."""
        unverified = " (unverified)" if self.confidence is Confidence.LOW else ""
        return f"{self.source}{unverified}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal(Row):
    """A right to give goods back without a reason."""

    window_days: int
    rolls_over: bool = False
    """A period that ends on a weekend or public holiday ends with the next working day."""
    months_without_information: int = 0
    outbound: Outbound
    consumer_pays_way_back: bool = True
    """Whether an informed consumer can be charged for the way back."""
    information_duty: bool = False
    """Whether the consumer must have been told of the right before costs or value count."""
    refund: Deadline
    pays_on_proof_of_sending: bool = False
    send_within_days: int | None = None
    excluded: frozenset[Trait] = frozenset()
    excluded_when_unsealed: frozenset[Trait] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Conformity(Row):
    """A right of who got a faulty thing; `days` None: no fixed limit."""

    days: int | None
    refund_at_once: bool
    """Whether the buyer may ask for the money back without a repair first."""
    refund: Deadline | None = None


_CRD_EXCLUDED = frozenset({Trait.PERSONALISED, Trait.PERISHABLE, Trait.DIGITAL})
_CRD_UNSEALED = frozenset({Trait.SEALED_HYGIENE, Trait.SEALED_MEDIA})

WITHDRAWALS = (
    Withdrawal(
        id="EU-WD-GOODS",
        countries=EEA,
        source="Directive 2011/83/EU art. 9, 13, 14",
        confidence=Confidence.MEDIUM,
        summary="14 days from possession of the goods; all payments with standard delivery",
        window_days=14,
        rolls_over=True,
        months_without_information=12,
        outbound=Outbound.CHEAPEST_OFFERED,
        information_duty=True,
        refund=Deadline(days=14, clock=Clock.NOTICE),
        pays_on_proof_of_sending=True,
        send_within_days=14,
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="UK-CANCEL",
        countries=frozenset({"GB"}),
        source="Consumer Contracts Regulations 2013 (SI 2013/3134) regs 28-38",
        confidence=Confidence.MEDIUM,
        summary="14 days from possession of the last good; all payments with standard delivery",
        window_days=14,
        months_without_information=12,
        outbound=Outbound.CHEAPEST_OFFERED,
        information_duty=True,
        refund=Deadline(days=14, clock=Clock.GOODS_OR_PROOF),
        pays_on_proof_of_sending=True,
        send_within_days=14,
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="BR-CDC49",
        countries=frozenset({"BR"}),
        source="Código de Defesa do Consumidor art. 49; Decreto 7.962/2013 art. 5",
        confidence=Confidence.MEDIUM,
        summary="7 days from receipt; everything paid including freight, at once",
        window_days=7,
        outbound=Outbound.ALL,
        consumer_pays_way_back=False,
        refund=Deadline(days=0, clock=Clock.NOTICE),
    ),
    Withdrawal(
        id="CN-7D",
        countries=frozenset({"CN"}),
        source="Consumer Protection Law art. 25; Interim Measures 2017 (rev. 2020)",
        confidence=Confidence.MEDIUM,
        summary="7 days from the day after signing for receipt; the price paid",
        window_days=7,
        outbound=Outbound.POLICY,
        refund=Deadline(days=7, clock=Clock.GOODS),
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=_CRD_UNSEALED,
    ),
    Withdrawal(
        id="KR-ECOMM",
        countries=frozenset({"KR"}),
        source="Act on Consumer Protection in E-Commerce arts 17-18",
        confidence=Confidence.HIGH,
        summary="7 days from receipt; the price paid",
        window_days=7,
        outbound=Outbound.POLICY,
        refund=Deadline(days=3, clock=Clock.GOODS, working_days=True),
        excluded=_CRD_EXCLUDED,
        excluded_when_unsealed=frozenset({Trait.SEALED_MEDIA}),
    ),
)

CONFORMITIES = (
    Conformity(
        id="EU-CONF-2Y",
        countries=EEA,
        source="Directive (EU) 2019/771 art. 10, 13, 14, 16",
        confidence=Confidence.LOW,
        summary="a fault within two years of delivery: repair or replacement, then the money",
        days=730,
        refund_at_once=False,
    ),
    Conformity(
        id="UK-REJECT-30",
        countries=frozenset({"GB"}),
        source="Consumer Rights Act 2015 ss 20, 22",
        confidence=Confidence.MEDIUM,
        summary="faulty goods can be rejected within 30 days for the full price",
        days=30,
        refund_at_once=True,
        refund=Deadline(days=14, clock=Clock.AGREEMENT),
    ),
    Conformity(
        id="AU-ACL",
        countries=frozenset({"AU"}),
        source="Australian Consumer Law, consumer guarantees",
        confidence=Confidence.MEDIUM,
        summary="a major fault: refund or replacement as the consumer chooses; no fixed limit",
        days=None,
        refund_at_once=False,
    ),
    Conformity(
        id="NZ-CGA",
        countries=frozenset({"NZ"}),
        source="Consumer Guarantees Act 1993",
        confidence=Confidence.MEDIUM,
        summary="repair, replacement or refund by the seriousness of the fault; no fixed limit",
        days=None,
        refund_at_once=False,
    ),
    Conformity(
        id="BR-CDC18",
        countries=frozenset({"BR"}),
        source="Código de Defesa do Consumidor art. 18, 26",
        confidence=Confidence.MEDIUM,
        summary="a fault is the supplier's for 90 days (durable goods); 30 days to mend it",
        days=90,
        refund_at_once=False,
    ),
    Conformity(
        id="IN-ECOM",
        countries=frozenset({"IN"}),
        source="Consumer Protection (E-Commerce) Rules 2020 r. 6",
        confidence=Confidence.LOW,
        summary="no take-back may be refused for defective, deficient or late goods",
        days=None,
        refund_at_once=False,
    ),
)
