"""Puts a service together and runs it: store, bus, relay, effects, deadlines, HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError
from fastapi import FastAPI

from contracts import topics
from contracts.base import Message
from services.chassis import (
    bus,
    database,
    garbage,
    health,
    http,
    lost_connections,
    server,
    telemetry,
)
from services.chassis.batch import Batch
from services.chassis.bus import Consumer, backoff_seconds
from services.chassis.clock import Clock, WallClock
from services.chassis.deadlines import Deadlines
from services.chassis.effects import Effects
from services.chassis.gauges import Gauges
from services.chassis.pipeline import Pipeline
from services.chassis.relay import Relay
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.work import UnitOfWork

CLOSE_SECONDS_MAX = 5.0

Build = Callable[[Settings, Any], Service[Any]]
"""(settings, pool) -> the service. Executors may keep the pool."""


@dataclass(kw_only=True)
class Runtime:
    """A running service: what its HTTP routes and executors need."""

    service: Service[Any]
    settings: Settings
    pool: Any
    clock: Clock
    pipeline: Pipeline
    consumer: Consumer
    relay: Relay
    effects: Effects
    deadlines: Deadlines
    gauges: Gauges
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = health.StorePing(self.pool)

    async def submit(self, body: Message, *, traceparent: str | None = None) -> UnitOfWork:
        """Handle a message from HTTP in a transaction of its own; its unit after the commit.

        Raises what its handler raises, and Transient while the store is away.
        """
        return await self.pipeline.submit(body, traceparent=traceparent)

    async def failing_parts(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when all is well."""
        return await health.failing_parts(self.store, self.consumer, self.relay)

    async def read_gauges(self) -> None:
        """What /metrics says of store and broker, brought up to date."""
        await self.consumer.measure_lag()
        await self.gauges.refresh()

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` beside the rest until the service stops; again whenever it fails."""
        self.tasks.append(asyncio.create_task(_again_and_again(work)))


Routes = Callable[[FastAPI, Runtime], None]
"""Adds a service's own routes."""


@asynccontextmanager
async def running(
    build: Build, name: str, settings: Settings, *, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """The service without its HTTP face; stops gracefully: the batch in hand is finished.

    Store and broker may be away: every part waits for what it needs, and `failing_parts` tells.
    """
    pool = await database.connect_pool(settings.database_url(name), name)
    runtime = _assembled(build(settings, pool), pool, settings, clock or WallClock())
    runtime.pipeline.after_commit = _waking(runtime)
    for loop in (runtime.relay.run, runtime.deadlines.run):
        runtime.spawn(loop)
    if runtime.service.executors:
        runtime.spawn(runtime.effects.run)
    runtime.tasks.append(asyncio.create_task(_consume(runtime)))
    try:
        yield runtime
    finally:
        with suppress(Exception):
            await runtime.consumer.stop()
        for task in runtime.tasks:
            task.cancel()
        await asyncio.gather(*runtime.tasks, return_exceptions=True)
        for close in (runtime.service.close, pool.close):
            with suppress(Exception):
                await asyncio.wait_for(close(), CLOSE_SECONDS_MAX)
        pool.terminate()


def _assembled(service: Service[Any], pool: Any, settings: Settings, clock: Clock) -> Runtime:
    pipeline = Pipeline(service, pool, settings, clock)
    url = settings.database_url(service.name)
    return Runtime(
        service=service,
        settings=settings,
        pool=pool,
        clock=clock,
        pipeline=pipeline,
        consumer=Consumer(pipeline, topics.topics_read_by(service.name), settings),
        relay=Relay(url, service.name, settings, clock),
        effects=Effects(pipeline),
        deadlines=Deadlines(pipeline),
        gauges=Gauges(url, service.name, service.readings, clock),
    )


def _waking(runtime: Runtime) -> Callable[[Batch], None]:
    def wake(batch: Batch) -> None:
        if batch.work.effects:
            runtime.effects.wake()

    return wake


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    failures = 0
    while True:
        try:
            await work()
            return
        except Exception as error:
            failures += 1
            telemetry.log.error("task_failed", exc_info=error)
            await asyncio.sleep(backoff_seconds(failures))


async def _consume(runtime: Runtime) -> None:
    """Start the consumer, however long the broker is away; anew, if it ever stands still."""
    consumer, failures = runtime.consumer, 0
    while True:
        try:
            await consumer.start()
            await consumer.until_it_stands_still()
            failures, consumer.broker_fails = 0, "stands still, and is started anew"
            telemetry.log.error("consumer_stands_still")
        except Exception as error:
            failures += 1
            consumer.broker_fails = f"cannot be reached: {type(error).__name__}"
            if not isinstance(error, KafkaError | OSError):
                telemetry.log.error("consumer_failed", exc_info=error)
            telemetry.log.warning("broker_unreachable", error=type(error).__name__)
        await consumer.give_up()
        await asyncio.sleep(backoff_seconds(failures))


def run(name: str, build: Build, routes: Routes | None = None, **app_arguments: Any) -> None:
    """The process `python -m services.<name>`: until SIGTERM or SIGINT."""
    settings = Settings()
    telemetry.configure(name, settings)
    settings.database_url(name)
    settings.bootstrap_servers()
    with suppress(ImportError):
        import uvloop

        uvloop.install()
        lost_connections.are_told()
    garbage.look_seldom()
    asyncio.run(_main(name, build, routes, settings, app_arguments))


async def _main(
    name: str,
    build: Build,
    routes: Routes | None,
    settings: Settings,
    app_arguments: dict[str, Any],
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await database.check(settings.database_url(name), name)
    await bus.check(settings)
    async with running(build, name, settings) as runtime:
        app = application(runtime, routes, **app_arguments)
        await server.serve_until(
            stop,
            app,
            host=server.host(settings),
            port=settings.port(name),
            on_listening=lambda port: telemetry.log.info("listening", port=port),
        )


def application(runtime: Runtime, routes: Routes | None, **app_arguments: Any) -> FastAPI:
    """The service's HTTP face: its own routes, /healthz, /readyz, /metrics."""
    app = http.create_app(f"returns {runtime.service.name}", **app_arguments)
    app.state.before_metrics = runtime.read_gauges
    health.add_readiness(app, runtime.failing_parts)
    if routes is not None:
        routes(app, runtime)
    return app
