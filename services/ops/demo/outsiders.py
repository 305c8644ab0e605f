"""Customer, warehouse and reviewer of a demo: nothing but the calls that everybody has."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.chassis import ids
from services.chassis.clock import WallClock
from services.ops.console import Refused
from services.ops.demo.orders import Json, rfc3339

POLL_SECONDS = 0.05
STATUS_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 10.0
TRIES_MAX = 60
PAUSE_SECONDS = 0.25


@dataclass(kw_only=True)
class Outsiders:
    """All outside parties of one return. Calls are repeated while a service is away."""

    gateway: str
    sandbox: str
    http: httpx.AsyncClient
    clock: WallClock = field(default_factory=WallClock)

    async def place(self, order: Json, *, behaviour: str = "ok") -> None:
        """The shop: a captured payment at the processor, and the order."""
        for payment in order["payments"]:
            body = {
                "reference": payment["processor_reference"],
                "amount": payment["captured"],
                "currency": order["currency"],
                "behaviour": behaviour,
            }
            await self._call("POST", f"{self.sandbox}/sandbox/payments", body, also=(409,))
        await self._call("PUT", f"{self.gateway}/orders/{order['order_id']}", order)

    async def ask(self, request: Json) -> str:
        """The customer: a return request. The id of the return."""
        answer = await self._call("POST", f"{self.gateway}/returns", request)
        return str(answer["return_id"])

    async def see(self, return_id: str) -> Json:
        """The return as it stands."""
        return await self._call("GET", f"{self.gateway}/returns/{return_id}")

    async def reaches(self, return_id: str, *statuses: str) -> Json:
        """Wait for one of the statuses. Raises Refused when it does not come."""
        return await self._until(return_id, lambda seen: seen["status"] in statuses, statuses)

    async def is_labelled(self, return_id: str) -> Json:
        """Wait for the label. Raises Refused when it does not come."""
        return await self._until(return_id, lambda seen: bool(seen.get("label")), ("a label",))

    async def act(self, return_id: str, what: str, **body: Any) -> None:
        """The customer or a reviewer: `cancel`, `settlement`, `review`, …"""
        await self._call("POST", f"{self.gateway}/returns/{return_id}/{what}", body)

    async def review(self, return_id: str, decision: str, **body: Any) -> None:
        """The reviewer: decide the case as it is shown now."""
        # The status and the case come over different topics.
        seen = await self._until(return_id, _has_a_case, ("a case for a person",))
        case = seen["decision"]["escalation"]["case"]
        await self.act(
            return_id,
            "review",
            decision=decision,
            case_sha256=case["case_sha256"],
            reviewer="demo-reviewer",
            decided_at=self.now(),
            **body,
        )

    async def warehouse(self, what: str, return_id: str, **body: Any) -> None:
        """The carrier or the warehouse: `scans`, `receipts` or `inspections`."""
        event = {"event_id": ids.new(), "return_id": return_id, "occurred_at": self.now()}
        await self._call("POST", f"{self.gateway}/warehouse/{what}", event | body)

    async def send_back(self, return_id: str, order: Json, **of_inspection: Any) -> None:
        """A parcel's life: handed over, delivered, counted, looked at."""
        counted = [{"sku": line["sku"], "quantity": line["quantity"]} for line in order["lines"]]
        graded = [{**line, "grade": "as_new", "evidence": []} | of_inspection for line in counted]
        await self.warehouse("scans", return_id, scan="accepted")
        await self.reaches(return_id, "in_transit")
        await self.warehouse("scans", return_id, scan="delivered")
        await self.reaches(return_id, "physically_received")
        await self.warehouse("receipts", return_id, lines=counted)
        await self.reaches(return_id, "quality_check")
        await self.warehouse("inspections", return_id, lines=graded, inspector="demo-inspector")

    async def book(self, order: Json) -> list[Json]:
        """The movements of money for this order at the processor."""
        mine = {payment["processor_reference"] for payment in order["payments"]}
        answer = await self._call("GET", f"{self.sandbox}/sandbox/book")
        return [entry for entry in answer["entries"] if entry["reference"] in mine]

    def now(self) -> str:
        return rfc3339(self.clock.now())

    async def _until(self, return_id: str, holds: Any, wanted: tuple[str, ...]) -> Json:
        deadline = time.monotonic() + STATUS_SECONDS_MAX
        while True:
            seen = await self.see(return_id)
            if holds(seen):
                return seen
            if time.monotonic() > deadline:
                raise Refused(
                    f"return {return_id} is {seen['status']} ({seen['explanation']}) after"
                    f" {STATUS_SECONDS_MAX:.0f} s; expected {' or '.join(wanted)}"
                )
            await asyncio.sleep(POLL_SECONDS)

    async def _call(
        self, method: str, url: str, body: Json | None = None, *, also: tuple[int, ...] = ()
    ) -> Json:
        """One call, repeated while nobody answers. Every call here is safe to repeat."""
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                answer = await self.http.request(method, url, json=body, timeout=CALL_SECONDS_MAX)
            except httpx.TransportError:
                if not tries_left:
                    raise
                also = (*also, httpx.codes.CONFLICT)  # it may have been done before it broke off
            else:
                unavailable = answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
                if answer.is_success or answer.status_code in also:
                    found: Json = answer.json() if answer.content else {}
                    return found
                if not unavailable or not tries_left:
                    raise Refused(f"{method} {url}: {answer.status_code} {answer.text[:500]}")
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")


def _has_a_case(seen: Json) -> bool:
    people = seen["status"] in ("awaiting_review", "settlement_failed")
    return people and bool((seen.get("decision") or {}).get("escalation"))
