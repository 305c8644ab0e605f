"""Offsets are committed behind the batches, a few times a second, so that no batch waits for one.

Late is safe: a record that comes again is dropped by the inbox. Early would lose it. A commit
costs the broker a record of its own, so that one after each small batch would double its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.chassis import telemetry

GATHER_SECONDS = 0.25


class Offsets:
    """What was stored and not committed yet, by partition."""

    def __init__(self, consumer: Callable[[], Any]) -> None:
        self._consumer = consumer
        self._stored: dict[TopicPartition, int] = {}
        self.read: dict[TopicPartition, int] = {}
        """The next record of each partition that this process has read of."""
        self._committing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def advance(self, batch: Iterable[Any]) -> None:
        """These records are stored: have their offsets committed soon."""
        for record in batch:
            place = TopicPartition(record.topic, record.partition)
            self._stored[place] = max(record.offset + 1, self._stored.get(place, 0))
            self.read[place] = record.offset + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon())

    async def _flush_soon(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        await self.flush()

    async def flush(self) -> None:
        """Commit everything that was stored so far."""
        async with self._committing:
            while self._stored:
                stored, self._stored = self._stored, {}
                await self._commit(stored)

    async def _commit(self, stored: dict[TopicPartition, int]) -> None:
        consumer = self._consumer()
        if consumer is None:
            return
        own = consumer.assignment()
        try:
            offsets = {place: offset for place, offset in stored.items() if place in own}
            if offsets:
                await consumer.commit(offsets)
        except KafkaError as error:
            # The group moved on; whoever has the partition now reads these records again.
            telemetry.log.info("offsets_not_committed", error=type(error).__name__)
