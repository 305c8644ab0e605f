"""The corpus over a real broker, at all four services at once, and orders in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from contracts import topics
from services.chassis import runtime
from services.chassis.records import Record
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from tests.conftest import Bus
from tests.hostile.corpus import cases
from tests.hostile.services import BUILDS, as_record, inbox_id, is_ours, neighbour
from tests.stores import NewStore
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

NEIGHBOURS_EVERY = 20
BROKER_BYTES_MAX = 900_000
"""What a broker takes without being asked; compressed, a record may be larger."""
BOMB_BYTES = 20_000_000
HANDLED = "SELECT count(*) FROM inbox WHERE event_id = ANY($1::uuid[])"


@pytest_asyncio.fixture
async def services(
    new_store: NewStore, bus: Bus, settings: Settings
) -> AsyncIterator[dict[str, Runtime]]:
    own = settings.model_copy(
        update={
            "kafka_bootstrap_servers": bus.bootstrap,
            "embedded_broker": "librdkafka" if bus.kind == "librdkafka" else "auto",
            "topic_prefix": bus.prefix,
            "sandbox_url": "http://127.0.0.1:1",
            **{f"{name}_database_url": new_store(name).runtime_url for name in BUILDS},
        }
    )
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(runtime.running(build, name, own))
            for name, build in BUILDS.items()
        }


async def test_the_whole_corpus_stops_nobody(services: dict[str, Runtime], bus: Bus) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bus.bootstrap, compression_type="gzip", max_request_size=2 * BOMB_BYTES
    )
    await producer.start()
    try:
        good = await published(producer, bus)
    finally:
        await producer.stop()
    ids = [inbox_id(each) for each in good]

    async def all_handled() -> bool:
        counted = [await each.pool.fetchval(HANDLED, ids) for each in services.values()]
        return counted == [len(ids)] * len(services)

    done: bool = await wait_for(all_handled, seconds=90, what="every neighbour, everywhere")
    assert done
    for name, service in services.items():
        rows = await service.pool.fetch("SELECT topic, reason FROM quarantine")
        assert {row["topic"] for row in rows} >= set(topics.topics_read_by(name)) - {"orders"}
        assert [row["reason"] for row in rows if is_ours(row["reason"])] == []
        failing = await service.failing_parts()
        assert set(failing) <= {"effects"}, json.dumps(failing)


def refused_by_the_broker(record: Record) -> bool:
    """A compacted topic takes no record without a key."""
    return record.key is None and topics.BY_NAME[record.topic].retention is None


async def published(producer: Any, bus: Bus) -> list[Record]:
    """Send the corpus, a bomb that is small until it is unpacked, and orders after each few."""
    good: list[Record] = []

    async def put(record: Record) -> None:
        await producer.send_and_wait(
            bus.prefix + record.topic, record.value, key=record.key, headers=list(record.headers)
        )

    for number, case in enumerate(cases("bus")):
        hostile = as_record(case)
        if len(hostile.value or b"") < BROKER_BYTES_MAX and not refused_by_the_broker(hostile):
            await put(hostile)
        if number % NEIGHBOURS_EVERY == 0:
            good.append(neighbour())
            await put(good[-1])
    bomb = as_record(cases("bus/returns.requests")[0])
    for value in (b" " * BOMB_BYTES, b'{"a":' * (BOMB_BYTES // 5)):
        await put(
            Record(
                topic=bomb.topic, partition=0, offset=0, key=bomb.key,
                headers=bomb.headers, value=value,
            )
        )  # fmt: skip
    for _ in range(6):
        good.append(neighbour())
        await put(good[-1])
    return good
