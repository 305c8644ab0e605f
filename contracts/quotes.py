"""What a return would bring: the answer of `POST /returns/quote`. Commits nothing."""

from __future__ import annotations

from contracts.base import Currency, Identifier, Instant, Part, Text
from contracts.decisions import DecidedLine, Finding, Outcome, RefundBreakdown, RefundOn


class Quote(Part):
    quote_id: Identifier
    order_id: Identifier | None = None
    decision: Outcome
    """What the agent would decide today."""
    lines: tuple[DecidedLine, ...]
    currency: Currency | None = None
    refund: RefundBreakdown
    refund_on: RefundOn | None = None
    refund_due: Instant | None = None
    would_ask: tuple[Text, ...] = ()
    """What a person would want to see before approving."""
    findings: tuple[Finding, ...] = ()
    valid_until: Instant
