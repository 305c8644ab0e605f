"""Puts a service together and runs it: store, bus, relay, effects, deadlines, HTTP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from contracts import topics
from services.chassis import database, http, telemetry
from services.chassis.bus import Consumer, backoff_seconds
from services.chassis.clock import Clock, WallClock
from services.chassis.deadlines import Deadlines
from services.chassis.effects import Effects
from services.chassis.pipeline import Pipeline
from services.chassis.relay import Relay
from services.chassis.service import Service
from services.chassis.settings import Settings

PING_SECONDS_MAX = 2.0


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
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def failing_parts(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when all is well."""
        found: dict[str, str] = {}
        try:
            await self.pool.fetchval("SELECT 1", timeout=PING_SECONDS_MAX)
        except Exception as error:
            found["store"] = type(error).__name__
        if self.consumer.failing is not None:
            found["broker"] = self.consumer.failing
        elif not await self._pings():
            found["broker"] = "does not answer"
        elif not self.consumer.assigned:
            found["broker"] = "no partitions assigned yet"
        if self.relay.failing is not None:
            found["relay"] = self.relay.failing
        return found

    async def _pings(self) -> bool:
        try:
            return await asyncio.wait_for(self.consumer.ping(), PING_SECONDS_MAX)
        except Exception:
            return False


Build = Callable[[Settings, Any], Service[Any]]
"""(settings, pool) -> the service. Executors may keep the pool."""

Routes = Callable[[FastAPI, Runtime], None]
"""Adds a service's own routes."""


@asynccontextmanager
async def running(build: Build, name: str, settings: Settings) -> AsyncIterator[Runtime]:
    """The service without its HTTP face; stops gracefully: the batch in hand is finished."""
    pool = await database.connect_pool(settings.database_url(name), name)
    service = build(settings, pool)
    clock = WallClock()
    pipeline = Pipeline(service, pool, settings, clock)
    relay = Relay(settings.database_url(name), name, settings)
    effects = Effects(pipeline)
    relay.on_notify("effects", effects.wake)
    runtime = Runtime(
        service=service,
        settings=settings,
        pool=pool,
        clock=clock,
        pipeline=pipeline,
        consumer=Consumer(pipeline, topics.topics_read_by(name), settings),
        relay=relay,
        effects=effects,
        deadlines=Deadlines(pipeline),
    )
    loops = [relay.run(), runtime.deadlines.run(), _consume(runtime)]
    if service.executors:
        loops.append(effects.run())
    runtime.tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield runtime
    finally:
        with suppress(Exception):
            await runtime.consumer.stop()
        for task in runtime.tasks:
            task.cancel()
        await asyncio.gather(*runtime.tasks, return_exceptions=True)
        with suppress(Exception):
            await asyncio.wait_for(pool.close(), 5)


async def _consume(runtime: Runtime) -> None:
    """Start the consumer, however long the broker is away; then the library keeps it going."""
    failures = 0
    while True:
        try:
            await runtime.consumer.start()
            return
        except (KafkaError, OSError) as error:
            failures += 1
            runtime.consumer.failing = type(error).__name__
            telemetry.log.warning("broker_unreachable", error=type(error).__name__)
            with suppress(Exception):
                await runtime.consumer.stop()
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
    async with running(build, name, settings) as runtime:
        app = http.create_app(f"returns {name}", **app_arguments)
        add_readiness(app, runtime)
        if routes is not None:
            routes(app, runtime)
        await serve_until(stop, app, settings.listen_host, settings.port(name))


def add_readiness(app: FastAPI, runtime: Runtime) -> None:
    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        failing = await runtime.failing_parts()
        return JSONResponse(
            {"status": "not ready" if failing else "ready", "failing": failing},
            status_code=503 if failing else 200,
        )


async def serve_until(stop: asyncio.Event, app: FastAPI, host: str, port: int) -> None:
    """Serve HTTP until `stop` is set. Exits with one sentence when the port is taken."""
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, lifespan="off",
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(_serve(server, host, port))
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    waiting.cancel()
    await serving


async def _serve(server: uvicorn.Server, host: str, port: int) -> None:
    try:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup()
        if not server.should_exit:
            await server.main_loop()
            await server.shutdown()
    except SystemExit:
        raise SystemExit(f"port {port} on {host} is in use: choose another") from None
