"""What a quote promised."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from contracts.base import Part
from contracts.decisions import Outcome, RefundOn


class Promise(Part):
    """What the customer was told before, and when it was acknowledged."""

    quote_id: str
    amount: int | None = None
    currency: str | None = None
    valid_until: datetime | None = None
    acknowledged_at: datetime | None = None
    outcome: Outcome | None = None
    parts: Mapping[str, int] = Field(default_factory=dict)
    """The parts of the amount that were not zero, in minor units."""
    refund_on: RefundOn | None = None
    units: int | None = None
    """How many units it was about."""
    against: tuple[str, ...] = ()
    """Codes of the findings that spoke against it."""
