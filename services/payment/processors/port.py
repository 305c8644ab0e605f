"""What payment needs of a processor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.payment.model import PaymentFacts, PaymentLook, SeenRefund


class Verdict(StrEnum):
    """What an error of the processor means for a request that was to move money."""

    REFUSED = "refused"
    """The processor said no; nothing was done, and asking again would not help."""
    NOT_SENT = "not_sent"
    """Certain that nothing was done: try again with the same key."""
    UNKNOWN = "unknown"
    """Something may have been done: look it up."""
    DISPUTED = "disputed"
    """Refused because of a dispute: hold it if the dispute is still open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """An error, as it counts for us."""

    verdict: Verdict
    code: str
    explanation: str
    retryable: bool = False
    retry_seconds: int | None = None
    ill: bool = False
    """The processor itself is unwell: the circuit breaker counts it."""


class ProcessorError(Exception):
    """A request failed; `trouble` says what that means."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"{trouble.code}: {trouble.explanation}")
        self.trouble = trouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A refund to be made: `amount` in minor units of `currency` (ISO 4217, upper case)."""

    payment: PaymentFacts
    amount: int
    currency: str
    key: str
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A refund of the processor's own list, for reconciliation."""

    refund: SeenRefund
    payment_reference: str
    created_at: datetime


class Processor(Protocol):
    """Every call raises ProcessorError; none of them repeats a request by itself."""

    name: str

    async def look(
        self, payment: PaymentFacts, *, now: datetime, with_refunds: bool = False
    ) -> PaymentLook:
        """Captured amount, disputes, and refunds where there are any (or `with_refunds`)."""
        ...

    async def submit(self, submission: Submission) -> SeenRefund:
        """Make the refund, once per key."""
        ...

    async def find(
        self, payment: PaymentFacts, refund_id: str, reference: str | None = None
    ) -> SeenRefund | None:
        """Our refund as the processor has it; None: there is nothing with this id."""
        ...

    async def charge(self, submission: Submission) -> str:
        """Charge the payment's customer anew; the new payment's reference."""
        ...

    def refunds_since(self, since: datetime) -> AsyncIterator[Listed]:
        """Every refund created since then, newest first, whoever made it."""
        ...
