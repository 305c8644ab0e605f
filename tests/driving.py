"""Drives a service's handlers on its real store, without a broker and on a clock of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts import topics
from contracts.base import Message
from contracts.envelope import Envelope, to_record
from services.chassis import database
from services.chassis.deadlines import Deadlines
from services.chassis.effects import Effects
from services.chassis.pipeline import Pipeline, Record
from services.chassis.service import Service
from services.chassis.settings import Settings

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS_MAX = 200


@dataclass
class SteppedClock:
    """Stands still until it is moved."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


def record(
    message: Message,
    *,
    topic: str | None = None,
    id_: str | None = None,
    key: str | None = None,
    offset: int = 0,
    source: str = "/tests",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Record:
    """The record of a message on the topic that carries it, from outside."""
    envelope = Envelope(id=id_ or str(uuid4()), source=source, time=START)
    named, value = to_record(message, envelope)
    found = topic or next(each.name for each in topics.TOPICS if type(message) in each.messages)
    order = key or getattr(message, "order_id", None) or getattr(message, "return_id", None) or ""
    return Record(
        topic=found,
        partition=0,
        offset=offset,
        key=str(order).encode(),
        headers=(*((name, text.encode()) for name, text in named.items()), *headers),
        value=value,
    )


@dataclass
class Drive:
    """`send` records, `advance` the clock, look at what was `published`."""

    service: Service[Any]
    pool: Any
    settings: Settings
    clock: SteppedClock = field(default_factory=SteppedClock)

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.service, self.pool, self.settings, self.clock)
        self.deadlines = Deadlines(self.pipeline)
        self.effects = Effects(self.pipeline)
        self._offset = 0

    async def send(self, *items: Message | Record) -> None:
        """One batch; messages get envelopes of their own."""
        batch = []
        for item in items:
            self._offset += 1
            batch.append(item if isinstance(item, Record) else record(item, offset=self._offset))
        await self.pipeline.process(batch)

    async def settle(self) -> None:
        """Everything that is due now, until nothing is due any more."""
        for _ in range(STEPS_MAX):
            if not (await self.effects.run_due() + await self.deadlines.tick()):
                return
        raise AssertionError("the service never comes to rest")

    async def advance(self, wait: timedelta) -> None:
        """Move the clock, then do what has become due."""
        self.clock.at += wait
        await self.settle()

    async def published(self, kind: type[Message] | None = None) -> list[Any]:
        """Bodies in the outbox, oldest first; of one kind if named."""
        rows = await self.pool.fetch("SELECT type, payload FROM outbox ORDER BY seq")
        found = [
            topics.MESSAGES[row["type"].split(".")[1]].model_validate_json(row["payload"])
            for row in rows
        ]
        return [each for each in found if kind is None or isinstance(each, kind)]

    async def outbox(self) -> list[dict[str, Any]]:
        """Rows of the outbox with their headers, oldest first."""
        rows = await self.pool.fetch("SELECT * FROM outbox ORDER BY seq")
        return [{**dict(row), "headers": json.loads(row["headers"])} for row in rows]

    async def quarantined(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.pool.fetch("SELECT * FROM quarantine ORDER BY id")]

    async def count(self, table: str) -> int:
        number: int = await self.pool.fetchval(f"SELECT count(*) FROM {table}")
        return number


@asynccontextmanager
async def driving(
    build: Callable[[Settings, Any], Service[Any]],
    name: str,
    url: str,
    settings: Settings,
    clock: SteppedClock | None = None,
) -> AsyncIterator[Drive]:
    """The service on the store at `url`; all its connections are closed afterwards."""
    own = settings.model_copy(update={f"{name}_database_url": url})
    pool = await database.connect_pool(url, name)
    service = build(own, pool)
    try:
        yield Drive(service, pool, own, clock or SteppedClock())
    finally:
        await service.close()
        await pool.close()
