"""When a processor wants to be asked again: a number of seconds, or a date."""

from __future__ import annotations

import pytest
import stripe

from services.payment.processors.errors import trouble
from services.payment.processors.port import Verdict

DATE = "Wed, 25 Nov 2026 20:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "Wed, 25 Nov 2026 20:00:30 GMT", "date": DATE}, 30),
        ({"Retry-After": "Wed, 25 Nov 2026 19:59:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Wed, 25 Nov 2026 20:00:30 GMT"}, None),
        ({"Retry-After": "soon", "Date": DATE}, None),
        ({"Retry-After": "-5", "Date": DATE}, None),
        ({}, None),
    ],
)
def test_retry_after_is_heard(headers: dict[str, str], seconds: int | None) -> None:
    error = stripe.RateLimitError("too many", http_status=429, headers=headers)
    found = trouble(error)
    assert (found.verdict, found.retry_seconds) == (Verdict.NOT_SENT, seconds)
