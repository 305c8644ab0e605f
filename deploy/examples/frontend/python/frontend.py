"""Asks for a return on the bus and follows it to its end: frontend.py ORDER_ID SKU [REASON]."""

import asyncio
import json
from datetime import UTC, datetime
from os import environ
from sys import argv
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main(order_id: str, sku: str, reason: str = "wrong_size") -> None:
    broker = json.loads(environ.get("KAFKA_CLIENT", '{"bootstrap_servers": "localhost:9092"}'))
    request = {"type": "ReturnRequest", "return_id": str(uuid4()), "order_id": order_id}
    request |= {"lines": [{"sku": sku, "quantity": 1, "reason": reason}], "resolution": "refund"}
    request |= {"channel": {"type": "webchat"}, "requested_at": datetime.now(UTC).isoformat()}
    async with AIOKafkaConsumer("returns.lifecycle", **broker) as lifecycle:
        await lifecycle.seek_to_end()  # from here on: nothing that follows is missed
        async with AIOKafkaProducer(**broker, enable_idempotence=True) as producer:
            value, key = json.dumps(request).encode(), order_id.encode()
            await producer.send_and_wait("returns.requests", value, key)  # again: the same return
        async for change in (json.loads(record.value) async for record in lifecycle):
            if change["return_id"] == request["return_id"]:
                print(json.dumps(change), flush=True)  # noqa: T201
                if change["waiting_on"] == "none":
                    return


asyncio.run(main(*argv[1:]))
