"""The circuit breaker: five failures in a row open it, and one request at a time tries again."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from services.payment.processors.breaker import (
    FAILURES_MAX,
    OPEN_SECONDS_MAX,
    OPEN_SECONDS_MIN,
    Breaker,
    CircuitOpen,
)
from services.payment.processors.port import ProcessorError, Trouble, Verdict
from tests.driving import SteppedClock

pytestmark = pytest.mark.asyncio

ILL = ProcessorError(Trouble(verdict=Verdict.UNKNOWN, code="timeout", explanation="", ill=True))
PROMISED_DRAIN_SECONDS = 30


async def fail(breaker: Breaker, *, at_once: int = 1) -> None:
    """So many requests, all sent before the first of them fails."""
    with suppress(ProcessorError):
        async with breaker.guarded():
            if at_once > 1:
                await fail(breaker, at_once=at_once - 1)
            raise ILL


async def test_what_was_sent_before_it_opened_does_not_keep_it_open_longer() -> None:
    clock = SteppedClock()
    breaker = Breaker(clock)
    await fail(breaker, at_once=FAILURES_MAX + 10)
    with pytest.raises(CircuitOpen):
        breaker.check()
    clock.at += timedelta(seconds=OPEN_SECONDS_MIN)
    breaker.check()


async def test_each_failed_probe_doubles_the_wait_up_to_half_of_the_promised_drain() -> None:
    clock = SteppedClock()
    breaker = Breaker(clock)
    await fail(breaker, at_once=FAILURES_MAX)
    for wait in (2, 4, 8, 15, 15):
        clock.at += timedelta(seconds=wait - 1)
        with pytest.raises(CircuitOpen):
            breaker.check()
        clock.at += timedelta(seconds=1)
        await fail(breaker)
    assert OPEN_SECONDS_MAX * 2 <= PROMISED_DRAIN_SECONDS


async def test_an_answer_closes_it() -> None:
    clock = SteppedClock()
    breaker = Breaker(clock)
    await fail(breaker, at_once=FAILURES_MAX)
    clock.at += timedelta(seconds=OPEN_SECONDS_MIN)
    async with breaker.guarded():
        with pytest.raises(CircuitOpen):  # one at a time
            breaker.check()
    breaker.check()
    assert not breaker.open
