"""A carrier, an inventory and a warehouse over real HTTP, which misbehave on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest_asyncio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from services.commerce import app as commerce
from services.fulfillment import app as fulfillment
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.integration.fulfillment.pair import Pair

EXPIRES = datetime(2026, 4, 30, tzinfo=UTC).isoformat()


@dataclass
class OutsideWorld:
    """What the world holds, and how its next answers go wrong."""

    url: str = ""
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    voided: list[str] = field(default_factory=list)
    stock: dict[str, int] = field(default_factory=dict)
    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)
    restocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    behaviours: list[str] = field(default_factory=list)
    purchases: int = 0
    refuses: set[str] = field(default_factory=set)
    """Paths whose calls are answered with a no."""

    def answer(self, request: Request, body: dict[str, Any]) -> JSONResponse:
        if request.url.path in self.refuses:
            return JSONResponse({"code": "unknown_sku", "message": "no such article"}, 422)
        return JSONResponse(body, 201)

    def buy(self, body: dict[str, Any]) -> JSONResponse:
        """Keys are forgotten and references not deduplicated: exactly-once is the caller's work."""
        behaviour = self.behaviours.pop(0) if self.behaviours else "ok"
        self.purchases += 1
        if behaviour == "refused":
            return JSONResponse({"code": "address_invalid", "message": "no such street"}, 422)
        if behaviour == "error_500":
            return JSONResponse({"code": "broken"}, 500)
        number = f"T{self.purchases}"
        label = {
            "reference": body["reference"],
            "carrier": "sandbox",
            "tracking_number": number,
            "label_url": f"{self.url}/{number}.pdf",
            "qr_url": f"{self.url}/{number}.png",
            "expires_at": EXPIRES,
            "sent": body,
        }
        self.labels[number] = label
        if behaviour == "error_500_after_success":
            return JSONResponse({"code": "broken"}, 500)
        return JSONResponse(label, 201)


def routes(world: OutsideWorld) -> FastAPI:
    app = FastAPI()

    @app.post("/carrier/labels")
    async def buy(request: Request) -> JSONResponse:
        return world.buy(await request.json())

    @app.get("/carrier/labels")
    async def find(reference: str) -> dict[str, Any]:
        return {"labels": [x for x in world.labels.values() if x["reference"] == reference]}

    @app.post("/carrier/labels/{number}/void")
    async def void(number: str, request: Request) -> JSONResponse:
        world.voided.append(number)
        return world.answer(request, {})

    @app.get("/inventory/{sku}")
    async def stock(sku: str) -> dict[str, Any]:
        return {"sku": sku, "available": world.stock.get(sku, 0)}

    @app.post("/inventory/reservations")
    async def reserve(request: Request) -> JSONResponse:
        body = await request.json()
        if world.stock.get(body["sku"], 0) < body["quantity"]:
            return JSONResponse({"code": "out_of_stock", "message": "none left"}, 409)
        world.stock[body["sku"]] -= body["quantity"]
        return JSONResponse(body, 201)

    @app.post("/inventory/restocks")
    async def restock(request: Request) -> JSONResponse:
        body: dict[str, Any] = await request.json()
        world.restocks[body["reference"]] = body
        return world.answer(request, body)

    @app.post("/warehouse/shipments")
    async def ship(request: Request) -> JSONResponse:
        body = await request.json()
        made = {"carrier": "sandbox", "tracking_number": f"OUT-{body['reference']}",
                "shipped_at": EXPIRES}  # fmt: skip
        world.shipments.setdefault(body["reference"], body)
        return world.answer(request, made)

    return app


@pytest_asyncio.fixture
async def world() -> AsyncIterator[OutsideWorld]:
    found = OutsideWorld()
    config = uvicorn.Config(routes(found), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    found.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield found
    server.should_exit = True
    await serving


@pytest_asyncio.fixture
async def agent(drive: DriveService, world: OutsideWorld) -> Drive:
    clock = SteppedClock()
    build = partial(fulfillment.build, clock=clock)
    return await drive(build, "fulfillment", clock=clock, sandbox_url=world.url)


@pytest_asyncio.fixture
async def pair(drive: DriveService, world: OutsideWorld) -> Pair:
    clock = SteppedClock()
    return Pair(
        await drive(commerce.build, "commerce", clock=clock),
        await drive(
            partial(fulfillment.build, clock=clock), "fulfillment", clock=clock,
            sandbox_url=world.url,
        ),
    )  # fmt: skip
