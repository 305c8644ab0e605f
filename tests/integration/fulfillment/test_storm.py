"""Many returns at once, shuffled, repeated, cut into batches, by two processes side by side."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from random import Random

import pytest

from contracts.base import Message
from contracts.fulfillment import ReturnInspected, ReturnReceived
from services.chassis.errors import Transient
from services.fulfillment import app as fulfillment
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock, driving, record
from tests.integration.fulfillment.conftest import OutsideWorld
from tests.unit.fulfillment.examples import (
    an_order,
    asked,
    decided,
    inspected,
    received,
    return_id,
    scanned,
)

pytestmark = pytest.mark.asyncio
RETURNS = 24
BATCH_MAX = 40


def opening(number: int) -> list[Message]:
    order_id, id_ = f"o{number}", return_id(f"storm-{number}")
    return [
        an_order(3, order_id=order_id),
        asked(id_, quantity=2 + number % 2, order_id=order_id),
        decided(id_, *range(1, 3 + number % 2), order_id=order_id),
    ]


def life(number: int) -> list[Message]:
    id_ = return_id(f"storm-{number}")
    return [
        scanned("accepted", id_=id_, event=f"a{number}"),
        scanned("delivered", id_=id_, event=f"d{number}"),
        received(2, id_=id_, event=f"r{number}"),
        inspected(1, "as_new", id_=id_, event=f"i{number}"),
        inspected(1, "worn", id_=id_, event=f"j{number}"),
    ]


def strangers(chance: Random) -> list[Message]:
    return [
        chance.choice(life(1000 + number)).model_copy(
            update={"return_id": return_id(f"nobody-{number}")}
        )
        for number in range(RETURNS * 5 * 3 // 7)
    ]


async def send(agent: Drive, messages: Sequence[Message], chance: Random, name: str) -> None:
    records = [
        record(message, id_=f"{name}-{number}", offset=number)
        for number, message in enumerate(messages)
    ]
    while records:
        size = chance.randint(1, BATCH_MAX)
        batch, records = records[:size], records[size:]
        while True:
            try:
                await agent.pipeline.process(batch)
                break
            except Transient:
                continue


async def units(agent: Drive) -> Counter[tuple[str, str, str]]:
    rows = await agent.pool.fetch("SELECT return_id, state, coalesce(grade, '') AS g FROM units")
    return Counter((row["return_id"], row["state"], row["g"]) for row in rows)


async def test_a_storm_on_the_real_store_ends_like_the_ordered_run(drive: DriveService) -> None:
    calm = await drive(fulfillment.build, "fulfillment", sandbox_url="http://127.0.0.1:1")
    wild = await drive(fulfillment.build, "fulfillment", sandbox_url="http://127.0.0.1:1")
    chance = Random(7)
    ordered = [m for number in range(RETURNS) for m in (*opening(number), *life(number))]
    await send(calm, ordered, chance, "calm")
    storm = [*ordered, *strangers(chance)]
    storm += chance.choices(storm, k=len(storm) // 2)
    chance.shuffle(storm)
    await send(wild, storm, chance, "wild")
    assert await units(wild) == await units(calm)
    assert sum((await units(wild)).values()) == sum(2 + n % 2 for n in range(RETURNS))
    for kind in (ReturnReceived, ReturnInspected):
        told = Counter(
            (event.return_id, unit)
            for event in await wild.published(kind)
            for line in event.lines
            for unit in line.units
        )
        assert set(told.values()) == {1}
        assert len(told) == 2 * RETURNS
    assert not await wild.quarantined()


async def test_two_processes_side_by_side_lose_and_double_nothing(
    drive: DriveService, world: OutsideWorld
) -> None:
    clock = SteppedClock()
    build = partial(fulfillment.build, clock=clock)
    one = await drive(build, "fulfillment", clock=clock, sandbox_url=world.url)
    url = one.settings.fulfillment_database_url
    async with driving(build, "fulfillment", url, one.settings, clock) as two:
        orders = [m for number in range(RETURNS) for m in opening(number)]
        events = [m for number in range(RETURNS) for m in life(number)]
        Random(3).shuffle(events)
        await asyncio.gather(
            send(one, orders, Random(1), "one"), send(two, events, Random(2), "two")
        )
        assert await one.count("parked") == 0
        states = Counter(state for _, state, _ in await units(one))
        assert states == {"inspected": 2 * RETURNS, "short_shipped": RETURNS // 2}
        assert not await one.quarantined()
