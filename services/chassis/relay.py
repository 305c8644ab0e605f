"""Publishes outbox rows in order and deletes them. One active relay per store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.chassis import database, telemetry
from services.chassis.bus import client_arguments
from services.chassis.checkpoint import checkpoint
from services.chassis.settings import Settings

BATCH_ROWS_MAX = 1000
POLL_SECONDS = 0.5
RETRY_SECONDS = 0.5
RELAY_LOCK = 0x0B0C5
LOAD_OUTBOX = "SELECT seq, aggregateid, topic, payload, headers FROM outbox ORDER BY seq LIMIT $1"
# Publish, then delete; never remember a last sequence, for rows do not commit in its order.
DELETE_OUTBOX = "DELETE FROM outbox WHERE seq = ANY($1::bigint[])"


class Relay:
    """Woken by NOTIFY, and twice a second in case one was lost."""

    def __init__(self, url: str, service: str, settings: Settings) -> None:
        self._url = url
        self._service = service
        self._settings = settings
        self._wake = asyncio.Event()
        self._listeners: dict[str, Callable[[], None]] = {}
        self.failing: str | None = "starting"
        """Why nothing is published at present; None when all is well."""

    def on_notify(self, channel: str, callback: Callable[[], None]) -> None:
        """Have a store notification on `channel` call back; before `run`."""
        self._listeners[channel] = callback

    async def run(self) -> None:
        """Until cancelled: connect, become the active relay, publish."""
        while True:
            try:
                await self._connected()
            except (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self.failing = type(error).__name__
                telemetry.log.warning("relay_waits", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _connected(self) -> None:
        connection = await database.connect(self._url, f"{self._service}-relay")
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=2,
            max_request_size=2 * 1024 * 1024,
        )
        try:
            await connection.add_listener("outbox", lambda *_: self._wake.set())
            for channel, callback in self._listeners.items():
                await connection.add_listener(channel, lambda *_, call=callback: call())
            await producer.start()
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LOCK):
                self.failing = None
                await asyncio.sleep(POLL_SECONDS)
            while True:
                self._wake.clear()
                published = await self._publish(connection, producer)
                self.failing = None
                if published < BATCH_ROWS_MAX:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        finally:
            with suppress(Exception):
                await producer.stop()
            connection.terminate()

    async def _publish(self, connection: Any, producer: AIOKafkaProducer) -> int:
        rows = await connection.fetch(LOAD_OUTBOX, BATCH_ROWS_MAX)
        telemetry.OUTBOX_ROWS.labels(self._service).set(len(rows))
        if not rows:
            return 0
        sent = []
        for row in rows:
            headers = json.loads(row["headers"])
            sent.append(
                await producer.send(
                    row["topic"],
                    value=row["payload"],
                    key=row["aggregateid"].encode(),
                    headers=[(name, value.encode()) for name, value in headers.items()],
                )
            )
        await asyncio.gather(*sent)
        checkpoint("after_publish")
        await connection.execute(DELETE_OUTBOX, [row["seq"] for row in rows])
        return len(rows)
