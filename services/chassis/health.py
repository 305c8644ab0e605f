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


async def failing_parts(pool: Any, consumer: Consumer, relay: Relay) -> dict[str, str]:
    """Part (`store`, `broker`, `relay`) -> what is wrong with it."""
    store, broker_answers = await asyncio.gather(_store(pool), consumer.ping())
    broker = consumer.failing if broker_answers else consumer.failing or "does not answer"
    found = {"store": store, "broker": broker, "relay": relay.failing}
    return {part: reason for part, reason in found.items() if reason is not None}


async def _store(pool: Any) -> str | None:
    try:
        async with asyncio.timeout(PING_SECONDS_MAX):
            await pool.fetchval("SELECT 1")
    except Exception as error:
        return f"does not answer: {type(error).__name__}"
    return None


def add_readiness(app: FastAPI, failing: FailingParts) -> None:
    """GET /readyz: 200, or 503 with each failing part and its reason."""

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        parts = await failing()
        return JSONResponse(
            {"status": "not ready" if parts else "ready", "failing": parts},
            status_code=503 if parts else 200,
        )
