"""What another team's integration tests look like: real Kafka, PostgreSQL and services."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import frontend
from aiokafka import AIOKafkaProducer

from services.testing.plugin import Kafka, Postgres
from services.testing.system import ReturnsSystem


def test_a_return_is_approved(returns_system: ReturnsSystem) -> None:
    order = returns_system.place(returns_system.an_order())
    return_id = returns_system.ask(returns_system.a_request(order))
    assert returns_system.wait_for(return_id, "awaiting_physical_receipt")


def test_our_frontend_hears_of_every_status(returns_system: ReturnsSystem) -> None:
    order = returns_system.place(returns_system.an_order())
    request = returns_system.a_request(order)
    told = frontend.ask_and_follow(
        returns_system.kafka, returns_system.prefix, request, "awaiting_physical_receipt"
    )
    assert told[0] == "requested"


def test_the_money_comes_back_once(returns_system: ReturnsSystem) -> None:
    order = returns_system.place(returns_system.an_order(), behaviour="timeout_after_success")
    return_id = returns_system.ask(returns_system.a_request(order))
    returns_system.wait_for(return_id, "awaiting_physical_receipt")
    returns_system.send_back(return_id, order)
    returns_system.wait_for(return_id, "settled")
    assert [(each["kind"], each["amount"]) for each in returns_system.book(order)] == [
        ("refund", order["payments"][0]["captured"])
    ]


def test_a_return_after_the_window_waits_for_a_person(returns_system: ReturnsSystem) -> None:
    order = returns_system.place(returns_system.an_order(delivered_days_ago=90))
    request = returns_system.a_request(order, reason="changed_mind")
    seen = returns_system.wait_for(returns_system.ask(request), "awaiting_review")
    assert seen["decision"]["escalation"]


def test_a_topic_belongs_to_one_test(kafka: Kafka) -> None:
    async def publish() -> int:
        async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            sent = await producer.send_and_wait(
                kafka.topic("returns.requests"), json.dumps({"type": "ReturnRequest"}).encode()
            )
            return int(sent.offset)

    assert asyncio.run(publish()) == 0


def test_a_store_is_migrated_and_belongs_to_one_test(postgres: Postgres) -> None:
    async def count() -> int:
        store = await asyncpg.connect(postgres.store("commerce").runtime_url)
        try:
            return int(await store.fetchval("SELECT count(*) FROM returns"))
        finally:
            await store.close()

    assert asyncio.run(count()) == 0
