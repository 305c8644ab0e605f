"""Carries out stored intents after their commit, and brings the outcome back as a message.

An intent is claimed with a short lease, which is renewed while somebody works on it. If the
process dies, the lease runs out and somebody claims the intent again: executors must be safe to
repeat (idempotency keys, look-ups).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.base import Message
from services.chassis import faults, ids, records, telemetry, tracing
from services.chassis.checkpoint import checkpoint
from services.chassis.pipeline import Pipeline
from services.chassis.records import Cause, Claim, Item
from services.chassis.service import Again, Executor
from services.chassis.wake import Wake

LEASE = timedelta(seconds=15)
RENEW_SECONDS = 5.0
EXECUTOR_SECONDS_MAX = 60.0
POLL_SECONDS_MAX = 0.5
OUTCOMES_MAX = 200
BUSY_EFFECTS_MIN = 4
GATHER_SECONDS = 0.01
"""While others are under way, an outcome waits this long for theirs: one transaction for all."""
BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 30.0
ERROR_LENGTH_MAX = 500

# SKIP LOCKED: two processes never hold the same intent. A lease that ran out is simply due again.
CLAIM = """
UPDATE effects SET lease_token = $4, attempts = attempts + 1, due_at = $1::timestamptz + $2
WHERE id IN (SELECT id FROM effects WHERE due_at <= $1 ORDER BY due_at LIMIT $3
             FOR UPDATE SKIP LOCKED)
RETURNING id, type, payload, cause, attempts, lease_token
"""
# Only the holder of a lease renews it, or moves its intent.
RENEW = """
UPDATE effects SET due_at = $3::timestamptz + $4
FROM unnest($1::text[], $2::uuid[]) AS held (id, token)
WHERE effects.id = held.id AND effects.lease_token = held.token
"""
POSTPONE = """
UPDATE effects SET due_at = later.due_at, last_error = later.reason,
    attempts = CASE WHEN later.failed THEN attempts ELSE 0 END
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::boolean[])
    AS later (id, token, due_at, reason, failed)
WHERE effects.id = later.id AND effects.lease_token = later.token
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a claimed intent: a message, or another time."""

    row: Any
    message: Message | None = None
    again_at: datetime | None = None
    reason: str = ""
    failed: bool = False


class Effects:
    """The executors of one process."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._service = pipeline.service
        self._executors = {
            payload.__name__: executor for payload, executor in self._service.executors.items()
        }
        self._wake = Wake()
        self._running: set[asyncio.Task[None]] = set()
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._held: dict[str, UUID] = {}
        self._more = False
        """Whether more was due than there was room for."""

    def wake(self) -> None:
        """There may be something to carry out."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. What is in flight then is claimed again when its lease runs out."""
        helpers = [
            asyncio.create_task(self._settle_for_ever()),
            asyncio.create_task(self._renew_for_ever()),
        ]
        try:
            while True:
                self._wake.clear()
                try:
                    started = await self._start_due()
                except Exception as error:
                    if not faults.is_transient(error):
                        telemetry.log.error("effects_failed", exc_info=error)
                    await asyncio.sleep(backoff(3).total_seconds())
                    continue
                if not started:
                    await self._wake.rest(POLL_SECONDS_MAX)
        finally:
            tasks = [*helpers, *self._running]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run_due(self) -> int:
        """Carry out everything that is due now, once, and handle the outcomes; how many."""
        rows = await self._claim(OUTCOMES_MAX)
        outcomes = await asyncio.gather(*(self._carry_out(row) for row in rows))
        await self.settle(outcomes)
        return len(rows)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Handle what came out, in one transaction, and postpone the rest. Raises Transient."""
        later = [each for each in outcomes if each.message is None]
        if later:
            await self._pipeline.pool.execute(
                POSTPONE,
                [each.row["id"] for each in later],
                [each.row["lease_token"] for each in later],
                [each.again_at for each in later],
                [records.printable(each.reason)[:ERROR_LENGTH_MAX] for each in later],
                [each.failed for each in later],
            )
        await self._pipeline.handle([self._item(each) for each in outcomes if each.message])

    async def _start_due(self) -> int:
        free = self._service.effect_concurrency_max - len(self._running)
        if free <= 0:
            return 0
        rows = await self._claim(free)
        self._more = len(rows) == free
        for row in rows:
            self._held[row["id"]] = row["lease_token"]
            task = asyncio.create_task(self._bring_outcome(row))
            self._running.add(task)
            task.add_done_callback(self._finished)
        return len(rows)

    async def _claim(self, limit: int) -> list[Any]:
        now, token = self._pipeline.clock.now(), ids.new_uuid()
        rows: list[Any] = await self._pipeline.pool.fetch(CLAIM, now, LEASE, limit, token)
        return rows

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._more:
            self._wake.set()

    async def _bring_outcome(self, row: Any) -> None:
        await self._outcomes.put(await self._carry_out(row))

    async def _carry_out(self, row: Any) -> Outcome:
        checkpoint("before_effect")
        cause, payload = Cause.from_json(row["cause"]), None
        try:
            executor: Executor = self._executors[row["type"]]
            payload = self._pipeline.registry[row["type"]].model_validate_json(row["payload"])
            return_id = telemetry.return_of(payload)
            async with asyncio.timeout(EXECUTOR_SECONDS_MAX):
                with tracing.span(
                    f"effect {row['type']}",
                    return_id=return_id,
                    traceparent=cause.traceparent,
                    kind="CLIENT",
                ):
                    found = await executor(payload)
        except Exception as error:
            telemetry.count_effect(self._service.name, row["type"], "failed")
            reason = faults.described(error)
            return_id = telemetry.return_of(payload) if payload is not None else None
            telemetry.log.warning(
                "effect_failed",
                effect=row["type"],
                reason=reason,
                attempt=row["attempts"],
                return_id=return_id,
                trace_id=tracing.trace_id(return_id, cause.traceparent),
            )
            again_at = self._pipeline.clock.now() + backoff(row["attempts"])
            return Outcome(row=row, again_at=again_at, reason=reason, failed=True)
        checkpoint("after_effect")
        if isinstance(found, Again):
            telemetry.count_effect(self._service.name, row["type"], "again")
            now = self._pipeline.clock.now()
            again_at = now + self._pipeline.settings.scaled(found.at - now)
            return Outcome(row=row, again_at=again_at, reason=found.reason)
        telemetry.count_effect(self._service.name, row["type"], "done")
        return Outcome(row=row, message=found)

    async def _settle_for_ever(self) -> None:
        """Outcomes that came in while a transaction ran go into the next one together."""
        while True:
            batch = [await self._outcomes.get()]
            if len(self._running) >= BUSY_EFFECTS_MIN:
                await asyncio.sleep(GATHER_SECONDS)
            while not self._outcomes.empty() and len(batch) < OUTCOMES_MAX:
                batch.append(self._outcomes.get_nowait())
            await self._settle_at_last(batch)
            for each in batch:
                # Recorded and claimed again meanwhile, it is held under another token.
                if self._held.get(each.row["id"]) == each.row["lease_token"]:
                    del self._held[each.row["id"]]

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.renew()
            except Exception as error:
                telemetry.log.warning("leases_not_renewed", error=type(error).__name__)

    async def renew(self) -> None:
        """Keep what this process works on, or has done and not reported yet."""
        if self._held:
            now = self._pipeline.clock.now()
            held = dict(self._held)
            await self._pipeline.pool.execute(
                RENEW, list(held.keys()), list(held.values()), now, LEASE
            )

    async def _settle_at_last(self, batch: Sequence[Outcome]) -> None:
        attempts = 0
        while True:
            try:
                await self.settle(batch)
                return
            except Exception as error:
                attempts += 1
                if not faults.is_transient(error):
                    telemetry.log.error("outcomes_failed", exc_info=error)
                await asyncio.sleep(backoff(attempts).total_seconds())

    def _item(self, outcome: Outcome) -> Item:
        assert outcome.message is not None
        row, pipeline = outcome.row, self._pipeline
        token: UUID = row["lease_token"]
        id_ = ids.derived(row["id"], str(token))
        received = pipeline.to_self(
            outcome.message, topic="effect", id_=id_, cause=Cause.from_json(row["cause"])
        )
        claim = Claim(table="effects", key=(row["id"], token))
        return Item(received=received, event_id=records.event_id("effect", id_), claim=claim)


def backoff(attempts: int) -> timedelta:
    """Doubling, bounded, with jitter so that those who failed together do not return together."""
    ceiling = min(BACKOFF_SECONDS_MIN * 2 ** min(attempts, 16), BACKOFF_SECONDS_MAX)
    return timedelta(seconds=ceiling * random.uniform(0.5, 1))
