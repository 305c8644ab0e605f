"""The system under test: some team's frontend. It knows the public interface and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

ANSWER_SECONDS_MAX = 60


def ask_and_follow(kafka: str, prefix: str, request: dict[str, Any], until: str) -> list[str]:
    """Publish a ReturnRequest; the statuses that its customer is told, up to `until`."""
    return asyncio.run(_ask_and_follow(kafka, prefix, request, until))


async def _ask_and_follow(
    kafka: str, prefix: str, request: dict[str, Any], until: str
) -> list[str]:
    consumer = AIOKafkaConsumer(
        f"{prefix}returns.lifecycle", bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    async with asyncio.timeout(ANSWER_SECONDS_MAX), consumer, producer:
        record = json.dumps({"type": "ReturnRequest", **request}).encode()
        key = request["order_id"].encode()
        await producer.send_and_wait(f"{prefix}returns.requests", record, key=key)
        told: list[str] = []
        async for each in consumer:
            said = json.loads(each.value)
            if said["return_id"] == request["return_id"]:
                told.append(said["status"])
                if told[-1] == until:
                    break
        return told
