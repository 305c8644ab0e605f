"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_SECONDS = 0.02


async def wait_for(
    condition: Callable[[], Found | Awaitable[Found]],
    *,
    seconds: float = 30,
    what: str = "the condition",
) -> Found:
    """The first true value of `condition`, which may be a coroutine function."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come true within {seconds} s: last {value!r}")
        await asyncio.sleep(POLL_SECONDS)


def wait_until(
    condition: Callable[[], Found], *, seconds: float = 30, what: str = "the condition"
) -> Found:
    """The first true value of a plain function, for tests without an event loop."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"{what} did not come true within {seconds} s: {value!r}"
        time.sleep(POLL_SECONDS)
    return value
