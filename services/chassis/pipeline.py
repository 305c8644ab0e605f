"""From records to a committed transaction: the path that every message takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from asyncpg import Pool

from contracts.base import Message
from services.chassis import faults, ids, parking, quarantine, records, telemetry
from services.chassis.batch import Batch
from services.chassis.checkpoint import checkpoint
from services.chassis.clock import Clock
from services.chassis.errors import Conflict, InvariantBroken, Transient
from services.chassis.records import Cause, Item, Record
from services.chassis.registry import Registry
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.work import Received, UnitOfWork

__all__ = ["Pipeline", "Record"]

CONFLICT_ATTEMPTS_MAX = 3


class Pipeline:
    """Handles messages of one service, one transaction at a time."""

    def __init__(
        self, service: Service[Any], pool: Pool[Any], settings: Settings, clock: Clock
    ) -> None:
        self.service = service
        self.pool = pool
        self.settings = settings
        self.clock = clock
        self.registry = Registry(service.handlers)
        self.after_commit: Callable[[Batch], None] = _nothing
        self._one_at_a_time = asyncio.Lock()

    async def process(self, batch: Sequence[Record]) -> None:
        """Handle records in order; on return all are committed, ignored, parked or quarantined.

        Raises Transient when the same records have to come again; what was done is remembered.
        """
        now = self.clock.now()
        items = [
            records.read(record, self.service.name, now)
            for record in batch
            if record.value is not None  # tombstones say nothing here
        ]
        await self.handle([item for item in items if item.quarantined or self._handles(item)])

    async def submit(self, body: Message, *, traceparent: str | None = None) -> UnitOfWork:
        """Handle a message over HTTP; its unit of work after the commit.

        Raises what the handler raises, and Transient when the store is away.
        """
        id_ = ids.new()
        cause = Cause(id=id_, traceparent=traceparent)
        item = Item(
            received=self.to_self(body, topic="http", id_=id_, cause=cause),
            event_id=records.event_id("http", id_),
        )
        return await self._retrying_conflicts([item])

    async def handle(self, items: Sequence[Item]) -> None:
        """All in one transaction; where that fails, one by one, setting aside what fails alone."""
        if not items:
            return
        try:
            await self._retrying_conflicts(items)
            return
        except Transient:
            raise
        except Exception as error:
            if len(items) > 1:
                telemetry.log.info("batch_replayed", error=faults.described(error), n=len(items))
        for item in items:
            await self._alone([item], (), item)

    def to_self(self, body: Message, *, topic: str, id_: str, cause: Cause) -> Received:
        """A message of this service to itself, now."""
        return records.to_self(
            body,
            topic=topic,
            id_=id_,
            service=self.service.name,
            now=self.clock.now(),
            cause=cause,
        )

    async def take_up_impatient(self) -> int:
        """Handle parked messages whose patience is over, for the last time; how many there were."""
        now = self.clock.now()
        rows = await self.pool.fetch(parking.IMPATIENT, now, parking.WAITING_MAX)
        if not rows:
            return 0
        found = []
        for row in rows:
            try:
                found.append(parking.waiting(row, self.registry))
            except Exception as error:
                reason = faults.described(error)
                await self._announce(parking.unreadable(row, reason, self.service.name, now))
        try:
            await self._transaction(self._batch((), [key for each in found for key in each.keys]))
        except Transient:
            raise
        except Exception:
            for each in found:
                await self._alone((), each.keys, each.item)
        return len(rows)

    async def redrive(self) -> int:
        """Handle again what an operator asked for; how many there were."""
        rows = await self.pool.fetch(quarantine.REQUESTED, quarantine.REDRIVE_MAX)
        for row in rows:
            refusal = await self._refusal(row)
            if refusal is not None:
                reason = records.printable(refusal)
                await self.pool.execute(quarantine.REFUSED, row["id"], reason)
        return len(rows)

    async def _refusal(self, row: Any) -> str | None:
        """Handle a record again: None, or why not. Reading it may fail as handling it may."""
        try:
            item = quarantine.item(row, self.registry, self.service.name, self.clock.now())
            if item.quarantined is not None:
                return item.quarantined.reason
            await self._retrying_conflicts([item])
        except Transient:
            raise
        except Exception as error:
            return faults.described(error)
        return None

    async def _alone(self, items: Sequence[Item], keys: Sequence[str], blamed: Item) -> None:
        """One item, or one parked message by its keys: what fails is set aside."""
        while True:
            batch = self._batch(items, keys)
            try:
                await self._transaction(batch)
                return
            except (Transient, Conflict) as error:
                raise Transient(faults.described(error)) from error
            except Exception as error:
                culprit = batch.handling or blamed
                reason = faults.described(error)
                alarm = isinstance(error, InvariantBroken)
                say = telemetry.log.critical if alarm else telemetry.log.error
                say("set_aside", **telemetry.about(culprit.received), exc_info=error)
            await self._set_aside(culprit, reason)
            if culprit.event_id == blamed.event_id:
                return

    async def _set_aside(self, culprit: Item, reason: str) -> None:
        await self._announce(records.condemn(culprit, reason, self.service.name, self.clock.now()))

    async def _announce(self, condemned: Item) -> None:
        try:
            await self._transaction(self._batch([condemned]))
        except (Transient, Conflict) as error:
            raise Transient(faults.described(error)) from error
        except Exception as error:
            # The service cannot even hear of it. The row alone still tells an operator.
            telemetry.log.critical("quarantine_unheard", exc_info=error)
            await self._transaction(self._batch([condemned], deaf=True))

    async def _retrying_conflicts(self, items: Sequence[Item]) -> UnitOfWork:
        for attempt in range(CONFLICT_ATTEMPTS_MAX):
            try:
                return await self._transaction(self._batch(items))
            except Conflict as error:
                telemetry.log.info("conflict", reason=faults.described(error), attempt=attempt)
        raise Transient("others change the same orders all the time")

    async def _transaction(self, batch: Batch) -> UnitOfWork:
        """Raises Transient where only waiting helps; the store has forgotten everything then."""
        started = time.perf_counter()
        try:
            async with self._one_at_a_time, self.pool.acquire() as connection:
                async with connection.transaction():
                    await batch.run(connection)
                    checkpoint("before_commit")
                checkpoint("after_commit")
        except Exception as error:
            if faults.is_transient(error):
                raise Transient(faults.described(error)) from error
            raise
        telemetry.count_batch(self.service.name, batch, time.perf_counter() - started)
        self.after_commit(batch)
        return batch.work

    def _batch(
        self, items: Sequence[Item], keys: Sequence[str] = (), *, deaf: bool = False
    ) -> Batch:
        return Batch(
            service=self.service,
            settings=self.settings,
            registry=self.registry,
            now=self.clock.now(),
            items=items,
            keys=keys,
            deaf=deaf,
        )

    def _handles(self, item: Item) -> bool:
        return type(item.received.body) in self.service.handlers


def _nothing(batch: Batch) -> None:
    """What follows a commit where nobody waits for it."""
