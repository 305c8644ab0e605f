"""Workload W1: returns that go well, from request to settlement; outside parties never think.

The driver is shop, customer, carrier and warehouse. It speaks on the bus as strangers do and
keeps a fixed number of returns under way.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.chassis import ids
from services.chassis.clock import WallClock
from services.ops.demo.orders import jacket_order, rfc3339

Json = dict[str, Any]
LISTENS = ("returns.decisions", "returns.lifecycle", "fulfillment.events")
CALLS_AT_ONCE = 16
STALLED_SECONDS_MAX = 60
ENDS = {"settled"}
WRONG = {"rejected", "cancelled", "expired", "awaiting_review", "settlement_failed"}


@dataclass(kw_only=True)
class Measured:
    """Seconds since the start of the run, one number for each return."""

    decided_after: list[float] = field(default_factory=list)
    """From request to decision, as somebody on the bus sees it."""
    settled_at: list[float] = field(default_factory=list)
    seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.settled_at) / self.seconds if self.seconds else 0.0


@dataclass(kw_only=True)
class Driver:
    addresses: Json
    clock: WallClock = field(default_factory=WallClock)
    orders: list[Json] = field(default_factory=list)
    _asked: dict[str, tuple[float, Json]] = field(default_factory=dict)
    _decided: set[str] = field(default_factory=set)
    _done: dict[str, asyncio.Event] = field(default_factory=dict)
    _last: float = 0

    async def prepare(self, count: int, say: Callable[[int], None]) -> None:
        """Captured payments and orders, known to commerce before the first request."""
        fresh = [jacket_order(self.clock.now()) for _ in range(count)]
        gate = asyncio.Semaphore(CALLS_AT_ONCE)
        async with httpx.AsyncClient(base_url=self.addresses["sandbox"], timeout=30) as sandbox:

            async def pay(order: Json) -> None:
                [payment] = order["payments"]
                body = {
                    "reference": payment["processor_reference"],
                    "amount": payment["captured"],
                    "currency": order["currency"],
                    "behaviour": "ok",
                }
                async with gate:
                    (await sandbox.post("/sandbox/payments", json=body)).raise_for_status()
                say(1)

            await asyncio.gather(*(pay(order) for order in fresh))
        async with self._producer() as send:
            await asyncio.gather(
                *(send("orders", "OrderSnapshot", order, order["order_id"]) for order in fresh)
            )
        self.orders += fresh
        await self._known(len(self.orders))

    async def _known(self, count: int) -> None:
        connection = await asyncpg.connect(self.addresses["databases"]["commerce"])
        try:
            async with asyncio.timeout(STALLED_SECONDS_MAX):
                while await connection.fetchval("SELECT count(*) FROM orders") < count:
                    await asyncio.sleep(0.1)
        finally:
            await connection.close()

    async def run(
        self,
        orders: list[Json],
        *,
        at_once: int | None = None,
        per_second: float | None = None,
        say: Callable[[int], None],
    ) -> Measured:
        """Bring one return of each order to its end.

        `at_once` of them are under way, or `per_second` come in whatever became of those before
        (then a latency counts from the instant at which the request was due).
        """
        measured = Measured()
        consumer = AIOKafkaConsumer(
            *LISTENS,
            bootstrap_servers=self.addresses["kafka"],
            auto_offset_reset="latest",
            enable_auto_commit=False,
            fetch_max_wait_ms=20,
        )
        await consumer.start()
        await consumer.seek_to_end()
        gate = asyncio.Semaphore(at_once or len(orders))
        async with self._producer() as send:
            started = self._last = time.monotonic()
            hearing = asyncio.create_task(self._hear(consumer, send, measured, started))

            async def bring(number: int, order: Json) -> None:
                async with gate:
                    due = started + number / per_second if per_second else time.monotonic()
                    await asyncio.sleep(max(due - time.monotonic(), 0))
                    request = self._request(order)
                    return_id = request["return_id"]
                    self._done[return_id] = asyncio.Event()
                    self._asked[return_id] = (due, order)
                    await send("returns.requests", "ReturnRequest", request, order["order_id"])
                    await self._done[return_id].wait()
                    say(1)

            try:
                bringing = asyncio.ensure_future(
                    asyncio.gather(*(bring(number, order) for number, order in enumerate(orders)))
                )
                both: set[asyncio.Future[Any]] = {bringing, hearing}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    bringing.cancel()
                    await hearing
                await bringing
                measured.seconds = time.monotonic() - started
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
                await consumer.stop()
        return measured

    async def _hear(
        self,
        consumer: AIOKafkaConsumer,
        send: Send,
        measured: Measured,
        started: float,
    ) -> None:
        while True:
            batches = await consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for records in batches.values():
                for record in records:
                    name = _type(record)
                    body = json.loads(record.value)
                    if body.get("return_id") in self._asked:
                        await self._react(name, body, send, measured, now, started)
            if now - self._last > STALLED_SECONDS_MAX:
                raise SystemExit(f"nothing happened for {STALLED_SECONDS_MAX} s: the run failed")

    async def _react(
        self, name: str, body: Json, send: Send, measured: Measured, now: float, started: float
    ) -> None:
        return_id = body["return_id"]
        self._last = now
        asked, order = self._asked[return_id]
        if name == "ReturnDecisionMade" and return_id not in self._decided:
            self._decided.add(return_id)
            measured.decided_after.append(now - asked)
        elif name == "ReturnLabelIssued":
            for event, event_body in self._parcel(return_id, order):
                await send("warehouse.events", event, event_body, order["order_id"])
        elif name == "ReturnStatusChanged" and body["status"] in ENDS | WRONG:
            del self._asked[return_id]
            if body["status"] in WRONG:
                measured.wrong.append(f"{return_id} {body['status']}: {body['explanation']}")
            else:
                measured.settled_at.append(now - started)
            self._done.pop(return_id).set()

    def _request(self, order: Json) -> Json:
        line = order["lines"][0]
        return {
            "return_id": ids.new(),
            "order_id": order["order_id"],
            "requester": {
                "customer_id": order["buyer"]["customer_id"],
                "verified_by": "session",
            },
            "lines": [
                {
                    "line_id": line["line_id"],
                    "sku": line["sku"],
                    "quantity": 1,
                    "reason": "wrong_size",
                    "condition": "unopened",
                }
            ],
            "resolution": "refund",
            "currency": order["currency"],
            "channel": {"type": "api"},
            "locale": "en",
            "requested_at": rfc3339(self.clock.now()),
        }

    def _parcel(self, return_id: str, order: Json) -> tuple[tuple[str, Json], ...]:
        """The parcel's whole life at once."""
        counted = {"sku": order["lines"][0]["sku"], "quantity": 1}
        now = rfc3339(self.clock.now())

        def event(**more: Any) -> Json:
            names = {"return_id": return_id, "order_id": order["order_id"]}
            return {"event_id": ids.new(), "occurred_at": now} | names | more

        return (
            ("ParcelScanned", event(scan="accepted")),
            ("ParcelScanned", event(scan="delivered")),
            ("ItemReceived", event(lines=[counted])),
            (
                "ItemInspected",
                event(lines=[counted | {"grade": "as_new", "evidence": []}], inspector="w1"),
            ),
        )

    def _producer(self) -> Producing:
        return Producing(self.addresses["kafka"])


Send = Callable[[str, str, Json, str], Awaitable[None]]
"""(topic, message, body, key)"""


@dataclass
class Producing:
    """A producer for the length of a block; gives a `Send`."""

    bootstrap: str

    async def __aenter__(self) -> Send:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True, linger_ms=2
        )
        await self._producer.start()
        return self._send

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def _send(self, topic: str, message: str, body: Json, key: str) -> None:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": ids.new(),
            "ce_source": "/benchmark",
            "ce_type": f"returns.{message}.v1",
            "content-type": "application/json",
        }
        await self._producer.send(
            topic,
            json.dumps(body).encode(),
            key=key.encode(),
            headers=[(name, text.encode()) for name, text in headers.items()],
        )


def _type(record: Any) -> str:
    named = next(value.decode() for name, value in record.headers if name == "ce_type")
    return str(named.removeprefix("returns.").removesuffix(".v1"))
