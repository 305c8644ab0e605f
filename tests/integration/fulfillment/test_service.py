"""The whole fulfillment process over a real broker, with the sandbox as its outside world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.base import Message
from services.chassis import http, runtime
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from services.fulfillment import api, app
from services.sandbox import carrier, warehouse
from services.sandbox.book import Book
from tests.conftest import Bus
from tests.driving import record
from tests.stores import NewStore
from tests.unit.fulfillment.examples import (
    A,
    B,
    an_order,
    asked,
    decided,
    inspected,
    received,
    scanned,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[str]:
    book = Book(tmp_path / "book.sqlite")
    outside = http.create_app("sandbox")
    outside.include_router(carrier.routes(book))
    outside.include_router(warehouse.routes(book))
    config = uvicorn.Config(outside, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await wait_for(lambda: server.started)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield url
    server.should_exit = True
    await serving
    book.close()


@pytest_asyncio.fixture
async def service(
    new_store: NewStore, bus: Bus, sandbox: str, settings: Settings
) -> AsyncIterator[Runtime]:
    own = settings.model_copy(
        update={
            "fulfillment_database_url": new_store("fulfillment").runtime_url,
            "kafka_bootstrap_servers": bus.bootstrap,
            "topic_prefix": bus.prefix,
            "sandbox_url": sandbox,
        }
    )
    async with runtime.running(app.build, app.NAME, own) as started:
        yield started


async def test_the_jacket_over_the_bus_with_a_real_label(
    service: Runtime, bus: Bus, sandbox: str
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bus.bootstrap)
    consumer = AIOKafkaConsumer(
        f"{bus.prefix}fulfillment.events",
        bootstrap_servers=bus.bootstrap,
        auto_offset_reset="earliest",
    )
    await producer.start()
    await consumer.start()
    seen: list[tuple[str, dict[str, Any]]] = []

    async def publish(*messages: Message) -> None:
        for message in messages:
            made = record(message)
            await producer.send_and_wait(
                bus.prefix + made.topic, made.value, key=made.key, headers=list(made.headers)
            )

    async def told(name: str) -> dict[str, Any]:
        async def found() -> dict[str, Any]:
            for batch in (await consumer.getmany(timeout_ms=50)).values():
                for each in batch:
                    type_ = dict(each.headers)["ce_type"].decode().split(".")[1]
                    seen.append((type_, json.loads(each.value)))
            return next((body for type_, body in seen if type_ == name), {})

        answer: dict[str, Any] = await wait_for(found, what=name)
        return answer

    try:
        await publish(an_order(), asked(), decided(send_by=datetime.now(UTC) + timedelta(days=14)))
        label = await told("ReturnLabelIssued")
        async with httpx.AsyncClient(timeout=30) as client:
            pdf = await client.get(label["label_url"])
            assert pdf.content.startswith(b"%PDF")
            png = await client.get(label["qr_url"])
            assert png.content.startswith(b"\x89PNG")
        tracking = label["tracking_number"]
        await publish(scanned("accepted", id_=None, tracking=tracking), received(), inspected())
        inspection = await told("ReturnInspected")
        assert inspection["lines"][0]["units"] == [1]
        assert [name for name, _ in seen] == [
            "ReturnabilityAssessed",
            "ReturnLabelIssued",
            "ReturnShipped",
            "ReturnReceived",
            "ReturnInspected",
        ]
    finally:
        await producer.stop()
        await consumer.stop()
    face = http.create_app("fulfillment")
    api.add_routes(face, service)
    transport = httpx.ASGITransport(app=face)
    async with httpx.AsyncClient(transport=transport, base_url="http://fulfillment") as client:
        goods = (await client.get(f"/returns/{A}")).json()
        another = await client.post(f"/returns/{A}/labels")
        assert another.status_code == 409
        assert another.json()["detail"] == "nothing has to be sent any more"
        assert (await client.get(f"/returns/{B}")).status_code == 404
    assert goods["units"][0]["state"] == "inspected"
    assert goods["label"]["tracking_number"] == tracking
    assert [scan["what"] for scan in goods["tracking"]] == ["accepted"]
    assert goods["next"]["who"] == "nobody"
