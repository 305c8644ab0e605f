"""Publishes outbox rows in order and deletes them. One active relay per store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from services.chassis import database, faults, quarantine, telemetry
from services.chassis.bus import client_arguments
from services.chassis.checkpoint import checkpoint
from services.chassis.clock import Clock
from services.chassis.records import Quarantined, Record
from services.chassis.settings import Settings
from services.chassis.wake import Wake

BATCH_ROWS_MAX = 500
POLL_SECONDS_MAX = 1.0
RETRY_SECONDS = 0.5
BATCH_BYTES_MAX = 512 * 1024
REQUEST_BYTES_MAX = 2 * 1024 * 1024
RELAY_LOCK = 0x0B0C5
LOAD = """
SELECT seq, aggregateid, topic, payload, headers, created_at FROM outbox ORDER BY seq LIMIT $1
"""
# Publish, then delete; never remember a last sequence, for rows do not commit in its order.
DELETE = "DELETE FROM outbox WHERE seq = ANY($1::bigint[])"


class Relay:
    """Woken by NOTIFY, and once a second in case one was lost."""

    def __init__(self, url: str, service: str, settings: Settings, clock: Clock) -> None:
        self._url = url
        self._service = service
        self._settings = settings
        self._clock = clock
        self._wake = Wake()
        self.failing: str | None = "starting"
        """Why nothing is published at present; None when all is well."""
        self.active = False
        """Whether this relay is the one that publishes."""

    async def run(self) -> None:
        """Until cancelled: connect, become the active relay, publish."""
        while True:
            try:
                await self._connected()
            except Exception as error:
                self.failing = faults.described(error)
                if not isinstance(error, KafkaError) and not faults.is_transient(error):
                    telemetry.log.error("relay_failed", exc_info=error)
                telemetry.log.warning("relay_waits", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _connected(self) -> None:
        connection = await database.connect(self._url, f"{self._service}-relay")
        producer = self._producer()
        try:
            await connection.add_listener("outbox", lambda *_: self._wake.set())
            await producer.start()
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK):
                self.failing = None
                await asyncio.sleep(POLL_SECONDS_MAX)
            self.active = True
            await self._publish_for_ever(connection, producer)
        finally:
            self.active = False
            connection.terminate()
            with suppress(Exception):
                await producer.stop()

    async def _publish_for_ever(self, connection: Any, producer: AIOKafkaProducer) -> None:
        while True:
            self._wake.clear()
            published = await self._publish(connection, producer)
            self.failing = None
            if published < BATCH_ROWS_MAX:
                await self._wake.rest(POLL_SECONDS_MAX)

    async def _publish(self, connection: Any, producer: AIOKafkaProducer) -> int:
        rows = await connection.fetch(LOAD, BATCH_ROWS_MAX)
        self._gauge(rows)
        if not rows:
            return 0
        # The producer keeps the order within a partition, also when it has to send again.
        sent = [await self._send(producer, row) for row in rows]
        results = await asyncio.gather(*sent, return_exceptions=True)
        checkpoint("after_publish")
        await self._set_aside_giants(connection, rows, results)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        await connection.execute(DELETE, [row["seq"] for row in rows])
        telemetry.RELAYED.labels(self._service).inc(len(rows))
        return len(rows)

    async def _send(self, producer: AIOKafkaProducer, row: Any) -> asyncio.Future[Any]:
        headers: dict[str, str] = json.loads(row["headers"])
        sent: asyncio.Future[Any] = await producer.send(
            row["topic"],
            value=row["payload"],
            key=row["aggregateid"].encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        )
        return sent

    async def _set_aside_giants(
        self, connection: Any, rows: Sequence[Any], results: list[Any]
    ) -> None:
        """A message that the broker will never take must not stop all that come after it."""
        for number, (row, result) in enumerate(zip(rows, results, strict=True)):
            if not isinstance(result, MessageSizeTooLargeError):
                continue
            headers = tuple((k, v.encode()) for k, v in json.loads(row["headers"]).items())
            record = Record(
                topic=row["topic"],
                partition=0,
                offset=row["seq"],
                key=row["aggregateid"].encode(),
                headers=headers,
                value=row["payload"],
            )
            aside = Quarantined(record=record, reason="the broker refuses it: it is too large")
            columns = quarantine.columns([aside], self._service, self._clock.now())
            await connection.execute(quarantine.INSERT, *columns)
            telemetry.log.critical("unpublishable", topic=row["topic"], reason=aside.reason)
            results[number] = None

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_arguments(self._settings),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            # What one poll has for a partition goes out, or fails, as a whole.
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
        )

    def _gauge(self, rows: Sequence[Any]) -> None:
        telemetry.OUTBOX_ROWS.labels(self._service).set(len(rows))
        age = (self._clock.now() - rows[0]["created_at"]).total_seconds() if rows else 0
        telemetry.OUTBOX_SECONDS.labels(self._service).set(max(age, 0))
