"""Fires messages to self whose instant has come, and ends the patience of parked messages."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.chassis import telemetry
from services.chassis.bus import BACKOFF_SECONDS_MAX
from services.chassis.journal import caused
from services.chassis.pipeline import Pipeline
from services.chassis.work import Received

POLL_SECONDS = 0.25
FIRED_MAX = 200
CLEAN_EVERY = timedelta(hours=1)
INBOX_RETENTION = timedelta(days=45)

# Not claimed here: the transaction that handles one deletes it, if it was not moved meanwhile.
LOAD_DUE = """
SELECT type, payload, cause, generation::text AS generation FROM deadlines
WHERE due_at <= $1 ORDER BY due_at LIMIT $2
"""
# Longer than any topic's retention: a record can be redelivered until it is gone from the topic.
CLEAN_INBOX = "DELETE FROM inbox WHERE processed_at < $1"


class Deadlines:
    """The ticker of one process. Two tickers do no harm: only one finds the row to delete."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._types = {model.__name__: model for model in pipeline.service.handlers}
        self._cleaned_at = pipeline.clock.now() - CLEAN_EVERY

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                fired = await self.fire_due()
                expired = await self._pipeline.take_up_expired()
                await self._clean()
            except Exception as error:
                telemetry.log.warning("deadlines_wait", error=type(error).__name__)
                await asyncio.sleep(BACKOFF_SECONDS_MAX)
                continue
            if fired < FIRED_MAX and not expired:
                await asyncio.sleep(POLL_SECONDS)

    async def fire_due(self) -> int:
        """Handle what is due now; how many there were. Raises Transient."""
        now = self._pipeline.clock.now()
        rows = await self._pipeline.pool.fetch(LOAD_DUE, now, FIRED_MAX)
        if not rows:
            return 0
        name = self._pipeline.service.name
        messages = [
            Received(
                body=self._types[row["type"]].model_validate_json(row["payload"]),
                envelope=caused(row["cause"], id_=row["generation"], now=now, service=name),
                topic="deadline",
            )
            for row in rows
            if row["type"] in self._types
        ]
        await self._pipeline.handle(messages)
        return len(messages)

    async def _clean(self) -> None:
        now = self._pipeline.clock.now()
        if now - self._cleaned_at < CLEAN_EVERY:
            return
        self._cleaned_at = now
        await self._pipeline.pool.execute(CLEAN_INBOX, now - INBOX_RETENTION)
