"""Our own limit of requests: kept in every second, never slower than it has to be."""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.settings import Settings
from services.payment.configuration import LIVE, NONE, TEST, Limits, MoneySettings
from services.payment.processors import limiter
from services.payment.processors.limiter import Bucket, Limiter, operation

ROUNDING = 1e-6
LIMIT = 20


def starts(limit: int, pauses: list[float]) -> list[float]:
    """When requests go that are wanted after these pauses."""
    bucket, found = Bucket(limit=limit), []
    for wanted in accumulate(pauses, initial=1000.0):
        bucket, seconds = bucket.take(wanted)
        found.append(wanted + seconds)
    return found


@given(limit=st.integers(1, 120), pauses=st.lists(st.floats(0, 0.3), max_size=150))
def test_no_second_has_more_requests_than_the_limit(limit: int, pauses: list[float]) -> None:
    found = starts(limit, pauses)
    assert found == sorted(found)
    for first, beyond in zip(found, found[limit:], strict=False):
        assert beyond - first >= 1 - ROUNDING


@given(limit=st.integers(2, 120), count=st.integers(1, 300))
def test_a_crowd_waits_no_longer_than_four_fifths_of_the_limit_demand(
    limit: int, count: int
) -> None:
    assert starts(limit, [0.0] * (count - 1))[-1] - 1000 <= count / (0.8 * limit)


def test_who_comes_rarely_never_waits() -> None:
    assert starts(25, [0.05] * 100) == list(accumulate([0.05] * 100, initial=1000.0))


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("get", "/v1/refunds", "get v1 refunds"),
        ("get", "/v1/refunds/re_1", "get v1 refunds *"),
        ("post", "/v1/refunds/re_1/cancel", "post v1 refunds * cancel"),
    ],
)
def test_a_kind_of_request_knows_no_ids(method: str, path: str, kind: str) -> None:
    assert operation(method, path) == kind


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for; the clock stands still and nobody waits."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(round(seconds, 3))

    monkeypatch.setattr(limiter, "_now", lambda: 1000.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


@pytest.mark.asyncio
async def test_one_kind_of_request_does_not_hold_back_another(waits: list[float]) -> None:
    own = Limiter("stripe", per_second=100, per_operation=5)
    for _ in range(3):
        await own.turn("post", "/v1/refunds")
    await own.turn("get", "/v1/refunds/re_1")
    assert waits == [0.2, 0.4]


@pytest.mark.asyncio
async def test_all_kinds_together_keep_the_limit_of_all(waits: list[float]) -> None:
    own = Limiter("stripe", per_second=5, per_operation=5)
    for kind in ("refunds", "charges", "disputes"):
        await own.turn("get", f"/v1/{kind}")
    assert waits == [0.2, 0.4]


REAL = "https://api.stripe.example"


@pytest.mark.parametrize(
    ("key", "base", "own", "limits"),
    [
        ("sk_live_1", "", {}, LIVE),
        ("rk_live_1", REAL, {}, LIVE),
        ("sk_test_1", "", {}, TEST),
        ("sk_test_1", "http://127.0.0.1:1", {}, NONE),
        ("sk_live_1", "", {"stripe_requests_per_second": 500}, Limits(all=500, operation=25)),
        (
            "sk_test_1",
            "http://127.0.0.1:1",
            {"stripe_operation_requests_per_second": 3},
            Limits(all=None, operation=3),
        ),
    ],
)
def test_the_limit_is_stripe_s_own_unless_the_merchant_names_another(
    key: str, base: str, own: dict[str, Any], limits: Limits
) -> None:
    settings = Settings(stripe_api_key=key, stripe_api_base=base)
    assert MoneySettings(**own).limits(settings) == limits
