"""Asks for a return on the bus and follows it to its end: frontend.py ORDER_ID SKU [REASON]."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BROKER = {"bootstrap_servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")}


async def main(order_id: str, sku: str, reason: str = "wrong_size") -> None:
    request = {
        "type": "ReturnRequest",
        "return_id": str(uuid4()),  # keep it: sent again, it is the same return
        "order_id": order_id,
        "lines": [{"sku": sku, "quantity": 1, "reason": reason}],
        "resolution": "refund",
        "channel": {"type": "webchat"},
        "locale": "en-US",
        "requested_at": datetime.now(UTC).isoformat(),
    }
    async with (
        AIOKafkaConsumer("returns.lifecycle", **BROKER) as lifecycle,
        AIOKafkaProducer(acks="all", enable_idempotence=True, **BROKER) as producer,
    ):
        await lifecycle.seek_to_end()  # from here on: nothing that follows is missed
        value, key = json.dumps(request).encode(), order_id.encode()
        await producer.send_and_wait("returns.requests", value, key=key)
        async for record in lifecycle:
            change = json.loads(record.value)
            if change["return_id"] == request["return_id"]:
                sys.stdout.write(f"{json.dumps(change)}\n")
                sys.stdout.flush()
                if change["waiting_on"] == "none":
                    return


asyncio.run(main(*sys.argv[1:]))
