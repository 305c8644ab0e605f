"""A worker: one process of one service. What it holds in memory is lost when it is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from services.chassis import effects as chassis_effects
from services.chassis import http, ids
from services.chassis.batch import Batch
from services.chassis.deadlines import Deadlines
from services.chassis.effects import Effects, Outcome
from services.chassis.keys import ApiKeys
from services.chassis.pipeline import Pipeline
from services.chassis.records import Record
from services.chassis.relay import Relay
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.commerce import app as commerce
from services.fulfillment import app as fulfillment
from services.gateway import app as gateway
from services.gateway.gateway import Gateway
from services.gateway.store import Store as GatewayStore
from services.gateway.streams import Streams
from services.payment import app as payment
from services.payment import webhooks
from services.payment.intake import Intake
from tests.simulation.stores import Store
from tests.simulation.world import Group, Producer, SkewedClock

BUILD: dict[str, Callable[[Settings, Any, SkewedClock], Service[Any]]] = {
    "commerce": lambda settings, pool, clock: commerce.build(settings, pool),
    "fulfillment": fulfillment.build,
    "payment": payment.build,
    "gateway": lambda settings, pool, clock: gateway.build(settings, pool),
}


class Killed(BaseException):
    """The process dies here, as by `kill -9`: nobody may catch it but the world."""


def seed_chance(chance: Random) -> None:
    """Ids and jitter that the services draw at random come from the seed."""
    vars(ids)["uuid4"] = lambda: UUID(int=chance.getrandbits(128), version=4)
    vars(chassis_effects)["random"] = chance


@dataclass
class Worker:
    """`held` are records taken from the bus, `claimed` intents under a lease: both die with it."""

    service: str
    number: int
    store: Store
    group: Group
    clock: SkewedClock
    settings: Settings
    alive: bool = False
    held: list[Record] = field(default_factory=list)
    uncommitted: list[Record] = field(default_factory=list)
    claimed: list[Any] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    committed: list[Batch] = field(default_factory=list)
    """Batches whose commit this process has seen."""

    @property
    def name(self) -> str:
        return f"{self.service}/{self.number}"

    @property
    def pool(self) -> Any:
        return self.store.pools[self.number]

    def start(self) -> None:
        """A new process over the same store."""
        built = BUILD[self.service](self.settings, self.pool, self.clock)
        self.pipeline = Pipeline(built, self.pool, self.settings, self.clock)
        self.pipeline.after_commit = self.committed.append
        self.effects = Effects(self.pipeline)
        self.deadlines = Deadlines(self.pipeline)
        self.relay = Relay("", self.service, self.settings, self.clock)
        self.intake = Intake(self.pipeline)
        self.alive = True

    def die(self) -> None:
        self.alive = False
        for lost in (self.held, self.uncommitted, self.claimed, self.outcomes, self.committed):
            lost.clear()

    def take(self, records: list[Record]) -> None:
        self.held.extend(records)

    async def process(self) -> None:
        """The records in hand, in one batch. Raises Transient where they have to come again."""
        await self.pipeline.process(self.held)
        self.uncommitted.extend(self.held)
        self.held.clear()

    def commit_offsets(self) -> None:
        self.group.commit(self.uncommitted, self.number)
        self.uncommitted.clear()

    async def publish(self, producer: Producer) -> int:
        """One round of the relay; how many rows there were."""
        async with self.pool.acquire() as connection:
            return await self.relay._publish(connection, producer)

    async def claim(self, limit: int) -> int:
        self.claimed.extend(await self.effects._claim(limit))
        return len(self.claimed)

    async def carry_out(self) -> str:
        """The oldest of the claimed intents; its type."""
        row = self.claimed.pop(0)
        self.outcomes.append(await self.effects._carry_out(row))
        return str(row["type"])

    async def settle(self) -> None:
        outcomes, self.outcomes = self.outcomes, []
        await self.effects.settle(outcomes)

    async def tick(self) -> int:
        return await self.deadlines.tick()

    async def webhook(self, body: bytes, signature: str) -> str:
        """What payment's route does with an event; how it was answered. Raises Transient."""
        try:
            webhooks.verify(
                body, signature, self.settings.webhook_secrets(), self.pipeline.clock.now()
            )
            event = webhooks.read(body)
        except webhooks.Refused as refused:
            return refused.reason
        if event is None:
            return "not_for_us"
        await self.pipeline.handle([self.intake.item(event)])
        return "stored"


class Door:
    """The gateway's HTTP face, in process. One app for all seeds; the gateway behind it changes."""

    def __init__(self) -> None:
        self.app: FastAPI = http.create_app("gateway", **gateway.APP)
        for router in gateway.ROUTERS:
            self.app.include_router(router)
        for kind in gateway.FROM_STORE:
            self.app.add_exception_handler(kind, gateway.on_store_failure)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://gateway",
        )
        self._nobody = httpx.AsyncClient(transport=httpx.MockTransport(_unavailable))

    def open(self, worker: Worker) -> None:
        store = GatewayStore(worker.pool)
        self.app.state.gateway = Gateway(
            settings=worker.settings,
            store=store,
            clock=worker.clock,
            keys=ApiKeys(worker.settings),
            streams=Streams(store),
            commerce=self._nobody,
        )

    async def call(
        self, method: str, path: str, body: dict[str, Any], *, key: str
    ) -> httpx.Response:
        return await self.client.request(method, path, json=body, headers={"Idempotency-Key": key})


def _unavailable(request: httpx.Request) -> httpx.Response:
    return httpx.Response(503)
