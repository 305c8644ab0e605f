"""The toy as a whole: bus, relay, effects, deadlines, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from services.chassis import bus, runtime
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from tests.integration.chassis import toy
from tests.integration.chassis.bus import producing, publish, read_lifecycle
from tests.integration.chassis.messages import evidence, order, request, return_id, review
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def running(settings: Settings, world: toy.World | None = None) -> AsyncIterator[Runtime]:
    async with runtime.running(toy.builder(world), toy.NAME, settings) as started:
        await wait_for(lambda: _ready(started), what="readiness")
        yield started


async def _ready(started: Runtime) -> bool:
    return not await started.failing_parts()


async def account(started: Runtime, order_id: str) -> toy.Account:
    document = await started.pool.fetchval(
        "SELECT document FROM accounts WHERE order_id = $1", order_id
    )
    return toy.Account.model_validate_json(document or f'{{"order_id": "{order_id}"}}')


async def requests_of(started: Runtime, order_id: str) -> tuple[str, ...]:
    return (await account(started, order_id)).requests


async def outcomes_of(started: Runtime, order_id: str) -> tuple[str, ...]:
    return (await account(started, order_id)).outcomes


async def test_records_go_in_and_what_follows_comes_out_keyed_and_in_order(
    toy_settings: Settings,
) -> None:
    orders = [f"o{number}" for number in range(5)]
    async with running(toy_settings) as started, producing(toy_settings) as producer:
        for number in range(10):
            messages = [request(each, f"{each}:{number}") for each in orders]
            await publish(producer, toy_settings, *messages)
        out = await read_lifecycle(toy_settings, 50)
        for each in orders:
            assert len(await requests_of(started, each)) == 10
    by_key: dict[bytes, list[int]] = {}
    for each in out:
        body = toy.ReturnStatusChanged.model_validate_json(each.value)
        by_key.setdefault(each.key, []).append(body.number)
    assert by_key == {each.encode(): list(range(1, 11)) for each in orders}
    async with running(toy_settings) as again:
        assert await again.pool.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_binary_header_and_poison_stop_nobody(toy_settings: Settings) -> None:
    async with running(toy_settings) as started, producing(toy_settings) as producer:
        topic = toy_settings.topic("returns.requests")
        for value in (b"\xff\xfe", b"{}", None, b""):
            await producer.send_and_wait(
                topic,
                value,
                key=b"o1",
                headers=[("__value_schema_id", b"\x01\xff"), ("reply_to", b"orders")],
            )
        await publish(
            producer,
            toy_settings,
            request("o1", "a"),
            request("o1", "bad", locale=toy.POISON),
            request("o1", "b"),
        )

        async def both() -> bool:
            return await requests_of(started, "o1") == (return_id("a"), return_id("b"))

        await wait_for(both)
        assert await started.pool.fetchval("SELECT count(*) FROM quarantine") == 4


async def test_effects_and_parked_messages_run_by_themselves(toy_settings: Settings) -> None:
    world = toy.World()
    async with running(toy_settings, world) as started, producing(toy_settings) as producer:
        await publish(producer, toy_settings, evidence("o1", "a", "b"), review("o1"))

        async def parked() -> bool:
            return bool(await started.pool.fetchval("SELECT count(*) FROM parked"))

        await wait_for(parked)
        await publish(producer, toy_settings, order("o1"))

        async def done() -> bool:
            return set(await outcomes_of(started, "o1")) == {"done:a", "done:b", "reviewed:fine"}

        await wait_for(done)
    assert sorted(world.book) == ["a", "b"]


async def test_readiness_names_the_part_that_fails(toy_settings: Settings) -> None:
    broken = toy_settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    async with runtime.running(toy.builder(), toy.NAME, broken) as started:
        app = runtime.application(started, None)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://toy") as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert set(answer.json()["failing"]) == {"broker", "relay"}
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert "returns_batch_seconds" in (await client.get("/metrics")).text


async def test_a_restart_goes_on_where_the_last_one_stopped(toy_settings: Settings) -> None:
    async with producing(toy_settings) as producer:
        for number in range(3):
            async with running(toy_settings) as started:
                await publish(producer, toy_settings, request("o1", f"r{number}"))

                async def arrived(started: Runtime = started, count: int = number + 1) -> bool:
                    return len(await requests_of(started, "o1")) == count

                await wait_for(arrived)
                duplicates = await started.pool.fetchval("SELECT count(*) FROM inbox")
                assert duplicates == number + 1


async def test_one_of_several_brokers_is_enough_to_start(toy_settings: Settings) -> None:
    servers = f"127.0.0.1:1, {toy_settings.kafka_bootstrap_servers}"
    several = toy_settings.model_copy(update={"kafka_bootstrap_servers": servers})
    async with running(several) as started, producing(toy_settings) as producer:
        await publish(producer, toy_settings, request("o", "o:1"))
        assert await read_lifecycle(toy_settings, 1)
        assert len(await requests_of(started, "o")) == 1


@pytest.mark.parametrize("dead", ["fetching", "polling"])
async def test_a_consumer_whose_own_tasks_have_died_without_a_word_is_made_anew(
    toy_settings: Settings, monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    monkeypatch.setattr(bus, "WATCH_SECONDS", 1.0)
    async with running(toy_settings) as started, producing(toy_settings) as producer:
        await publish(producer, toy_settings, request("o1", "before"))
        await wait_for(lambda: requests_of(started, "o1"), what="the first request")
        subscriber = started.consumer.subscriber
        first = subscriber.consumer
        assert first is not None
        if dead == "fetching":
            first._fetcher._fetch_task.cancel()
        else:
            for task in subscriber.tasks:
                task.cancel()
        # A fetch that was under way may still bring the next record, not the one after it.
        for number in (2, 3):
            await publish(producer, toy_settings, request("o1", f"after {number}"))
            await wait_for(
                lambda number=number: _has(started, "o1", number),  # type: ignore[misc]
                what="a request after the death",
                seconds=60,
            )
        assert subscriber.consumer is not first
        await wait_for(lambda: _ready(started), what="readiness", seconds=60)


@pytest.mark.parametrize("turns", range(4))
async def test_a_loop_that_is_woken_in_the_moment_it_is_stopped_ends(
    toy_settings: Settings, turns: int
) -> None:
    async with running(toy_settings) as started:
        for loop in (started.effects, started.relay):
            await wait_for(lambda loop=loop: bool(loop._wake._waiters), what="a loop at rest")  # type: ignore[misc]
            loop._wake.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in started.tasks:
            task.cancel()
        _, pending = await asyncio.wait(started.tasks, timeout=30)
        started.tasks[:] = []
        assert not pending


async def test_partitions_that_are_added_after_a_restart_are_read(
    toy_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if toy_settings.embedded_broker == "librdkafka":
        pytest.skip("librdkafka's broker knows no static members and adds no partitions")
    monkeypatch.setattr(bus, "WATCH_SECONDS", 1.0)
    monkeypatch.setattr(bus, "METADATA_AGE_MS_MAX", 1_000)
    topic = toy_settings.topic("returns.requests")
    async with running(toy_settings) as started, producing(toy_settings) as producer:
        await publish(producer, toy_settings, request("o1", "before"))
        await wait_for(lambda: requests_of(started, "o1"), what="the first request")
    async with running(toy_settings) as started:
        consumer = started.consumer.subscriber.consumer
        assert consumer is not None
        count = len(consumer.partitions_for_topic(topic) or ())
        admin = AIOKafkaAdminClient(bootstrap_servers=toy_settings.kafka_bootstrap_servers)
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(count + 1)})
        await admin.close()

        def is_assigned() -> bool:
            return TopicPartition(topic, count) in consumer.assignment()

        await wait_for(is_assigned, seconds=60, what="the new partition's reader")


async def _has(started: Runtime, order_id: str, number: int) -> bool:
    return len(await requests_of(started, order_id)) == number
