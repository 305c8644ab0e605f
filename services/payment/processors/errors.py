"""Stripe's errors in one table: what each means for a request that was to move money.

The first row that fits counts. `status` and `code` None: any.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import ceil

import aiohttp
import stripe

from services.payment.processors.port import Trouble, Verdict

IDEMPOTENCY = "https://docs.stripe.com/api/idempotent_requests"
ERRORS = "https://docs.stripe.com/api/errors"
HANDLING = "https://docs.stripe.com/error-handling"
LOW_LEVEL = "https://docs.stripe.com/error-low-level"
CODES = "https://docs.stripe.com/error-codes"
LIMITS = "https://docs.stripe.com/rate-limits"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    error: type[Exception]
    status: int | None = None
    code: str | None = None
    verdict: Verdict
    ill: bool = False
    retryable: bool = False
    source: str


UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""Failures before the first byte of the request left: no connection, or none free in time."""

TABLE: tuple[Row, ...] = (
    # Stopped at the door: 429 is answered before the request is looked at.
    Row(error=stripe.RateLimitError, verdict=Verdict.NOT_SENT, source=LIMITS),
    # The key was used with other parameters, or is in use at this moment: something may be there.
    Row(error=stripe.IdempotencyError, verdict=Verdict.UNKNOWN, source=IDEMPOTENCY),
    Row(error=stripe.StripeError, status=409, verdict=Verdict.UNKNOWN, source=LOW_LEVEL),
    # A key of ours is wrong or lacks a right: nothing was done; a person mends the configuration.
    Row(error=stripe.AuthenticationError, verdict=Verdict.NOT_SENT, source=HANDLING),
    Row(error=stripe.PermissionError, verdict=Verdict.NOT_SENT, source=HANDLING),
    # The bank or the card said no.
    Row(error=stripe.CardError, verdict=Verdict.REFUSED, source=HANDLING),
    Row(
        error=stripe.InvalidRequestError,
        code="charge_disputed",
        verdict=Verdict.DISPUTED,
        source=CODES,
    ),
    Row(
        error=stripe.InvalidRequestError,
        code="balance_insufficient",
        verdict=Verdict.REFUSED,
        retryable=True,
        source=CODES,
    ),
    Row(error=stripe.InvalidRequestError, verdict=Verdict.REFUSED, source=ERRORS),
    # 5xx: indeterminate, and the key replays it.
    Row(error=stripe.APIError, verdict=Verdict.UNKNOWN, ill=True, source=LOW_LEVEL),
    Row(error=stripe.APIConnectionError, verdict=Verdict.UNKNOWN, ill=True, source=LOW_LEVEL),
    Row(error=stripe.StripeError, verdict=Verdict.UNKNOWN, source=ERRORS),
)


def trouble(error: stripe.StripeError) -> Trouble:
    """What an error of the client means. Total: what no row knows is unknown."""
    code = error.code or ""
    if isinstance(error, stripe.APIConnectionError) and isinstance(error.__cause__, UNSENT):
        return Trouble(
            verdict=Verdict.NOT_SENT,
            code="unreachable",
            explanation=_text(error),
            retryable=True,
            ill=True,
        )
    row = next(each for each in TABLE if _fits(each, error, code))
    return Trouble(
        verdict=row.verdict,
        code=code or _snake(type(error).__name__),
        explanation=_text(error),
        retryable=row.retryable,
        retry_seconds=_retry_seconds(error),
        ill=row.ill,
    )


def _fits(row: Row, error: stripe.StripeError, code: str) -> bool:
    return (
        isinstance(error, row.error)
        and row.status in (None, error.http_status)
        and row.code in (None, code)
    )


def _text(error: stripe.StripeError) -> str:
    cause = error.__cause__
    if cause is not None:
        return f"{type(cause).__name__} while talking to the processor"
    return (error.user_message or type(error).__name__)[:500]


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")


def _retry_seconds(error: stripe.StripeError) -> int | None:
    """Retry-After as RFC 9110 allows it: seconds, or a date, measured from the answer's own."""
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    wish = headers.get("retry-after", "").strip()
    if wish.isascii() and wish.isdigit():
        return int(wish)
    try:
        wait = parsedate_to_datetime(wish) - parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return max(ceil(wait.total_seconds()), 0)
