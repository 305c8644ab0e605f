"""What the gateway knows of a return: a view, folded from the messages that named it."""

from __future__ import annotations

from enum import StrEnum

from contracts.base import Identifier, Instant, MinorUnits, Ordinal, Part, ReturnId, Text
from contracts.decisions import Allocation, ReturnDecisionMade
from contracts.fulfillment import Disposition, ReturnLabelIssued
from contracts.lifecycle import ReturnStatusChanged
from contracts.requests import Method
from contracts.warehouse import Grade


class RefundState(StrEnum):
    RESERVED = "reserved"
    SUBMITTING = "submitting"
    REFUSED = "refused"
    PENDING_SETTLEMENT = "pending_settlement"
    SETTLED = "settled"
    SETTLEMENT_FAILED = "settlement_failed"
    OUTCOME_UNKNOWN = "outcome_unknown"
    VOIDED = "voided"


GIVES_BACK = frozenset({RefundState.REFUSED, RefundState.SETTLEMENT_FAILED, RefundState.VOIDED})
"""States in which a refund holds nothing of its payment any more."""


class GoodsState(StrEnum):
    """Of the whole return: how far its furthest unit has come."""

    NONE = "none"
    NOT_REQUIRED = "not_required"
    AUTHORISED = "authorised"
    LABEL_ISSUED = "label_issued"
    NEVER_SENT = "never_sent"
    IN_TRANSIT = "in_transit"
    LOST = "lost"
    DELIVERED = "delivered"
    RECEIVED = "received"
    INSPECTED = "inspected"
    RESTOCKED = "restocked"
    REFURBISH = "refurbish"
    LIQUIDATED = "liquidated"
    RECYCLED = "recycled"
    DISPOSED = "disposed"
    SENT_BACK = "sent_back"


class Refund(Part):
    """One released refund and where its money is."""

    refund_id: Identifier
    method: Method
    payment_id: Identifier | None = None
    amount: MinorUnits
    currency: str
    state: RefundState
    processor_reference: Identifier | None = None
    sequence: Ordinal | None = None
    """Of the decision that released it."""
    attempt: int = 0


class Reservation(Part):
    """What stands reserved, and what was given back, for the decision of `sequence`."""

    sequence: Ordinal
    currency: str
    allocations: tuple[Allocation, ...] = ()
    voided: tuple[Allocation, ...] = ()


class LineGoods(Part):
    """Of one order line: the units counted in, and the worst grade seen."""

    line_id: Identifier
    units: tuple[Ordinal, ...] = ()
    unnamed: int = 0
    """Counted units whose ordinals nobody named."""
    inspected: int = 0
    grade: Grade | None = None

    @property
    def received(self) -> int:
        return len(self.units) + self.unnamed


class Sighting(Part):
    """What somebody saw of a parcel, in a sentence that a customer can read."""

    at: Instant
    what: Text
    tracking_number: Identifier | None = None


class Goods(Part):
    shipped: bool = False
    delivered: bool = False
    lost: bool = False
    never_sent: bool = False
    disposition: Disposition | None = None
    lines: tuple[LineGoods, ...] = ()
    tracking: tuple[Sighting, ...] = ()
    """Earliest first."""


class View(Part):
    """Everything that the gateway knows of a return."""

    return_id: ReturnId
    asked_order_id: Identifier | None = None
    """The order that the request names."""
    requested_at: Instant
    changes: tuple[ReturnStatusChanged, ...] = ()
    """By `number`, ascending, each once."""
    changed: int = 0
    """How many status changes were received, also those that came twice."""
    decision: ReturnDecisionMade | None = None
    """The one with the highest sequence."""
    reservation: Reservation | None = None
    refunds: tuple[Refund, ...] = ()
    label: ReturnLabelIssued | None = None
    goods: Goods = Goods()
    replacement_released: bool = False
    replacement_failed: bool = False
    """It could not be sent, at least once: who says so may be heard before who released it."""

    @property
    def latest(self) -> ReturnStatusChanged | None:
        return self.changes[-1] if self.changes else None

    @property
    def order_id(self) -> str | None:
        """As commerce last named it: a person may have linked another than the one asked for."""
        named = (change.order_id for change in reversed(self.changes) if change.order_id)
        decided = self.decision.order_id if self.decision else None
        return next(named, None) or decided or self.asked_order_id
