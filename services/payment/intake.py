"""Webhooks that come in while a transaction runs are stored together in the next one."""

from __future__ import annotations

import asyncio

from services.chassis import records
from services.chassis.pipeline import Pipeline
from services.chassis.records import Cause, Item
from services.payment.messages import WebhookReceived

TOGETHER_MAX = 200


class Intake:
    """`put` returns once the event is stored."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting: asyncio.Queue[tuple[WebhookReceived, asyncio.Future[None]]] = asyncio.Queue()

    async def put(self, event: WebhookReceived) -> None:
        """Raises Transient while the store is away: the sender tries again."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._waiting.put((event, stored))
        await stored

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty() and len(batch) < TOGETHER_MAX:
                batch.append(self._waiting.get_nowait())
            error: Exception | None = None
            try:
                await self._pipeline.handle([self.item(event) for event, _ in batch])
            except Exception as caught:
                error = caught
            for _, stored in batch:
                if stored.cancelled():
                    continue
                if error is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(error)

    def item(self, event: WebhookReceived) -> Item:
        """The event as the pipeline takes it."""
        cause = Cause(id=event.event_id)
        return Item(
            received=self._pipeline.to_self(event, topic="http", id_=event.event_id, cause=cause),
            event_id=records.event_id("webhook", event.event_id),
        )
