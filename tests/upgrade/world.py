"""All four services on their stores, one clock, and what goes from one to the other.

Everything that a service handles is written down in its order: records of the bus, outcomes of
effects, deadlines. Such a log, kept, is what later code has to come to the same states with.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from contracts import topics
from contracts.base import Message, write
from services.chassis.records import Cause, Item, Record
from services.chassis.work import TO_SELF
from services.commerce import app as commerce
from services.fulfillment import app as fulfillment
from services.gateway import app as gateway
from services.payment import app as payment
from tests.driving import Drive, SteppedClock, record

Json = dict[str, Any]
BUILDS: dict[str, Callable[..., Any]] = {
    "commerce": commerce.build,
    "fulfillment": fulfillment.build,
    "payment": payment.build,
    "gateway": gateway.build,
}
CLOCKED = ("fulfillment", "payment")
OUTGOING = """
SELECT seq, topic, aggregateid, headers, payload FROM outbox WHERE seq > $1 ORDER BY seq
"""
ROUNDS_MAX = 60
STEP = timedelta(seconds=31)
"""How far the clock goes between rounds: past every look-up of an unfinished refund."""

Shim = Callable[[str, Record], Record]
"""(writer, its record) -> the record as another version of the writer would have written it."""


def builder(service: str, clock: SteppedClock) -> Callable[..., Any]:
    build = BUILDS[service]
    return partial(build, clock=clock) if service in CLOCKED else build


def as_written(writer: str, made: Record) -> Record:
    return made


@dataclass
class World:
    """`say` puts a message of an outsider on the bus; `rest` lets everything happen."""

    drives: dict[str, Drive]
    clock: SteppedClock
    shim: Shim = as_written
    log: list[Json] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _offset: int = 0

    def __post_init__(self) -> None:
        for name, drive in self.drives.items():
            drive.pipeline.handle = self._logged(name, drive)  # type: ignore[method-assign, assignment]

    async def say(self, *messages: Message) -> None:
        for message in messages:
            await self._deliver("outside", record(message))
        await self.rest()

    async def rest(self) -> None:
        """Until nobody has anything to say, and no refund is on its way."""
        for _ in range(ROUNDS_MAX):
            said = [await self._round(name) for name in self.drives]
            if any(said):
                continue
            if not await self.drives["payment"].count("effects"):
                return
            self.clock.at += STEP
        raise AssertionError("the services never come to rest")

    async def wait(self, time: timedelta) -> None:
        self.clock.at += time
        await self.rest()

    async def _round(self, name: str) -> int:
        drive = self.drives[name]
        done = await drive.effects.run_due() + await drive.deadlines.tick()
        rows = await drive.pool.fetch(OUTGOING, self._seen.get(name, 0))
        for row in rows:
            self._seen[name] = row["seq"]
            headers = json.loads(row["headers"])
            made = Record(
                topic=row["topic"],
                partition=0,
                offset=0,
                key=row["aggregateid"].encode(),
                headers=tuple((each, text.encode()) for each, text in headers.items()),
                value=bytes(row["payload"]),
            )
            await self._deliver(name, made)
        return done + len(rows)

    async def _deliver(self, writer: str, made: Record) -> None:
        made = self.shim(writer, made)
        for name, drive in self.drives.items():
            if made.topic in topics.topics_read_by(name):
                await drive.pipeline.process([made])

    def _logged(self, name: str, drive: Drive) -> Callable[[Sequence[Item]], Awaitable[None]]:
        handle = drive.pipeline.handle

        async def logged(items: Sequence[Item]) -> None:
            if items:
                at = self.clock.at.isoformat()
                entries = [entry(each) for each in items]
                self.log.append({"service": name, "at": at, "items": entries})
            await handle(items)

        return logged


def entry(item: Item) -> Json:
    """An item as a line of the log keeps it."""
    received = item.received
    if received.topic not in TO_SELF:
        return {
            "topic": received.topic,
            "key": received.key,
            "headers": {name: value.decode() for name, value in received.headers},
            "value": received.value.decode(),
        }
    cause = Cause(
        id=received.causation_id,
        correlation_id=received.envelope.correlation_id,
        traceparent=received.envelope.traceparent,
    )
    return {
        "topic": received.topic,
        "id": received.envelope.id,
        "type": type(received.body).__name__,
        "cause": cause.to_json(),
        "value": write(received.body).decode(),
    }
