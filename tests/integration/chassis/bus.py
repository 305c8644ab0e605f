"""Putting messages on the toy's topics, and reading what it publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.chassis.settings import Settings
from tests.driving import record


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(producer: AIOKafkaProducer, settings: Settings, *messages: Any) -> None:
    for message in messages:
        made = record(message)
        await producer.send_and_wait(
            settings.topic(made.topic), made.value, key=made.key, headers=list(made.headers)
        )


async def read_lifecycle(settings: Settings, count: int) -> list[Any]:
    """The records of the lifecycle topic, until they have `count` different ids."""
    consumer = AIOKafkaConsumer(
        settings.topic("returns.lifecycle"),
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(30):
            while len({dict(each.headers)["ce_id"] for each in found}) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found.extend(records)
    finally:
        await consumer.stop()
    return found
