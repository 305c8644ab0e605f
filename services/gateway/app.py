"""Puts the gateway together: the read model's service, and the calls in front of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from services.chassis import faults
from services.chassis.http import Problem, problem_response
from services.chassis.keys import ApiKeys
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.telemetry import log
from services.gateway.api import docs, orders, returns, reviews, warehouse
from services.gateway.gateway import NAME, Gateway
from services.gateway.handlers import HANDLERS
from services.gateway.store import Store
from services.gateway.streams import Streams
from services.gateway.work import GatewayWork

ROUTERS = (orders.router, returns.router, reviews.router, warehouse.router, docs.router)
QUOTE_SECONDS_MAX = 5.0
HOUSEKEEPING_SECONDS = 3600
READ_MODEL_BATCHES_PER_SECOND_MAX = 8.0
"""Under load the read model is an eighth of a second behind, and leaves the cores to the rest."""
FROM_STORE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

APP: dict[str, Any] = {
    "docs_url": None,
    "openapi_url": None,
    "redirect_slashes": False,
    "responses": {},
}
"""The gateway's own documentation needs nothing from the internet."""


def build(settings: Settings, pool: Any) -> Service[GatewayWork]:
    return Service(
        name=NAME,
        work=lambda now: GatewayWork(now=now),
        handlers=HANDLERS,
        batches_per_second_max=READ_MODEL_BATCHES_PER_SECOND_MAX,
    )


def routes(app: FastAPI, runtime: Runtime) -> None:
    """Add the gateway's calls to an app, in front of a running service."""
    store = Store(runtime.pool)
    gateway = Gateway(
        settings=runtime.settings,
        store=store,
        clock=runtime.clock,
        keys=ApiKeys(runtime.settings),
        streams=Streams(store),
        commerce=httpx.AsyncClient(
            base_url=runtime.settings.commerce_url, timeout=QUOTE_SECONDS_MAX
        ),
    )
    app.state.gateway = gateway
    for router in ROUTERS:
        app.include_router(router)
    for kind in FROM_STORE:
        app.add_exception_handler(kind, on_store_failure)
    if not gateway.keys.configured:
        log.warning("no_api_keys", listens_on="loopback only", every_call="is allowed")
    runtime.tasks.append(asyncio.create_task(keep_house(gateway)))


async def on_store_failure(request: Request, error: Exception) -> JSONResponse:
    """503 where waiting helps; anything else is our mistake."""
    path = request.url.path
    if not faults.is_transient(error):
        log.error("http_failed", path=path, exc_info=error)
        return problem_response(Problem(500, "something failed here; it has been logged"))
    log.warning("store_unwell", path=path, error=faults.described(error))
    response = problem_response(Problem(503, "the store cannot be reached: try again"))
    response.headers["Retry-After"] = "1"
    return response


async def keep_house(gateway: Gateway) -> None:
    """Until cancelled: drop idempotency keys that nobody will repeat any more."""
    try:
        while True:
            with suppress(*FROM_STORE):
                await gateway.store.drop_old_keys(gateway.now())
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
    finally:
        await gateway.streams.close()
        await gateway.commerce.aclose()
