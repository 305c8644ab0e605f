"""The gateway as a process of its own, on a real broker and a real store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.lifecycle import Status
from tests.conftest import Bus
from tests.integration.gateway.door import a_request, change
from tests.stores import NewStore

pytestmark = pytest.mark.asyncio


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "services.gateway"],
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.wait(timeout=60)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.HTTPError:
        return False


async def published(bus: Bus, topic: str) -> AsyncIterator[dict[str, object]]:
    consumer = AIOKafkaConsumer(
        f"{bus.prefix}{topic}", bootstrap_servers=bus.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        while True:
            record = await consumer.getone()
            yield json.loads(record.value) | {"key": record.key.decode()}
    finally:
        await consumer.stop()


async def test_what_got_a_202_survives_kill_9_and_is_followed_to_the_end(
    new_store: NewStore, bus: Bus, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "GATEWAY_DATABASE_URL": new_store("gateway").runtime_url,
        "GATEWAY_PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": bus.bootstrap,
        "TOPIC_PREFIX": bus.prefix,
        "EMBEDDED_BROKER": bus.kind,
    }
    log = tmp_path / "gateway.log"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        with process(environment, log) as first:
            await until(partial(ready, client))
            request = a_request()
            posted = await client.post("/returns", json=request)
            assert posted.status_code == 202
            first.send_signal(signal.SIGKILL)
        with process(environment, log) as second:
            async with asyncio.timeout(60):
                async for message in published(bus, "returns.requests"):
                    assert message["return_id"] == request["return_id"]
                    assert message["key"] == request["order_id"]
                    break
            await until(partial(ready, client))
            await tell(bus, str(request["return_id"]))

            async def followed() -> bool:
                seen = (await client.get(f"/returns/{request['return_id']}")).json()
                return bool(seen["status"] == "assessing")

            await until(followed)
            async with client.stream("GET", f"/returns/{request['return_id']}/events") as opened:
                assert opened.status_code == 200
                second.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(second.wait, 60) == 0


async def tell(bus: Bus, return_id: str) -> None:
    """Commerce's word on the lifecycle topic."""
    producer = AIOKafkaProducer(bootstrap_servers=bus.bootstrap)
    await producer.start()
    try:
        message = change(return_id, 1, Status.ASSESSING)
        headers = {
            "ce_specversion": "1.0",
            "ce_id": f"change-{return_id}",
            "ce_source": "/services/commerce",
            "ce_type": "returns.ReturnStatusChanged.v1",
        }
        await producer.send_and_wait(
            f"{bus.prefix}returns.lifecycle",
            message.model_dump_json().encode(),
            key=b"order-1001",
            headers=[(name, text.encode()) for name, text in headers.items()],
        )
    finally:
        await producer.stop()
