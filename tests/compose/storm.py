"""A shop, its customers and its warehouse on the bus, while something inside is killed.

Everything goes in as the merchant's own systems would send it, with the merchant's login; what
must come out is known from the start: each payment is refunded once and in full, whatever its
processor does on the way.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.blackbox.world import Json, a_request, an_order, new_id, now, rfc3339
from tests.compose.deployment import Deployment
from tests.waiting import wait_for

REFUND = 22200
BEHAVIOURS = ("ok", "slow", "pending", "timeout_after_success", "error_500_after_success",
              "rate_limited", "no_webhook", "webhook_twice", "webhook_out_of_order")  # fmt: skip
ARRIVAL_SECONDS = 1.0
STEP_SECONDS = 2.0
RETRY_SECONDS = 0.5
DRAIN_SECONDS_MAX = 120
SEND_SECONDS_MAX = 90


@dataclass(kw_only=True)
class Storm:
    """Returns arrive for as long as `while_` runs. Every one of them has to be settled."""

    deployment: Deployment
    requests: dict[str, Json] = field(default_factory=dict)
    orders: dict[str, Json] = field(default_factory=dict)
    arrived: int = 0

    async def during(self, what: Callable[[], Awaitable[None]]) -> None:
        """Let returns arrive and go their way while `what` runs, until the last has gone it."""
        behaviours = cycle(BEHAVIOURS)
        busy = asyncio.ensure_future(what())
        async with (
            self._producing() as producer,
            httpx.AsyncClient(timeout=20) as http,
            asyncio.TaskGroup() as journeys,
        ):
            while not busy.done():
                self.arrived += 1
                journeys.create_task(self._journey(producer, http, next(behaviours)))
                await asyncio.sleep(ARRIVAL_SECONDS)
        await busy

    async def more_arrive(self, count: int = 1) -> None:
        """Until so many more customers have come, whatever is away."""
        wanted = self.arrived + count
        await wait_for(lambda: self.arrived >= wanted, seconds=DRAIN_SECONDS_MAX)

    async def goes_on(self) -> None:
        """Until a return that is asked for from now on is settled."""
        known = set(self.requests)
        headers = {"Authorization": f"Bearer {self.deployment.secrets['api-key']}"}
        async with httpx.AsyncClient(timeout=20, headers=headers) as http:

            async def a_new_one_is_settled() -> bool:
                new = self.requests.keys() - known
                return len(await self._unsettled(http, new)) < len(new)

            await wait_for(a_new_one_is_settled, seconds=DRAIN_SECONDS_MAX, what="a settled return")

    async def assert_nothing_was_lost(self) -> None:
        """Each payment refunded once and in full, and every return settled to its customer."""
        key = self.deployment.secrets["api-key"]
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(timeout=20, headers=headers) as http:

            async def all_settled() -> bool:
                return not await self._unsettled(http, self.requests)

            with suppress(AssertionError):
                await wait_for(all_settled, seconds=DRAIN_SECONDS_MAX)
            assert await self._unsettled(http, self.requests) == {}
            book = (await http.get(f"{self.deployment.sandbox}/sandbox/book")).json()["entries"]
        paid: Counter[str] = Counter()
        kinds: dict[str, list[str]] = {}
        for entry in book:
            kinds.setdefault(entry["reference"], []).append(entry["kind"])
            paid[entry["reference"]] += entry["amount"]
        for order in self.orders.values():
            reference = order["payments"][0]["processor_reference"]
            assert (kinds.get(reference), paid[reference]) == (["refund"], REFUND), order

    async def _unsettled(self, http: httpx.AsyncClient, asked: Collection[str]) -> dict[str, str]:
        """Return id -> status, of those that are not settled; `unknown` where nobody knows it."""
        found: dict[str, str] = {}
        gateway = self.deployment.gateway
        for return_id in asked:
            try:
                got = await http.get(f"{gateway}/returns/{return_id}")
            except httpx.TransportError:
                return dict.fromkeys(asked, "the gateway does not answer")
            status = got.json().get("status", "unknown") if got.is_success else "unknown"
            if status != "settled":
                found[return_id] = status
        return found

    async def _journey(
        self, producer: AIOKafkaProducer, http: httpx.AsyncClient, behaviour: str
    ) -> None:
        order = an_order()
        request = a_request(order)
        payment = order["payments"][0]
        body = {
            "reference": payment["processor_reference"],
            "amount": payment["captured"],
            "currency": order["currency"],
            "behaviour": behaviour,
        }
        await _insist(lambda: http.post(f"{self.deployment.sandbox}/sandbox/payments", json=body))
        self.orders[order["order_id"]] = order
        self.requests[request["return_id"]] = request
        for topic, value in _life(request, order):
            await _send(producer, topic, value, order["order_id"])
            await asyncio.sleep(STEP_SECONDS)

    @asynccontextmanager
    async def _producing(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            **self.deployment.login("merchant"), acks="all", enable_idempotence=True
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, value: bytes, key: str) -> None:
    """Until the broker has it: the same message twice is one message to its readers."""
    async with asyncio.timeout(SEND_SECONDS_MAX):
        while True:
            try:
                await producer.send_and_wait(topic, value, key=key.encode())
                return
            except KafkaError:
                await asyncio.sleep(RETRY_SECONDS)


async def _insist(call: Callable[[], Awaitable[httpx.Response]]) -> None:
    async with asyncio.timeout(SEND_SECONDS_MAX):
        while True:
            with suppress(httpx.TransportError):
                answer = await call()
                if answer.is_success or answer.status_code == httpx.codes.CONFLICT:
                    return
            await asyncio.sleep(RETRY_SECONDS)


def _life(request: Json, order: Json) -> list[tuple[str, bytes]]:
    """Everything that outside systems say about one return, on its topics."""
    about = {"return_id": request["return_id"], "order_id": order["order_id"]}
    line = {"sku": order["lines"][0]["sku"], "quantity": 1}
    graded = {**line, "grade": "as_new", "evidence": []}

    def event(kind: str, **body: Any) -> tuple[str, bytes]:
        made = {**about, "event_id": new_id(), "occurred_at": rfc3339(now()), **body}
        return "warehouse.events", _bare(kind, made)

    return [
        ("orders", _bare("OrderSnapshot", order)),
        ("returns.requests", _bare("ReturnRequest", request)),
        event("ParcelScanned", scan="accepted"),
        event("ParcelScanned", scan="delivered"),
        event("ItemReceived", lines=[line]),
        event("ItemInspected", inspector="w1", lines=[graded]),
    ]


def _bare(kind: str, body: Json) -> bytes:
    return json.dumps({"type": kind, **body}).encode()
