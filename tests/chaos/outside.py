"""The shop, the customers, the carrier and the warehouse, and the person who reviews."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.blackbox.world import Json, now, rfc3339
from tests.chaos.faults import Say, Storm
from tests.chaos.wanted import Case, bare
from tests.chaos.world import World

STEP_SECONDS_MAX = 6.0
CALL_SECONDS_MAX = 10.0
AGAIN_SECONDS = 0.3
GIVE_UP_SECONDS = 180.0
TIMEOUT = "assessment_timeout"


async def insist(act: Callable[[], Awaitable[bool]]) -> None:
    """Until it succeeds: everything here is safe to repeat. Raises AssertionError."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            if await act():
                return
        except (httpx.TransportError, KafkaError, TimeoutError):
            pass
        assert time.monotonic() < until, f"a caller gave up after {GIVE_UP_SECONDS:.0f} s"
        await asyncio.sleep(AGAIN_SECONDS)


class Outside:
    """The shop, the customers, the carrier and the warehouse."""

    def __init__(self, world: World, http: httpx.AsyncClient, producer: AIOKafkaProducer) -> None:
        self.world, self.http, self.producer = world, http, producer

    async def live(self, case: Case, chance: random.Random) -> None:
        """One return from purchase to the last that anybody says of it; some things twice."""
        await self._pay(case)
        await self._say("orders", bare("OrderSnapshot", case.order), case, chance)
        request = case.request()
        if case.over_http:
            await insist(lambda: self._called("POST", "gateway", "/returns", request, 202))
        else:
            await self._say("returns.requests", bare("ReturnRequest", request), case, chance)
        for topic, value in case.told():
            await asyncio.sleep(chance.uniform(0, STEP_SECONDS_MAX))
            await self._say(topic, value, case, chance)

    async def _pay(self, case: Case) -> None:
        [payment] = case.order["payments"]
        body = {
            "reference": case.reference, "amount": payment["captured"], "currency": "USD",
            "behaviour": case.kind.behaviour,
        }  # fmt: skip
        await insist(lambda: self._called("POST", "sandbox", "/sandbox/payments", body, 201))

    async def _called(self, method: str, service: str, path: str, body: Json, ok: int) -> bool:
        url = f"{self.world.url(service)}{path}"
        answer = await self.http.request(method, url, json=body, timeout=CALL_SECONDS_MAX)
        assert answer.status_code == ok or answer.status_code >= 500, answer.text
        return answer.status_code == ok

    async def _say(self, topic: str, value: bytes, case: Case, chance: random.Random) -> None:
        async def sent() -> bool:
            await self.producer.send_and_wait(topic, value, key=case.order_id.encode())
            return True

        for _ in range(chance.choice((1, 1, 1, 2))):
            await insist(sent)


async def play(
    world: World, cases: Sequence[Case], storm: Storm, *, seconds: float, chance: random.Random
) -> None:
    """All returns, evenly over the time, under the storm."""
    until = time.monotonic() + seconds
    producer = AIOKafkaProducer(
        bootstrap_servers=world.bootstrap, acks="all", enable_idempotence=True
    )
    await producer.start()
    try:
        async with httpx.AsyncClient() as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(storm.blow(until))
            outside = Outside(world, http, producer)
            for case in cases:
                tasks.create_task(outside.live(case, random.Random(chance.random())))
                await asyncio.sleep(seconds / len(cases))
    finally:
        await producer.stop()


async def review(world: World, cases: Iterable[Case], say: Say) -> None:
    """A person approves what was escalated because an agent was away for more than a minute."""
    async with httpx.AsyncClient(base_url=world.url("gateway"), timeout=CALL_SECONDS_MAX) as http:
        for case in cases:
            view = (await http.get(f"/returns/{case.return_id}")).raise_for_status().json()
            escalation = (view.get("decision") or {}).get("escalation") or {}
            if view["status"] == "awaiting_review" and escalation.get("reason") == TIMEOUT:
                approval = {
                    "decision": "approve", "reason": "the facts are in now",
                    "reviewer": "reviewer-1", "decided_at": rfc3339(now()),
                    "case_sha256": escalation["case"]["case_sha256"],
                }  # fmt: skip
                answer = await http.post(f"/returns/{case.return_id}/review", json=approval)
                say(f"reviewed {case.return_id}, whose assessment timed out: {answer.status_code}")
