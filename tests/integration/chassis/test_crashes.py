"""Processes that die at the worst moments: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.chassis.settings import Settings
from tests.integration.chassis import toy
from tests.integration.chassis.bus import producing, publish, read_lifecycle
from tests.integration.chassis.messages import evidence, request, return_id
from tests.integration.chassis.process import working
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

ORDERS = [f"o{number}" for number in range(4)]
ROUNDS = 5
ERRANDS = ("a", "b")
EXPECTED = len(ORDERS) * (ROUNDS + len(ERRANDS))


@pytest_asyncio.fixture
async def store(toy_settings: Settings) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(toy_settings.commerce_database_url)
    yield connection
    await connection.close()


async def send_everything(settings: Settings) -> None:
    async with producing(settings) as producer:
        for number in range(ROUNDS):
            messages = [request(each, f"{each}:{number}") for each in ORDERS]
            await publish(producer, settings, *messages)
        await publish(producer, settings, *(evidence(each, *ERRANDS) for each in ORDERS))


async def is_finished(store: Any) -> bool:
    rows = await store.fetch("SELECT document FROM accounts ORDER BY order_id")
    accounts = [toy.Account.model_validate_json(row["document"]) for row in rows]
    left = await store.fetchval("SELECT count(*) FROM outbox")
    return (
        len(accounts) == len(ORDERS)
        and all(len(each.requests) >= ROUNDS for each in accounts)
        and all(len(each.outcomes) >= len(ERRANDS) for each in accounts)
        and left == 0
    )


async def assert_nothing_is_lost_or_doubled(settings: Settings, store: Any) -> None:
    for row in await store.fetch("SELECT document FROM accounts"):
        account = toy.Account.model_validate_json(row["document"])
        expected = tuple(return_id(f"{account.order_id}:{number}") for number in range(ROUNDS))
        assert account.requests == expected
        assert sorted(account.outcomes) == [f"done:{text}" for text in ERRANDS]
    assert await store.fetchval("SELECT count(*) FROM quarantine") == 0
    published = await read_lifecycle(settings, EXPECTED)
    first: dict[str, Any] = {}
    for each in published:
        first.setdefault(dict(each.headers)["ce_id"].decode(), each)
    assert len(first) == EXPECTED
    numbers: dict[bytes, list[int]] = {}
    for each in first.values():
        body = toy.ReturnStatusChanged.model_validate_json(each.value)
        if body.explanation == "en":
            numbers.setdefault(each.key, []).append(body.number)
    assert all(found == list(range(1, ROUNDS + 1)) for found in numbers.values())


CHECKPOINTS = [
    "before_commit:2",
    "after_commit:1",
    "after_publish:2",
    "before_effect:3",
    "after_effect:3",
]


@pytest.mark.parametrize("crash_at", CHECKPOINTS)
async def test_a_kill_at_any_checkpoint_loses_nothing_and_doubles_nothing(
    toy_settings: Settings, store: Any, tmp_path: Path, crash_at: str
) -> None:
    book = tmp_path / "book"
    if not crash_at.endswith("effect:3"):
        await send_everything(toy_settings)
    async with working(toy_settings, book, crash_at=crash_at) as worker:
        if crash_at.endswith("effect:3"):
            await worker.ready()
            await send_everything(toy_settings)
        assert await worker.ended() == -signal.SIGKILL
    async with working(toy_settings, book) as worker:
        await wait_for(lambda: is_finished(store), seconds=60)
        assert await worker.stop() == 0
    await assert_nothing_is_lost_or_doubled(toy_settings, store)
    done = Counter(book.read_text().split())
    assert set(done) == set(ERRANDS)


async def test_two_workers_share_the_work_and_one_takes_over_when_the_other_is_killed(
    toy_settings: Settings, store: Any, tmp_path: Path
) -> None:
    if toy_settings.embedded_broker == "librdkafka":
        pytest.skip("librdkafka's broker takes minutes over its rebalances")
    book = tmp_path / "book"
    async with working(toy_settings, book) as one, working(toy_settings, book) as two:
        await asyncio.gather(one.ready(), two.ready())
        sending = asyncio.create_task(send_everything(toy_settings))
        await wait_for(lambda: store.fetchval("SELECT count(*) > 4 FROM inbox"))
        one.kill()
        await sending
        await wait_for(lambda: is_finished(store), seconds=90)
        assert await two.stop() == 0
    await assert_nothing_is_lost_or_doubled(toy_settings, store)


async def test_a_stopped_worker_finishes_its_batch_and_leaves_with_status_zero(
    toy_settings: Settings, store: Any, tmp_path: Path
) -> None:
    async with working(toy_settings, tmp_path / "book") as worker:
        await worker.ready()
        await send_everything(toy_settings)
        assert await worker.stop() == 0
    async with working(toy_settings, tmp_path / "book") as worker:
        await wait_for(lambda: is_finished(store), seconds=60)
    await assert_nothing_is_lost_or_doubled(toy_settings, store)
