"""The ticker: fires messages to self whose instant has come, and does what else time brings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.chassis import faults, records, telemetry
from services.chassis.pipeline import Pipeline
from services.chassis.records import Cause, Claim, Item

POLL_SECONDS_MIN = 0.02
POLL_SECONDS_MAX = 0.5
RETRY_SECONDS = 1.0
FIRED_MAX = 200
CLEAN_EVERY = timedelta(minutes=10)
CLEANED_ROWS_MAX = 20_000
# Longer than any topic's retention: a record can be redelivered until it is gone from the topic.
INBOX_RETENTION = timedelta(days=45)
QUARANTINE_RETENTION = timedelta(days=180)

# One cheap question per tick, answered from the ends of three indexes.
NEXT = """
SELECT least((SELECT min(due_at) FROM deadlines), (SELECT min(until) FROM parked),
             (SELECT min(redrive_requested_at) FROM quarantine
              WHERE redrive_requested_at IS NOT NULL))
"""
# Not claimed here: the transaction that handles a deadline deletes it, unless it was moved.
DUE = """
SELECT name, subject, due_at, type, payload, cause, generation FROM deadlines
WHERE due_at <= $1 ORDER BY due_at LIMIT $2
"""
# In portions: a long delete would hold back the vacuum of every busy table.
CLEAN_INBOX = """
DELETE FROM inbox WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM inbox WHERE processed_at < $1 LIMIT $2))
"""
# What nobody looked at stays until somebody does.
CLEAN_QUARANTINE = "DELETE FROM quarantine WHERE redriven_at < $1"


class Deadlines:
    """The ticker of one process. Two tickers do no harm: only one finds the row to delete."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._clean_at = pipeline.clock.now() + CLEAN_EVERY
        self._wait = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                wait = 0.0 if await self.tick() else max(self._wait, POLL_SECONDS_MIN)
            except Exception as error:
                if not faults.is_transient(error):
                    telemetry.log.error("tick_failed", exc_info=error)
                wait = RETRY_SECONDS
            await asyncio.sleep(wait)

    async def tick(self) -> int:
        """Handle everything that is due now; how many messages. Raises Transient."""
        if self._pipeline.clock.now() >= self._clean_at:
            await self.clean()
        self._wait = await self._until_next()
        if self._wait > 0:
            return 0
        done = await self.fire()
        done += await self._pipeline.take_up_impatient()
        done += await self._pipeline.redrive()
        return done

    async def _until_next(self) -> float:
        """Seconds until something is due, at most POLL_SECONDS_MAX: others may set deadlines."""
        due_at = await self._pipeline.pool.fetchval(NEXT)
        if due_at is None:
            return POLL_SECONDS_MAX
        seconds: float = (due_at - self._pipeline.clock.now()).total_seconds()
        return min(max(seconds, 0.0), POLL_SECONDS_MAX)

    async def fire(self) -> int:
        """Handle at most FIRED_MAX deadlines that are due now; how many there were."""
        rows = await self._pipeline.pool.fetch(DUE, self._pipeline.clock.now(), FIRED_MAX)
        items = [self._item(row) for row in rows]
        await self._pipeline.handle(items)
        return len(items)

    async def clean(self) -> None:
        """Delete a portion of what nothing can refer to any more."""
        now = self._pipeline.clock.now()
        await self._pipeline.pool.execute(CLEAN_QUARANTINE, now - QUARANTINE_RETENTION)
        deleted = await self._pipeline.pool.execute(
            CLEAN_INBOX, now - INBOX_RETENTION, CLEANED_ROWS_MAX
        )
        more = deleted == f"DELETE {CLEANED_ROWS_MAX}"
        self._clean_at = now + (timedelta(seconds=1) if more else CLEAN_EVERY)

    def _item(self, row: Any) -> Item:
        pipeline, id_ = self._pipeline, str(row["generation"])
        claim = Claim(table="deadlines", key=(row["name"], row["subject"], row["generation"]))
        try:
            body = pipeline.registry[row["type"]].model_validate_json(row["payload"])
        except Exception as error:  # of an older version: a person has to look
            reason, now = faults.described(error), pipeline.clock.now()
            item = records.unreadable(
                row["payload"], "deadline", reason, pipeline.service.name, now
            )
            return replace(item, claim=claim)
        received = pipeline.to_self(
            body, topic="deadline", id_=id_, cause=Cause.from_json(row["cause"])
        )
        return Item(received=received, event_id=records.event_id("deadline", id_), claim=claim)
