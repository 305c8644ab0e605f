"""A payment service of real parts that is killed: broker, store, processor, process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.base import Message
from services.payment.model import OrderMoney
from tests.conftest import Bus
from tests.driving import record
from tests.payments import (
    SECRET,
    Sandbox,
    a_decision,
    a_payment,
    a_release,
    a_reversal,
    an_order,
    new_id,
    paid_by_a_person,
)
from tests.waiting import wait_for

DIES_SECONDS_MAX = 90
DEATHS_MAX = 40
AMOUNT, REVERSED = 22200, 5000
POLL_MS = 2_000
EVENTS = "payment.events"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the process dies: a checkpoint, and the message it handles there (empty: any)."""

    checkpoint: str
    message: str = ""
    of_reversals: bool = False

    @property
    def name(self) -> str:
        return f"{self.checkpoint} {self.message}".strip()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One return under one behaviour, for which the process dies at one place."""

    place: Place
    behaviour: str
    number: str = field(default_factory=lambda: uuid4().hex[:12])
    return_id: str = field(default_factory=new_id)
    refund_id: str = field(default_factory=new_id)
    reversal_id: str = field(default_factory=new_id)

    @property
    def order_id(self) -> str:
        return f"order-{self.number}"

    @property
    def reference(self) -> str:
        return f"pi_{self.number}"

    @property
    def watched(self) -> str:
        """What the process handles when it dies."""
        return self.reversal_id if self.place.of_reversals else self.refund_id

    def before(self) -> list[Message]:
        """What has happened before."""
        named = {"order_id": self.order_id}
        if self.place.of_reversals:
            return [*paid_by_a_person(self.return_id, self.refund_id, self.reference, **named)]
        order = an_order(a_payment(self.reference), **named)
        return [order, a_decision(self.return_id, **named)]

    def trigger(self) -> Message:
        """What leads the process to the place."""
        if not self.place.of_reversals:
            return a_release(self.return_id, self.refund_id, order_id=self.order_id)
        return a_reversal(
            self.return_id,
            self.reversal_id,
            amount=REVERSED,
            consent=True,
            order_id=self.order_id,
            payment_id="p1",
        )


@dataclass(frozen=True, kw_only=True)
class Told:
    """A message on the topic."""

    id: str
    kind: str
    body: dict[str, Any]


@dataclass
class Killed:
    """The service's surroundings; it runs only inside `working`."""

    bus: Bus
    store_url: str
    sandbox: Sandbox
    port: int
    folder: Path
    producer: AIOKafkaProducer
    store: Any

    async def prepare(self, cells: Sequence[Cell]) -> None:
        """Payments, orders, reservations; the service has taken them up and is stopped again."""
        for cell in cells:
            self.sandbox.pay(cell.reference, behaviour=cell.behaviour)
        async with self._process() as process:
            for cell in cells:
                await self._publish(*cell.before())
            await wait_for(
                lambda: self._known(cells), seconds=DIES_SECONDS_MAX, what="the reservations"
            )
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    async def die_at(self, place: Place, cells: Sequence[Cell]) -> None:
        """Have the service killed at the place until it was for every cell."""
        notes = self.folder / f"{place.name}.notes"
        notes.touch()
        wanted = {cell.watched for cell in cells}
        await self._publish(*(cell.trigger() for cell in cells))
        for _ in range(DEATHS_MAX):
            async with self._process(place, notes, wanted) as process:
                try:
                    ended = await asyncio.wait_for(process.wait(), DIES_SECONDS_MAX)
                except TimeoutError:
                    missing = self._behaviours(cells, wanted - set(notes.read_text().split()))
                    raise AssertionError(f"{place.name} was not reached by {missing}") from None
            assert ended == -signal.SIGKILL, self._log()
            if wanted <= set(notes.read_text().split()):
                return
        raise AssertionError(f"{place.name}: it dies all the time")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[httpx.AsyncClient]:
        """The service as it is, for the length of a block, and its HTTP face."""
        async with (
            self._process(),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as client,
        ):
            yield client

    async def order(self, cell: Cell) -> OrderMoney:
        text = await self.store.fetchval(
            "SELECT document FROM order_money WHERE order_id = $1", cell.order_id
        )
        return OrderMoney.model_validate_json(text)

    async def told(self) -> dict[str, list[Told]]:
        """Order -> all that was published about it, each message once."""
        consumer = AIOKafkaConsumer(
            f"{self.bus.prefix}{EVENTS}",
            bootstrap_servers=self.bus.bootstrap,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        found: dict[str, Told] = {}
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=POLL_MS)
                for each in (each for batch in batches.values() for each in batch):
                    headers = dict(each.headers)
                    id_, type_ = headers["ce_id"].decode(), headers["ce_type"].decode()
                    body = json.loads(each.value)
                    found.setdefault(id_, Told(id=id_, kind=type_.split(".")[1], body=body))
        finally:
            await consumer.stop()
        by_order: dict[str, list[Told]] = {}
        for message in found.values():
            by_order.setdefault(message.body["order_id"], []).append(message)
        return by_order

    async def _known(self, cells: Sequence[Cell]) -> bool:
        count = await self.store.fetchval(
            "SELECT count(*) FROM payment_balances"
            " WHERE order_id = ANY($1::text[]) AND reserved + settled = $2",
            [cell.order_id for cell in cells],
            AMOUNT,
        )
        return int(count) == len(cells)

    async def _publish(self, *messages: Message) -> None:
        for made in map(record, messages):
            await self.producer.send(
                f"{self.bus.prefix}{made.topic}",
                made.value,
                key=made.key,
                headers=list(made.headers),
            )
        await self.producer.flush()

    @asynccontextmanager
    async def _process(
        self,
        place: Place | None = None,
        notes: Path | None = None,
        wanted: Collection[str] = (),
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        arguments = [place.checkpoint, place.message, str(notes)] if place else ["", "", ""]
        with (self.folder / "payment.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.payment.mortal",
                *arguments,
                *sorted(wanted),
                env=os.environ | self._environment(),
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _environment(self) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bus.bootstrap,
            "EMBEDDED_BROKER": self.bus.kind,
            "TOPIC_PREFIX": self.bus.prefix,
            "PAYMENT_DATABASE_URL": self.store_url,
            "PAYMENT_PORT": str(self.port),
            "SANDBOX_URL": self.sandbox.url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "LOG_LEVEL": "WARNING",
        }

    def _behaviours(self, cells: Sequence[Cell], watched: set[str]) -> list[str]:
        return sorted(cell.behaviour for cell in cells if cell.watched in watched)

    def _log(self) -> str:
        return (self.folder / "payment.log").read_text()[-3000:]


@asynccontextmanager
async def surroundings(
    bus: Bus, store_url: str, sandbox: Sandbox, port: int, folder: Path
) -> AsyncIterator[Killed]:
    producer = AIOKafkaProducer(bootstrap_servers=bus.bootstrap)
    await producer.start()
    store = await asyncpg.connect(store_url)
    try:
        yield Killed(bus, store_url, sandbox, port, folder, producer, store)
    finally:
        await store.close()
        await producer.stop()
