"""The bare pipeline: the honest ceiling of this stack, with no business in it.

aiokafka in, pydantic, one batched insert in a durable PostgreSQL, aiokafka out. One process, as
each of our services is one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.base import write
from contracts.requests import ReturnRequest
from services.chassis import ids
from services.gateway.api.examples import REQUEST

IN, OUT = "bench.in", "bench.out"
BATCH_MESSAGES_MAX = 200
STALLED_SECONDS_MAX = 60

TABLE = "CREATE TABLE IF NOT EXISTS bare (return_id text PRIMARY KEY, document jsonb NOT NULL)"
INSERT = "INSERT INTO bare SELECT * FROM unnest($1::text[], $2::jsonb[]) ON CONFLICT DO NOTHING"


async def pipe(bootstrap: str, database_url: str) -> None:
    """Until killed: read, validate, store, write, commit."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)
    consumer = AIOKafkaConsumer(
        IN,
        bootstrap_servers=bootstrap,
        group_id="bare",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=2
    )
    await consumer.start()
    await producer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=500, max_records=BATCH_MESSAGES_MAX)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            continue
        messages = [ReturnRequest.model_validate_json(record.value) for record in records]
        bodies = [write(message) for message in messages]
        async with connection.transaction():
            await connection.execute(
                INSERT,
                [message.return_id for message in messages],
                [body.decode() for body in bodies],
            )
        sent = [
            await producer.send(OUT, body, key=record.key)
            for body, record in zip(bodies, records, strict=True)
        ]
        await asyncio.gather(*sent)
        await consumer.commit()


async def measured(
    bootstrap: str, database_url: str, count: int, say: Callable[[int], None]
) -> float:
    """Messages per second through the bare pipeline, of `count` that lie ready for it."""
    await _lay_ready(bootstrap, count)
    consumer = AIOKafkaConsumer(OUT, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.bare", bootstrap, database_url
    )
    try:
        seen, first = 0, 0.0
        async with asyncio.timeout(STALLED_SECONDS_MAX + count / 100):
            while seen < count:
                batches = await consumer.getmany(timeout_ms=200)
                new = sum(len(batch) for batch in batches.values())
                if new and not first:
                    first = time.monotonic()
                    count -= new  # what came before the clock started does not count
                    continue
                seen += new
                say(new)
        return seen / (time.monotonic() - first)
    finally:
        process.kill()
        await process.wait()
        await consumer.stop()


async def _lay_ready(bootstrap: str, count: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5
    )
    await producer.start()
    try:
        for _ in range(count):
            request = ReturnRequest.model_validate(REQUEST | {"return_id": ids.new()})
            await producer.send(IN, write(request), key=request.return_id.encode())
        await producer.flush()
    finally:
        await producer.stop()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(pipe(sys.argv[1], sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
