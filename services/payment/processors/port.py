"""What payment needs of a processor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.payment.model import PaymentFacts, PaymentLook, SeenRefund, SeenStatus


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


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenCharge:
    """A new charge of ours (a reversal) as the processor shows it."""

    reference: str
    reversal_id: str
    order_id: str
    status: SeenStatus
    """`pending`: a bank debit that takes its days."""
    amount: int
    currency: str
    explanation: str = ""


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

    async def cancel(self, reference: str) -> SeenRefund:
        """Take back a refund that is still pending. Raises ProcessorError where it no longer is."""
        ...

    async def charge(self, submission: Submission) -> SeenCharge:
        """Charge the payment's customer anew, once per key."""
        ...

    async def find_charge(
        self, payment: PaymentFacts, reversal_id: str, since: datetime
    ) -> SeenCharge | None:
        """The charge of a reversal that began at `since`; None: there is nothing with this id."""
        ...

    def charges_since(self, since: datetime) -> AsyncIterator[SeenCharge]:
        """Every charge of a reversal created since then, newest first."""
        ...

    def refunds_between(self, begin: datetime, end: datetime) -> AsyncIterator[Listed]:
        """Every refund created in [begin, end), newest first, whoever made it."""
        ...
