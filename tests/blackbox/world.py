"""The running system as strangers see it: its addresses, its topics, the sandbox's book.

Nothing of `contracts` or `services` is imported here, so that these tests notice when the
published interface moves.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

READY_SECONDS_MAX = 90
SETTLE_SECONDS_MAX = 60
Json = dict[str, Any]


class Addresses(Protocol):
    """Where a running system is reached, however it was started."""

    @property
    def gateway(self) -> str: ...

    @property
    def sandbox(self) -> str: ...

    @property
    def kafka(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class World:
    """A system that was started with `returns up --json`."""

    addresses: Json
    starter: subprocess.Popen[str]
    home: Path

    @property
    def gateway(self) -> str:
        return str(self.addresses["gateway"])

    @property
    def sandbox(self) -> str:
        return str(self.addresses["sandbox"])

    @property
    def kafka(self) -> str:
        return str(self.addresses["kafka"])


@contextmanager
def running(home: Path, **environment: str) -> Iterator[World]:
    """Start everything in `home`; stop it with SIGTERM and insist that it ends cleanly."""
    returns = Path(sys.executable).parent / "returns"
    errors = (home / "starter.log").open("w")
    starter = subprocess.Popen(
        [str(returns), "up", "--json"],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | {"RETURNS_HOME": str(home)} | environment,
        start_new_session=True,
    )
    try:
        assert starter.stdout is not None
        line = starter.stdout.readline()
        assert line, f"the system did not start:\n{(home / 'starter.log').read_text()[-3000:]}"
        yield World(addresses=json.loads(line), starter=starter, home=home)
    finally:
        was_running = starter.poll() is None
        if was_running:
            starter.send_signal(signal.SIGTERM)
        status = starter.wait(timeout=60)
        errors.close()
    if was_running:
        assert status == 0, f"it ended with {status}:\n{(home / 'starter.log').read_text()[-3000:]}"


def now() -> datetime:
    return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def new_id() -> str:
    return str(uuid.uuid4())


def an_order(
    *,
    delivered_days_ago: float = 10,
    quantity: int = 1,
    reference: str | None = None,
    **changes: Any,
) -> Json:
    """Golden example G1: a jacket for 200 dollars, 12 tax, 10 shipping, paid with one card."""
    number = uuid.uuid4().hex[:12]
    delivered = now() - timedelta(days=delivered_days_ago)
    order: Json = {
        "order_id": f"order-{number}",
        "order_number": f"N{number}",
        "version": 1,
        "placed_at": rfc3339(delivered - timedelta(days=3)),
        "currency": "USD",
        "prices_include_tax": False,
        "buyer": {
            "customer_id": f"customer-{number}",
            "email": f"{number}@customer.example",
            "type": "consumer",
            "country": "US",
            "region": "NV",
        },
        "ship_to": {
            "name": "Sarah",
            "line1": "1 Main Street",
            "city": "Reno",
            "region": "NV",
            "postal_code": "89501",
            "country": "US",
        },
        "lines": [
            {
                "line_id": "1",
                "sku": "JACKET-M",
                "title": "Winter jacket",
                "category": "apparel",
                "quantity": quantity,
                "unit_price": 20000,
                "discount_total": 0,
                "tax_total": 1200 * quantity,
                "tax_rate_bps": 600,
                "traits": [],
            }
        ],
        "shipping": {
            "method": "standard",
            "paid": 1000,
            "tax_total": 0,
            "cheapest_offered": 1000,
        },
        "payments": [
            {
                "payment_id": "p1",
                "processor": "sandbox",
                "processor_reference": reference or f"pi_{number}",
                "method": "card",
                "network": "visa",
                "last4": "1234",
                "captured": 21200 * quantity + 1000,
                "captured_at": rfc3339(delivered - timedelta(days=3)),
            }
        ],
        "loyalty": {
            "program_id": "points",
            "points_earned": 200,
            "points_redeemed": 0,
            "redeemed_value": 0,
        },
        "deliveries": [
            {
                "delivery_id": "d1",
                "shipped_at": rfc3339(delivered - timedelta(days=2)),
                "delivered_at": rfc3339(delivered),
                "lines": [{"line_id": "1", "quantity": quantity}],
            }
        ],
    }
    return order | changes


def a_request(
    order: Json, *, reason: str = "wrong_size", quantity: int = 1, **changes: Any
) -> Json:
    request: Json = {
        "return_id": new_id(),
        "order_id": order["order_id"],
        "requester": {
            "customer_id": order["buyer"]["customer_id"],
            "verified_by": "session",
        },
        "lines": [
            {
                "line_id": "1",
                "sku": order["lines"][0]["sku"],
                "quantity": quantity,
                "reason": reason,
                "condition": "unopened",
                "note": "it does not fit",
            }
        ],
        "evidence": [],
        "resolution": "refund",
        "currency": order["currency"],
        "channel": {"type": "api"},
        "locale": "en-US",
        "requested_at": rfc3339(now()),
    }
    return request | changes


async def until(
    what: Callable[[], Awaitable[Any]], *, seconds: float = SETTLE_SECONDS_MAX, about: str = ""
) -> Any:
    """The first truthy answer of `what`. Fails after `seconds` with the last answer."""
    end = time.monotonic() + seconds
    answer = None
    while time.monotonic() < end:
        answer = await what()
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {about} (last answer: {answer!r})")


class Stranger:
    """One customer, warehouse and reviewer, using nothing but the published calls."""

    def __init__(self, world: Addresses, *, key: str | None = None) -> None:
        self.world = world
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self.http = httpx.AsyncClient(timeout=20, headers=headers)

    async def place(self, order: Json, *, behaviour: str = "ok") -> None:
        for payment in order["payments"]:
            made = await self.http.post(
                f"{self.world.sandbox}/sandbox/payments",
                json={
                    "reference": payment["processor_reference"],
                    "amount": payment["captured"],
                    "currency": order["currency"],
                    "behaviour": behaviour,
                },
            )
            assert made.status_code == 201, made.text
        put = await self.http.put(f"{self.world.gateway}/orders/{order['order_id']}", json=order)
        assert put.status_code == 202, put.text

    async def ask(self, request: Json) -> str:
        posted = await self.http.post(f"{self.world.gateway}/returns", json=request)
        assert posted.status_code == 202, posted.text
        return str(posted.json()["return_id"])

    async def see(self, return_id: str) -> Json:
        got = await self.http.get(f"{self.world.gateway}/returns/{return_id}")
        assert got.status_code == 200, got.text
        answer: Json = got.json()
        return answer

    async def reaches(
        self,
        return_id: str,
        *statuses: str,
        seconds: float = 60,
        shows: Callable[[Json], bool] = bool,
    ) -> Json:
        """The view in one of `statuses` that also `shows` what is looked for: status and decision
        come by different topics, so that either may be seen before the other."""
        last: Json = {}

        async def there() -> Json | None:
            nonlocal last
            got = await self.http.get(f"{self.world.gateway}/returns/{return_id}")
            if got.status_code != 200:
                return None
            last = got.json()
            return last if last["status"] in statuses and shows(last) else None

        try:
            answer: Json = await until(there, seconds=seconds)
        except AssertionError:
            raise AssertionError(
                f"{return_id} did not reach {statuses}: {json.dumps(last, indent=1)[:6000]}"
            ) from None
        return answer

    async def labelled(self, return_id: str) -> Json:
        async def there() -> Json | None:
            answer = await self.see(return_id)
            return answer if answer.get("label") else None

        answer: Json = await until(there, about="a label")
        return answer

    async def warehouse(self, kind: str, **body: Any) -> None:
        body = {"event_id": new_id(), "occurred_at": rfc3339(now())} | body
        posted = await self.http.post(f"{self.world.gateway}/warehouse/{kind}", json=body)
        assert posted.status_code == 202, posted.text

    async def send_back(
        self,
        return_id: str,
        order: Json,
        *,
        counted: int = 1,
        grade: str = "as_new",
        **of_line: Any,
    ) -> None:
        """The parcel's life: scanned, delivered, counted, inspected."""
        sku = order["lines"][0]["sku"]
        await self.warehouse("scans", return_id=return_id, scan="accepted")
        await self.warehouse("scans", return_id=return_id, scan="delivered")
        await self.warehouse(
            "receipts", return_id=return_id, lines=[{"sku": sku, "quantity": counted}]
        )
        await self.warehouse(
            "inspections",
            return_id=return_id,
            inspector="w1",
            lines=[{"sku": sku, "quantity": counted, "grade": grade, "evidence": []} | of_line],
        )

    async def review(self, return_id: str, **body: Any) -> httpx.Response:
        return await self.http.post(
            f"{self.world.gateway}/returns/{return_id}/review",
            json={"reason": "looked at it", "reviewer": "reviewer-1"} | body,
        )

    async def case(self, return_id: str) -> Json:
        waits = ("awaiting_review", "settlement_failed")
        seen = await self.reaches(return_id, *waits, shows=has_case)
        escalation: Json = seen["decision"]["escalation"]
        return escalation

    async def money_out(self, order: Json) -> list[Json]:
        """The book's movements for this order's payments."""
        references = {payment["processor_reference"] for payment in order["payments"]}
        book = (await self.http.get(f"{self.world.sandbox}/sandbox/book")).json()
        return [entry for entry in book["entries"] if entry["reference"] in references]

    async def paid(self, order: Json) -> int:
        """Minor units that left for good: refunds minus refunds that came back."""
        signs = {"refund": 1, "refund_failed": -1, "charge": 0}
        return sum(signs[entry["kind"]] * entry["amount"] for entry in await self.money_out(order))

    async def publish(
        self, topic: str, value: bytes, *, key: str, headers: list[tuple[str, bytes]] | None = None
    ) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.world.kafka, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key=key.encode(), headers=headers or [])
        finally:
            await producer.stop()

    async def read_topic(self, topic: str) -> list[Any]:
        """Everything that is on a topic now."""
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self.world.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        records: list[Any] = []
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(each) < end for each, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=1000)).values():
                    records.extend(batch)
            return records
        finally:
            await consumer.stop()

    async def close(self) -> None:
        await self.http.aclose()


def has_case(seen: Json) -> bool:
    return bool((seen.get("decision") or {}).get("escalation"))


def one_is_outstanding(seen: Json) -> bool:
    found: object = seen["decision"]["return"].get("outstanding")
    return found == [{"line_id": "1", "quantity": 1}]
