"""Well-formed messages that nobody would send, in any order, about one order and its returns.

A bad value is set aside with a reason that blames the sender, or changes nothing. A reason that
tells of a mistake of ours is a find.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import topics
from contracts.base import Message
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from contracts.reviews import ReviewDecided
from services.chassis.records import Record
from tests.conftest import DriveService
from tests.driving import SteppedClock, record
from tests.hostile.services import BUILDS, builder, is_ours
from tests.hostile.test_parsers import GOLDENS, places

pytestmark = pytest.mark.asyncio

SEEDS = int(os.environ.get("HOSTILE_SEEDS", "2"))
BATCHES = 30
BATCH_RECORDS = 10
MUTATIONS_MAX = 4
RETURNS = tuple(f"7b1d1f6e-5e57-4f0c-9a55-6dc4a0a5a00{n}" for n in range(4))
ORDERS = ("order-1001", "order-1001", "order-1002", "nobody")
TIMES = (
    "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-02-28T23:59:59Z", "2026-03-01T12:00:00Z",
    "2026-03-20T10:00:00Z", "9999-12-31T23:59:59Z",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 7, 1200, 22200, 22201, 10**6, 10**15, -1, 2**53)
WORDS = ("1", "2", "JACKET-M", "JACKET-L", "p1", "pay-1", "", "US", "DE", "XX", "USD", "JPY", "KWD")


async def test_the_goldens_are_a_beginning(drive: DriveService) -> None:
    """What is mutated is worth mutating: every service takes its goldens as they are."""
    for service in BUILDS:
        clock = SteppedClock()
        driven = await drive(builder(service, clock), service, clock=clock)
        await driven.send(*(as_written(message) for message in read_by(service)))
        assert [row["reason"] for row in await driven.quarantined() if is_ours(row["reason"])] == []


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("service", BUILDS)
async def test_no_well_formed_message_meets_a_mistake_of_ours(
    service: str, seed: int, drive: DriveService
) -> None:
    random = Random(seed)
    clock = SteppedClock()
    driven = await drive(builder(service, clock), service, clock=clock)
    kinds = read_by(service)
    sent: list[Record] = []
    for _ in range(BATCHES):
        batch = [strange(random, random.choice(kinds)) for _ in range(BATCH_RECORDS)]
        batch += random.sample(sent, min(2, len(sent)))
        sent += batch
        await driven.send(*batch)
        clock.at += timedelta(minutes=random.choice((0, 1, 60, 60 * 24)))
        await driven.deadlines.tick()
        await driven.pipeline.take_up_impatient()
    rows = await driven.quarantined()
    found = {
        f"{row['reason']} <- {bytes(row['value'] or b'')[:1500].decode(errors='replace')}"
        for row in rows
        if is_ours(row["reason"])
    }
    assert not found, "\n".join(sorted(found))


async def test_a_message_parked_under_the_wrong_order_stops_nobody(drive: DriveService) -> None:
    """It waits for an order, and names another one than its return turns out to have."""
    driven = await drive(BUILDS["commerce"], "commerce")
    await driven.send(
        ReviewDecided.model_validate(
            GOLDENS["ReviewDecided"]
            | {"decision": "link_order", "order_id": "order-1002", "linked_order_id": "late"}
        )
    )
    await driven.send(as_written(OrderSnapshot), as_written(ReturnRequest))
    assert await driven.count("parked") == 1
    other = GOLDENS["OrderSnapshot"] | {"order_id": "order-1002"}
    await driven.send(OrderSnapshot.model_validate(other))
    assert await driven.count("orders") == 2
    await driven.advance(timedelta(days=2))
    await driven.pipeline.take_up_impatient()
    assert await driven.count("parked") == 0


def read_by(service: str) -> list[type[Message]]:
    """The messages on the topics that the service reads."""
    return [
        message for topic in topics.TOPICS if service in topic.readers for message in topic.messages
    ]


def as_written(kind: type[Message]) -> Record:
    return record(kind.model_validate(GOLDENS[kind.__name__]))


def strange(random: Random, kind: type[Message]) -> Record:
    """A message of this kind with a few values that fit its schema and nothing else."""
    while True:
        document = json.loads(json.dumps(GOLDENS[kind.__name__]))
        for _ in range(random.randrange(MUTATIONS_MAX)):
            mutate(random, document)
        for name, choices in (("return_id", RETURNS), ("order_id", ORDERS)):
            if name in document and isinstance(document[name], str):
                document[name] = random.choice(choices)
        try:
            return record(kind.model_validate(document))
        except ValidationError:
            continue


def mutate(random: Random, document: dict[str, Any]) -> None:
    """Replace, double or leave out one value somewhere."""
    place = random.choice([each for each in places(document) if each])
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    last = place[-1]
    choices = list(alternatives(inner[last]))
    if isinstance(inner, dict) and random.random() < 0.2:
        del inner[last]
    elif choices:
        inner[last] = random.choice(choices)


def alternatives(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int():
            yield from NUMBERS
        case float():
            yield from (0.0, 0.5, 1.0)
        case str() if value.startswith("2026-"):
            yield from TIMES
        case str():
            yield from (*WORDS, "unknown", value * 2)
            yield from VALUES
        case list():
            yield from ([], value * 2, value * 50)


VALUES = tuple(
    sorted(
        {
            choice
            for message in topics.MESSAGES.values()
            for part in message.model_json_schema().get("$defs", {}).values()
            for choice in part.get("enum", ())
        }
    )
)
"""All values of all enums."""
