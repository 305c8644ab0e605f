"""A gateway in front of a real store, reached over real HTTP; its topics are fed by hand."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from contracts import decisions, lifecycle
from contracts.base import Message
from contracts.lifecycle import Party, ReturnStatusChanged, Status
from services.chassis import database, http
from services.chassis.clock import WallClock
from services.chassis.pipeline import Pipeline
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from services.gateway import app as gateway_app
from services.gateway.api import examples
from tests.driving import record

Json = dict[str, Any]
NOW = datetime(2026, 3, 14, 10, 0, tzinfo=UTC)


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(kw_only=True)
class Door:
    """A running gateway: `http` calls it, `publish` stands for the bus."""

    http: httpx.AsyncClient
    pool: Any
    pipeline: Pipeline
    app: FastAPI
    offset: int = 0

    async def publish(self, topic: str, *messages: Message, ids: Sequence[str] = ()) -> None:
        """Hand messages to the gateway as one batch of one topic."""
        batch = []
        for index, message in enumerate(messages):
            self.offset += 1
            id_ = ids[index] if ids else None
            batch.append(record(message, topic=topic, id_=id_, offset=self.offset))
        await self.pipeline.process(batch)

    async def changed(self, return_id: str, *statuses: Status, start: int = 1) -> None:
        """Status changes with running numbers."""
        await self.publish(
            "returns.lifecycle",
            *(change(return_id, start + step, status) for step, status in enumerate(statuses)),
        )

    async def outbox(self) -> list[Json]:
        """What is to be published, oldest first."""
        rows = await self.pool.fetch("SELECT * FROM outbox ORDER BY seq")
        return [
            {
                "id": row["id"],
                "topic": row["topic"],
                "key": row["aggregateid"],
                "type": row["type"],
                "headers": json.loads(row["headers"]),
                "body": json.loads(row["payload"]),
            }
            for row in rows
        ]

    async def ask(self, **changes: Any) -> str:
        """Ask for a return; its id."""
        posted = await self.http.post("/returns", json=a_request(**changes))
        assert posted.status_code == 202, posted.text
        return str(posted.json()["return_id"])


def a_request(**changes: Any) -> Json:
    return copy.deepcopy(examples.REQUEST) | {"return_id": new_id()} | changes


def an_order(**changes: Any) -> Json:
    return copy.deepcopy(examples.ORDER) | changes


def change(return_id: str, number: int, status: Status, **more: Any) -> ReturnStatusChanged:
    given = {
        "return_id": return_id,
        "order_id": "order-1001",
        "number": number,
        "status": status,
        "waiting_on": Party.COMMERCE,
        "explanation": f"it is {status}",
        "changed_at": NOW + timedelta(seconds=number),
    }
    return lifecycle.ReturnStatusChanged.model_validate(given | more)


def a_decision(
    return_id: str, outcome: str = "approved", *, sequence: int = 1, **more: Any
) -> decisions.ReturnDecisionMade:
    given: Json = {
        "return_id": return_id,
        "order_id": "order-1001",
        "sequence": sequence,
        "decision": outcome,
        "resolution": "refund",
        "refund_on": "inspection",
        "lines": [
            {
                "line_id": "1",
                "sku": "JACKET-M",
                "quantity": 1,
                "units": [1],
                "verdict": "approved" if outcome == "approved" else "review",
                "items": 20000,
                "tax": 1200,
                "restocking_fee": 0,
                "refund": 21200,
            }
        ],
        "currency": "USD",
        "refund": {"items": 20000, "tax": 1200, "shipping": 1000, "total": 22200},
        "settlement": {
            "method": "original_payment_method",
            "allocations": [{"payment_id": "p1", "amount": 22200}],
        },
        "return": {"required": True, "label_provided": True},
        "confidence": 1.0,
        "confidence_band": "high",
        "fraud_probability": 0.01,
        "policy": {"id": "acme", "version": "1"},
        "law": {"version": "1"},
        "legal_basis": "merchant_policy",
        "facts": {"inputs_sha256": "0" * 64},
        "decided_by": {"kind": "agent", "id": "commerce"},
        "decided_at": NOW.isoformat(),
    }
    if outcome == "escalated":
        given["escalation"] = {
            "reason": "outside_window",
            "recommendation": "approve",
            "recommended_amount": 22200,
            "context": {"customer_words": "too small", "days_late": 5, "nothing": None},
            "case": {"case_sha256": more.pop("case_sha256", "a" * 64)},
        }
    return decisions.ReturnDecisionMade.model_validate(given | more)


@asynccontextmanager
async def running(database_url: str, **settings: Any) -> AsyncIterator[Door]:
    """The gateway's calls on a free port, over the store at `database_url`."""
    found = Settings(gateway_database_url=database_url, **settings)
    pool = await database.connect_pool(database_url, "gateway")
    service = gateway_app.build(found, pool)
    clock = WallClock()
    runtime = SimpleNamespace(settings=found, pool=pool, clock=clock, tasks=[])
    app = http.create_app("gateway", **gateway_app.APP)
    gateway_app.routes(app, cast(Runtime, runtime))
    # Named as TCP, so that asyncio turns Nagle's algorithm off for its connections.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                pipeline = Pipeline(service, pool, found, clock)
                yield Door(http=client, pool=pool, pipeline=pipeline, app=app)
        finally:
            server.should_exit = True
            await serving
            for task in runtime.tasks:
                task.cancel()
            await asyncio.gather(*runtime.tasks, return_exceptions=True)
            await pool.close()
