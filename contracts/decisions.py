"""Topic `returns.decisions`: what commerce decided, and what it released to be carried out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from contracts.base import (
    Bps,
    Currency,
    Flag,
    Free,
    FreeObject,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Ordinal,
    Part,
    Points,
    Quantity,
    Ratio,
    ReturnId,
    Sha256,
    SignedMinorUnits,
    Text,
    Version,
)
from contracts.orders import Address
from contracts.requests import Consent, CountedLine, Evidence, Method, Resolution


class Outcome(OpenEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    ESCALATED = "escalated"
    UNKNOWN = "unknown"


class Verdict(OpenEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    REVIEW = "review"
    UNKNOWN = "unknown"


class ShipOn(OpenEnum):
    APPROVAL = "approval"
    PROOF_OF_SENDING = "proof_of_sending"
    RECEIPT = "receipt"
    UNKNOWN = "unknown"


class RefundOn(OpenEnum):
    APPROVAL = "approval"
    PROOF_OF_SENDING = "proof_of_sending"
    RECEIPT = "receipt"
    INSPECTION = "inspection"
    UNKNOWN = "unknown"


class Band(OpenEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    UNKNOWN = "unknown"


class Effect(OpenEnum):
    SUPPORTS = "supports"
    OPPOSES = "opposes"
    REQUIRES_REVIEW = "requires_review"
    BLOCKS = "blocks"
    UNKNOWN = "unknown"


class EscalationReason(OpenEnum):
    ORDER_NOT_FOUND = "order_not_found"
    OUTSIDE_WINDOW = "outside_window"
    FRAUD_SUSPECTED = "fraud_suspected"
    CONFLICTING_EVIDENCE = "conflicting_evidence"
    INVENTORY_CONTRADICTION = "inventory_contradiction"
    PAYMENT_NOT_REFUNDABLE = "payment_not_refundable"
    SETTLEMENT_FAILED = "settlement_failed"
    HIGH_RISK_JURISDICTION = "high_risk_jurisdiction"
    AMOUNT_OVER_LIMIT = "amount_over_limit"
    ASSESSMENT_TIMEOUT = "assessment_timeout"
    LOW_CONFIDENCE = "low_confidence"
    QUARANTINED_MESSAGE = "quarantined_message"
    POLICY_GAP = "policy_gap"
    UNKNOWN = "unknown"


class Recommendation(OpenEnum):
    APPROVE = "approve"
    REJECT = "reject"
    ADJUST = "adjust"
    VERIFY = "verify"
    UNKNOWN = "unknown"


class LegalBasis(OpenEnum):
    STATUTORY_WITHDRAWAL = "statutory_withdrawal"
    LACK_OF_CONFORMITY = "lack_of_conformity"
    MERCHANT_POLICY = "merchant_policy"
    GOODWILL = "goodwill"
    UNKNOWN = "unknown"


class DeciderKind(OpenEnum):
    AGENT = "agent"
    HUMAN = "human"
    UNKNOWN = "unknown"


class CloseOutcome(OpenEnum):
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class DecidedReplacement(Part):
    sku: Identifier
    quantity: Quantity
    unit_price: MinorUnits | None = None
    ship_on: ShipOn
    ship_by: Instant | None = None


class DecidedLine(Part):
    line_id: Identifier | None = None
    """Absent where no order is known."""
    sku: Identifier | None = None
    quantity: Quantity
    units: tuple[Ordinal, ...] = ()
    """Ordinals within the order line, from 1."""
    verdict: Verdict
    items: MinorUnits = 0
    tax: MinorUnits = 0
    restocking_fee: MinorUnits = 0
    refund: SignedMinorUnits = 0
    """items + tax - restocking_fee."""


class RefundBreakdown(Part):
    """Parts net of tax; ``total`` = items + tax + shipping minus the four deductions."""

    items: MinorUnits = 0
    tax: MinorUnits = 0
    shipping: MinorUnits = 0
    restocking_fee: MinorUnits = 0
    return_shipping_fee: MinorUnits = 0
    diminished_value: MinorUnits = 0
    loyalty_deduction: MinorUnits = 0
    total: MinorUnits = 0


class Allocation(Part):
    payment_id: Identifier
    amount: MinorUnits


class DecidedSettlement(Part):
    method: Method
    allocations: tuple[Allocation, ...] = ()


class DecidedReturn(Part):
    """The way back of the goods."""

    required: Flag
    address: Address | None = None
    label_provided: Flag = False
    send_by: Instant | None = None
    outstanding: tuple[CountedLine, ...] = ()


class LineUnits(Part):
    line_id: Identifier
    units: tuple[Ordinal, ...]


class Release(Part):
    """What may be paid now; the decision's ``refund`` stays the whole approval."""

    lines: tuple[LineUnits, ...]
    amount: MinorUnits


class DecidedLoyalty(Part):
    points_to_reverse: Points = 0
    points_to_restore: Points = 0


class Finding(Part):
    code: Identifier
    effect: Effect
    weight: Ratio
    explanation: Text
    rule_id: Identifier
    source: Text | None = None


class ReviewChoice(Part):
    decision: Identifier
    effect: Text


class CaseFact(Part):
    name: Identifier
    value: Free
    """Null where it is known that there is none: written all the same."""
    as_of: Instant | None = None

    @model_serializer(mode="wrap")
    def _with_value(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"name": self.name, "value": None, **written(self)}


class ReviewCase(Part):
    """Everything that a reviewer sees. ``case_sha256`` is over the values, not their ``as_of``."""

    case_sha256: Sha256
    choices: tuple[ReviewChoice, ...] = ()
    facts: tuple[CaseFact, ...] = ()
    history: tuple[FreeObject, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Escalation(Part):
    reason: EscalationReason
    recommendation: Recommendation
    recommended_amount: MinorUnits | None = None
    context: FreeObject = Field(default_factory=dict)
    case: ReviewCase


class PolicyReference(Part):
    id: Identifier
    version: Identifier


class LawReference(Part):
    version: Identifier


class FactsUsed(Part):
    order_version: Version | None = None
    fulfillment_as_of: Instant | None = None
    payment_as_of: Instant | None = None
    inputs_sha256: Sha256


class DecidedBy(Part):
    kind: DeciderKind
    id: Identifier


class ReturnDecisionMade(Message):
    """Sequence 1, 2, …: a later decision replaces an earlier one of the same return."""

    return_id: ReturnId
    order_id: Identifier | None = None
    sequence: Ordinal
    decision: Outcome
    resolution: Resolution
    replacement: DecidedReplacement | None = None
    refund_on: RefundOn | None = None
    lines: tuple[DecidedLine, ...]
    currency: Currency | None = None
    refund: RefundBreakdown | None = None
    settlement: DecidedSettlement
    return_: Annotated[DecidedReturn, Field(alias="return")]
    release: Release | None = None
    loyalty: DecidedLoyalty = DecidedLoyalty()
    refund_due: Instant | None = None
    confidence: Ratio
    confidence_band: Band
    fraud_probability: Ratio
    findings: tuple[Finding, ...] = ()
    counterfactual: Text | None = None
    escalation: Escalation | None = None
    policy: PolicyReference
    law: LawReference
    legal_basis: LegalBasis
    facts: FactsUsed
    decided_by: DecidedBy
    test: Flag = False
    decided_at: Instant


class TaxLeg(Part):
    rate_bps: Bps
    net: SignedMinorUnits
    tax: SignedMinorUnits


class Legs(Part):
    """What is booked beside the money: points and tax, on a release's first refund only."""

    loyalty: DecidedLoyalty = DecidedLoyalty()
    tax: tuple[TaxLeg, ...] = ()


class RefundReleased(Message):
    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    method: Method
    payment_id: Identifier | None = None
    amount: MinorUnits
    currency: Currency
    decision_sequence: Ordinal
    lines: tuple[LineUnits, ...] = ()
    legs: Legs | None = None
    replaces_refund_id: Identifier | None = None
    reference: Text | None = None
    """Of a payment that a person made."""
    release_reason: Text
    test: Flag = False
    released_at: Instant


class RefundVoided(Message):
    return_id: ReturnId
    order_id: Identifier
    refund_id: Identifier
    reason: Text
    test: Flag = False


class ReplacementReleased(Message):
    return_id: ReturnId
    order_id: Identifier
    replacement_id: Identifier
    sku: Identifier
    quantity: Quantity
    ship_by: Instant | None = None
    test: Flag = False


class ReversalReleased(Message):
    return_id: ReturnId
    order_id: Identifier
    reversal_id: Identifier
    payment_id: Identifier | None = None
    amount: MinorUnits
    currency: Currency
    consent: Consent | None = None
    test: Flag = False


class ReturnClosed(Message):
    return_id: ReturnId
    order_id: Identifier | None = None
    outcome: CloseOutcome
    sequence: Ordinal | None = None
    test: Flag = False
