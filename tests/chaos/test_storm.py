"""Many returns over the bus alone, while a random worker is killed every few seconds.

``CHAOS_SEED`` repeats a run, ``CHAOS_RETURNS`` sets its size. What must come out is known from the
start: every payment is refunded once and in full, whatever its processor does on the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.blackbox.test_kill import running_pids
from tests.blackbox.world import (
    Json,
    Stranger,
    World,
    a_request,
    an_order,
    new_id,
    now,
    rfc3339,
    running,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

RETURNS = int(os.environ.get("CHAOS_RETURNS", "24"))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))
KILLED = ("commerce", "fulfillment", "payment", "gateway")
KILL_SECONDS = 3.0
KILLS = 8
DRAIN_SECONDS_MAX = 90
REFUND = 22200
BEHAVIOURS = (
    "ok",
    "slow",
    "pending",
    "timeout_after_success",
    "timeout_before",
    "error_500_stored",
    "error_500_after_success",
    "rate_limited",
    "no_webhook",
    "webhook_twice",
    "webhook_out_of_order",
)


def bare(kind: str, body: Json) -> bytes:
    return json.dumps({"type": kind, **body}).encode()


def life(request: Json, order: Json) -> list[tuple[str, bytes]]:
    """Everything that outside systems say about one return, on its topics."""
    about = {"return_id": request["return_id"], "order_id": order["order_id"]}
    line = {"sku": order["lines"][0]["sku"], "quantity": 1}

    def event(kind: str, **body: Any) -> tuple[str, bytes]:
        made = {**about, "event_id": new_id(), "occurred_at": rfc3339(now()), **body}
        return "warehouse.events", bare(kind, made)

    return [
        ("returns.requests", bare("ReturnRequest", request)),
        event("ParcelScanned", scan="accepted"),
        event("ParcelScanned", scan="delivered"),
        event("ItemReceived", lines=[line]),
        event("ItemInspected", inspector="w1", lines=[{**line, "grade": "as_new", "evidence": []}]),
    ]


async def kill_at_random(world: World, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(KILL_SECONDS)
        for pid in running_pids(world.starter.pid, chance.choice(KILLED)):
            os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def producing(world: World) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_back(
    producer: AIOKafkaProducer, request: Json, order: Json, chance: random.Random
) -> None:
    """Each message up to twice, at its own pace, over some twenty seconds."""
    for topic, value in life(request, order):
        for _ in range(chance.choice((1, 1, 2))):
            await producer.send_and_wait(topic, value, key=order["order_id"].encode())
        await asyncio.sleep(chance.uniform(0, 8))


@pytest.mark.timeout(400)
async def test_every_payment_is_refunded_once_whatever_is_killed(tmp_path: Path) -> None:
    print(f"repeat with CHAOS_SEED={SEED} CHAOS_RETURNS={RETURNS}")
    chance = random.Random(SEED)
    ports = {f"{name}_PORT": "0" for name in ("GATEWAY", "PAYMENT", "COMMERCE", "FULFILLMENT")}
    with running(tmp_path, SANDBOX_PORT="0", **ports) as world:
        stranger = Stranger(world)
        orders = [an_order() for _ in range(RETURNS)]
        for number, order in enumerate(orders):
            await stranger.place(order, behaviour=BEHAVIOURS[number % len(BEHAVIOURS)])
        async with producing(world) as producer, asyncio.TaskGroup() as tasks:
            tasks.create_task(kill_at_random(world, chance))
            for order in orders:
                each = random.Random(chance.random())
                tasks.create_task(send_back(producer, a_request(order), order, each))

        async def unpaid() -> list[str]:
            return [order["order_id"] for order in orders if await stranger.paid(order) != REFUND]

        async def all_paid() -> bool:
            return not await unpaid()

        started = time.monotonic()
        try:
            await wait_for(all_paid, seconds=DRAIN_SECONDS_MAX)
        finally:
            print(
                f"{time.monotonic() - started:.1f} s after the last message; unpaid:",
                await unpaid(),
            )
        for order in orders:
            kinds = [entry["kind"] for entry in await stranger.money_out(order)]
            assert kinds == ["refund"], order["order_id"]
        await stranger.close()
