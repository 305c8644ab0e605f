"""Topic `returns.reviews`: what a person decided."""

from __future__ import annotations

from contracts.base import (
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Part,
    ReturnId,
    Sha256,
    Text,
)
from contracts.requests import Method


class ReviewDecision(OpenEnum):
    APPROVE = "approve"
    REJECT = "reject"
    ADJUST = "adjust"
    REQUEST_EVIDENCE = "request_evidence"
    LINK_ORDER = "link_order"
    UNKNOWN = "unknown"


class ReviewedSettlement(Part):
    method: Method
    reference: Text | None = None


class ReviewDecided(Message):
    """Bound to the case that the reviewer saw by ``case_sha256``."""

    return_id: ReturnId
    order_id: Identifier | None = None
    decision: ReviewDecision
    amount: MinorUnits | None = None
    settlement: ReviewedSettlement | None = None
    linked_order_id: Identifier | None = None
    reason: Text
    reviewer: Identifier
    case_sha256: Sha256 | None = None
    """Absent only in a merchant's own decision that came with the request."""
    decided_at: Instant
