"""Listens to all topics and keeps what concerns one return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts import envelope
from contracts.base import Message
from contracts.topics import TOPICS
from services.chassis.bus import client_arguments
from services.chassis.clock import WallClock
from services.chassis.settings import Settings

POLL_MILLISECONDS = 100


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A message, and who sent it."""

    who: str
    at: Any
    message: Message


class Listener:
    """Reads without a consumer group: it takes nothing away from anybody and commits nothing."""

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        settings = Settings().model_copy(update={"kafka_bootstrap_servers": bootstrap})
        self.consumer = AIOKafkaConsumer(
            **client_arguments(settings), auto_offset_reset="earliest", enable_auto_commit=False
        )
        self.topics = {f"{prefix}{topic.name}": topic for topic in TOPICS}
        self.clock = WallClock()

    async def __aenter__(self) -> Listener:
        await self.consumer.start()
        self.consumer.assign(
            [
                TopicPartition(name, partition)
                for name, topic in self.topics.items()
                for partition in range(topic.partitions)
            ]
        )
        await self.consumer.seek_to_end()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.consumer.stop()

    async def listen(self, hear: Callable[[Heard], Awaitable[None]]) -> None:
        """Pass on every message, in the order of arrival; never returns."""
        while True:
            batches = await self.consumer.getmany(timeout_ms=POLL_MILLISECONDS)
            for batch in batches.values():
                for record in batch:
                    heard = self._heard(record)
                    if heard is not None:
                        await hear(heard)

    def _heard(self, record: Any) -> Heard | None:
        if not record.value:
            return None
        try:
            around, message = envelope.parse(
                self.topics[record.topic].name, record.headers, record.value, self.clock.now()
            )
        except envelope.Unreadable:  # somebody else's; the services quarantine it
            return None
        return Heard(who=around.source.rpartition("/")[2], at=around.time, message=message)
