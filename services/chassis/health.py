"""Whether a service can do its work, and which part is to blame when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from services.chassis.bus import Consumer
from services.chassis.relay import Relay

PING_SECONDS_MAX = 2.0

FailingParts = Callable[[], Awaitable[dict[str, str]]]


class StorePing:
    """Asks the store whether it answers, one question at a time.

    A question that hangs is left hanging: to cancel it the driver would have to reach the server,
    which is just what does not answer.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._asking: asyncio.Future[Any] | None = None

    async def trouble(self) -> str | None:
        """What is wrong, known within PING_SECONDS_MAX; None when it answers."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._pool.fetchval("SELECT 1"))
        asked = self._asking
        await asyncio.wait({asked}, timeout=PING_SECONDS_MAX)
        if not asked.done() or asked.cancelled():
            return f"does not answer within {PING_SECONDS_MAX:.0f} s"
        error = asked.exception()
        return f"does not answer: {type(error).__name__}" if error is not None else None


async def failing_parts(store: StorePing, consumer: Consumer, relay: Relay) -> dict[str, str]:
    """Part (`store`, `broker`, `relay`) -> what is wrong with it."""
    trouble, broker_answers = await asyncio.gather(store.trouble(), consumer.ping())
    broker = consumer.failing if broker_answers else consumer.failing or "does not answer"
    found = {"store": trouble, "broker": broker, "relay": relay.failing}
    return {part: reason for part, reason in found.items() if reason is not None}


def add_readiness(app: FastAPI, failing: FailingParts) -> None:
    """GET /readyz: 200, or 503 with each failing part and its reason."""

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        parts = await failing()
        return JSONResponse(
            {"status": "not ready" if parts else "ready", "failing": parts},
            status_code=503 if parts else 200,
        )
