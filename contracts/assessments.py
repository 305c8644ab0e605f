"""Topic `returns.assessments` and its answers: the facts commerce asks for before it decides."""

from __future__ import annotations

from contracts.base import (
    Bps,
    Count,
    CountryCode,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Ordinal,
    Part,
    Quantity,
    ReturnId,
    SignedMinorUnits,
    Text,
    Version,
)
from contracts.orders import Address, PaymentMethod
from contracts.requests import Condition, Method, Reason, Resolution


class Purpose(OpenEnum):
    INITIAL = "initial"
    REFRESH = "refresh"
    UNKNOWN = "unknown"


class AssessedLine(Part):
    line_id: Identifier
    sku: Identifier
    quantity: Quantity
    reason: Reason
    condition: Condition | None = None


class AssessmentRequested(Message):
    return_id: ReturnId
    order_id: Identifier
    order_version: Version
    round: Ordinal
    lines: tuple[AssessedLine, ...]
    resolution: Resolution
    replacement_sku: Identifier | None = None
    country: CountryCode
    region: Identifier | None = None
    purpose: Purpose
    test: Flag = False
    requested_at: Instant


class DeliveredUnits(Part):
    """What one parcel brought of a line."""

    quantity: Quantity
    delivered_at: Instant


class SentInPlace(Part):
    """Units of the line that a replacement stands for: another return of the order brought them."""

    quantity: Quantity
    sku: Identifier
    shipped_at: Instant
    delivered_at: Instant | None = None


class LineReturnability(Part):
    line_id: Identifier
    returnable: Flag
    refusal: Text | None = None
    restocking_fee_bps: Bps = 0
    delivered_at: Instant | None = None
    received_quantity: Count = 0
    on_the_way_quantity: Count = 0
    """Units of the line that a carrier has, or that were delivered and not counted yet."""
    deliveries: tuple[DeliveredUnits, ...] = ()
    """Parcel by parcel, earliest first; ``delivered_at`` is the last one's."""
    replacements: tuple[SentInPlace, ...] = ()
    """What the customer has instead of units that came back, earliest first. Those units count
    neither as received nor as returned any more."""


class LabelOffer(Part):
    provided: Flag
    fee: MinorUnits = 0


class Contradiction(Part):
    code: Identifier
    system_state: Text
    physical_state: Text


class ReplacementOffer(Part):
    sku: Identifier
    available: Flag
    ship_by: Instant | None = None


class ReturnabilityAssessed(Message):
    return_id: ReturnId
    order_id: Identifier
    order_version: Version
    round: Ordinal
    as_of: Instant
    lines: tuple[LineReturnability, ...]
    return_address: Address | None = None
    label: LabelOffer = LabelOffer(provided=False)
    contradictions: tuple[Contradiction, ...] = ()
    replacement: ReplacementOffer | None = None
    test: Flag = False


class DisputeState(OpenEnum):
    NONE = "none"
    OPEN = "open"
    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


class PaymentRefundability(Part):
    payment_id: Identifier
    method: PaymentMethod
    network: Text | None = None
    last4: Text | None = None
    processed_at: Instant
    captured: MinorUnits
    refunded: MinorUnits = 0
    reserved: MinorUnits = 0
    refundable: SignedMinorUnits
    refund_until: Instant | None = None
    dispute: DisputeState = DisputeState.NONE
    accepts_refund: Flag = True
    refusal: Text | None = None


class RefundabilityAssessed(Message):
    return_id: ReturnId
    order_id: Identifier
    order_version: Version
    round: Ordinal
    as_of: Instant
    payments: tuple[PaymentRefundability, ...]
    alternatives: tuple[Method, ...] = ()
    summary: Text = ""
    test: Flag = False
