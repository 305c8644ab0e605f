"""Topic `fulfillment.events`: where the goods are, and in which condition."""

from __future__ import annotations

from contracts.assessments import ReturnabilityAssessed
from contracts.base import (
    Count,
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
    Text,
    Url,
)
from contracts.requests import CountedLine, Evidence
from contracts.warehouse import Grade

__all__ = [
    "NOT_VOIDED",
    "Disposition",
    "GoodsMessage",
    "InspectedLine",
    "ItemDisposed",
    "ParcelUnmatched",
    "ReceivedLine",
    "ReplacementFailed",
    "ReplacementScheduled",
    "ReplacementShipped",
    "ReturnDelivered",
    "ReturnInspected",
    "ReturnLabelFailed",
    "ReturnLabelIssued",
    "ReturnLost",
    "ReturnNotSent",
    "ReturnReceived",
    "ReturnSentBack",
    "ReturnShipped",
    "ReturnabilityAssessed",
    "ShippedLine",
]


class Disposition(OpenEnum):
    RESTOCKED = "restocked"
    REFURBISH = "refurbish"
    LIQUIDATED = "liquidated"
    """Sold off in bulk."""
    RECYCLED = "recycled"
    DISPOSED = "disposed"
    SENT_BACK = "sent_back"
    UNKNOWN = "unknown"


class ReturnLabelIssued(Message):
    return_id: ReturnId
    order_id: Identifier
    carrier: Text
    tracking_number: Identifier
    label_url: Url
    qr_url: Url | None = None
    expires_at: Instant
    test: Flag = False
    occurred_at: Instant | None = None


class GoodsMessage(Message):
    return_id: ReturnId | None = None
    order_id: Identifier | None = None
    occurred_at: Instant
    test: Flag = False


NOT_VOIDED = "not_voided"
"""Code of a label that nobody needs any more and that the carrier does not take back: its postage
is lost, and nothing else waits for it."""


class ReturnLabelFailed(GoodsMessage):
    code: Identifier
    reason: Text


class ShippedLine(Part):
    line_id: Identifier
    sku: Identifier
    quantity: Quantity
    units: tuple[Ordinal, ...] = ()


class ReceivedLine(Part):
    line_id: Identifier
    sku: Identifier
    quantity: Count
    units: tuple[Ordinal, ...] = ()


class InspectedLine(Part):
    line_id: Identifier
    sku: Identifier
    quantity: Quantity
    units: tuple[Ordinal, ...] = ()
    grade: Grade
    defect_confirmed: Flag | None = None
    note: Text | None = None
    evidence: tuple[Evidence, ...] = ()


class ReturnShipped(GoodsMessage):
    """The first accepted scan of a parcel: proof of sending."""

    tracking_number: Identifier | None = None
    lines: tuple[ShippedLine, ...] = ()


class ReturnDelivered(GoodsMessage):
    tracking_number: Identifier | None = None
    lines: tuple[ShippedLine, ...] = ()


class ReturnReceived(GoodsMessage):
    """Counted by the warehouse."""

    lines: tuple[ReceivedLine, ...]
    carton_weight_grams: MinorUnits | None = None
    expected_weight_grams: MinorUnits | None = None


class ReturnInspected(GoodsMessage):
    lines: tuple[InspectedLine, ...]
    inspector: Text = ""


class ReturnNotSent(GoodsMessage):
    """``send_by`` passed and these units were never handed to a carrier."""

    lines: tuple[CountedLine, ...] = ()


class ReturnLost(GoodsMessage):
    tracking_number: Identifier | None = None
    lines: tuple[CountedLine, ...] = ()
    reason: Text = ""


class ReturnSentBack(GoodsMessage):
    tracking_number: Identifier | None = None
    lines: tuple[CountedLine, ...] = ()
    reason: Text = ""


class ParcelUnmatched(GoodsMessage):
    tracking_number: Identifier | None = None
    reason: Text = ""


class ItemDisposed(GoodsMessage):
    line_id: Identifier
    sku: Identifier
    quantity: Quantity
    units: tuple[Ordinal, ...] = ()
    disposition: Disposition


class ReplacementMessage(GoodsMessage):
    replacement_id: Identifier
    sku: Identifier
    quantity: Quantity


class ReplacementScheduled(ReplacementMessage):
    ship_by: Instant | None = None


class ReplacementShipped(ReplacementMessage):
    carrier: Text | None = None
    tracking_number: Identifier | None = None


class ReplacementFailed(ReplacementMessage):
    reason: Text
