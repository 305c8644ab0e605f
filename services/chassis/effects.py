"""Carries out stored intents after their commit, and brings their outcome back as a message.

An intent is claimed with a lease. If the process dies, the lease runs out and somebody claims it
again: executors must be safe to repeat (idempotency keys, look-ups).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from contracts.base import Message
from services.chassis import bus, telemetry
from services.chassis.checkpoint import checkpoint
from services.chassis.errors import Transient
from services.chassis.journal import caused
from services.chassis.pipeline import Pipeline
from services.chassis.service import Again, Executor
from services.chassis.work import Received

LEASE = timedelta(seconds=60)
POLL_SECONDS = 0.25
OUTCOMES_MAX = 200
BACKOFF_SECONDS_MAX = 30.0

# SKIP LOCKED: two executors never hold the same intent at the same time.
CLAIM_EFFECTS = """
UPDATE effects SET lease_token = gen_random_uuid(), attempts = attempts + 1,
    due_at = $1::timestamptz + $2::interval
WHERE id IN (SELECT id FROM effects WHERE due_at <= $1 ORDER BY due_at LIMIT $3
             FOR UPDATE SKIP LOCKED)
RETURNING id, type, payload, cause, attempts, lease_token::text AS token
"""
# Only the holder of the lease moves it.
POSTPONE_EFFECT = """
UPDATE effects SET due_at = $2, last_error = $3 WHERE lease_token = $1::uuid
"""


class Effects:
    """The executor loop of one process."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._service = pipeline.service
        self._payloads = {model.__name__: model for model in self._service.executors}
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._outcomes: asyncio.Queue[Received] = asyncio.Queue()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. What is in flight then is claimed again when its lease runs out."""
        collector = asyncio.create_task(self._collect())
        try:
            while True:
                self._wake.clear()
                try:
                    claimed = await self._claim()
                except Exception as error:
                    telemetry.log.warning("effects_wait", error=type(error).__name__)
                    await asyncio.sleep(bus.BACKOFF_SECONDS_MAX)
                    continue
                if not claimed:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        finally:
            collector.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(collector, *self._running, return_exceptions=True)

    async def _claim(self) -> int:
        free = self._service.effect_concurrency_max - len(self._running)
        if free <= 0:
            return 0
        rows = await self._pipeline.pool.fetch(
            CLAIM_EFFECTS, self._pipeline.clock.now(), LEASE, free
        )
        for row in rows:
            task = asyncio.create_task(self._perform(row))
            self._running.add(task)
            task.add_done_callback(self._finished)
        return len(rows)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def _perform(self, row: Any) -> None:
        kind = row["type"]
        try:
            model = self._payloads[kind]
            executor: Executor = self._service.executors[model]
            outcome = await executor(model.model_validate_json(row["payload"]))
            checkpoint("after_effect")
        except Exception as error:
            telemetry.EFFECTS.labels(self._service.name, kind, "failed").inc()
            telemetry.log.warning(
                "effect_failed", effect=kind, error=f"{type(error).__name__}: {error}"[:300]
            )
            delay = bus.backoff_seconds(row["attempts"] + 2)
            await self._postpone(row, delay, f"{type(error).__name__}: {error}")
            return
        if isinstance(outcome, Again):
            telemetry.EFFECTS.labels(self._service.name, kind, "again").inc()
            delay = (outcome.at - self._pipeline.clock.now()).total_seconds()
            await self._postpone(row, max(delay, 0.0), outcome.reason)
            return
        telemetry.EFFECTS.labels(self._service.name, kind, "done").inc()
        await self._outcomes.put(self._received(row, outcome))

    async def _postpone(self, row: Any, seconds: float, reason: str) -> None:
        due = self._pipeline.clock.now() + timedelta(seconds=min(seconds, 24 * 3600))
        with suppress(OSError, Exception):
            await self._pipeline.pool.execute(POSTPONE_EFFECT, row["token"], due, reason[:500])

    def _received(self, row: Any, outcome: Message) -> Received:
        now = self._pipeline.clock.now()
        envelope = caused(row["cause"], id_=row["token"], now=now, service=self._service.name)
        return Received(body=outcome, envelope=envelope, topic="effect")

    async def _collect(self) -> None:
        """Outcomes that came in while a transaction ran go into the next one together."""
        while True:
            batch = [await self._outcomes.get()]
            while not self._outcomes.empty() and len(batch) < OUTCOMES_MAX:
                batch.append(self._outcomes.get_nowait())
            failures = 0
            while True:
                try:
                    await self._pipeline.handle(batch)
                    break
                except Transient:
                    failures += 1
                    await asyncio.sleep(bus.backoff_seconds(failures))
