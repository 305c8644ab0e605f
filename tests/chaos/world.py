"""The whole system on real parts, each pair of parties with a proxy between them."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from services.chassis.migrate import migrate, role_of
from services.ops.embedded import postgres, processes
from services.ops.embedded.kafka import Kafka
from services.ops.embedded.topics import all_topics
from services.ops.stack import SERVICES, WITH_A_STORE
from services.ops.supervisor import Supervisor
from tests.chaos import volume
from tests.proxies import Proxy, proxied

READY_POLL_SECONDS = 0.1
OBEY_SECONDS_MAX = 20.0
RECOVER_SECONDS = 60.0
AGENTS = WITH_A_STORE
CALLS = {
    "payment": ("SANDBOX_URL", "sandbox"),
    "fulfillment": ("SANDBOX_URL", "sandbox"),
    "sandbox": ("PAYMENT_URL", "payment"),
    "gateway": ("COMMERCE_URL", "commerce"),
}
"""Who calls whom over HTTP, and by which variable it finds it."""


class World:
    """`proxies` by the two parties; `supervisors` by service, each with its own environment.

    `ends_at`, by the monotonic clock: no fault lasts longer. `no_volume`: why no disk can be full.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.volume = home / "volume"
        self.no_volume = volume.mount(self.volume)
        self.said: list[str] = []
        self.ends_at = math.inf
        self.ports = {service: processes.free_port() for service in SERVICES}
        self.proxies: dict[str, Proxy] = {}
        self.supervisors: dict[str, Supervisor] = {}
        self.databases: dict[str, str] = {}
        self.kafka: Kafka
        self.postgres: postgres.Started

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.proxies['everybody and the broker'].port}"

    def pid(self, service: str) -> int:
        return self.supervisors[service].processes[service]

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        try:
            os.kill(self.pid(service), number)
        except ProcessLookupError:  # it is being started again just now
            self.said.append(f"{service} was away already")

    async def restart_kafka(self, number: signal.Signals) -> None:
        self.kafka.process.send_signal(number)
        await _ended(self.kafka.process)
        self.kafka.start_again()  # in this thread: a child dies with the thread that started it
        await asyncio.to_thread(self.kafka.wait_until_ready)

    async def restart_postgres(self, number: signal.Signals) -> None:
        """SIGQUIT is PostgreSQL's immediate mode: it recovers from its log, as after a crash."""
        self.postgres.process.send_signal(number)
        await _ended(self.postgres.process)
        self.postgres = postgres.launch(
            self.home / "postgres", durable=True, port=self.postgres.port
        )
        # Not here: the proxies would stand still for as long as it recovers.
        await asyncio.to_thread(postgres.wait_until_ready, self.postgres, seconds=RECOVER_SECONDS)

    async def stop_services(self) -> None:
        await asyncio.gather(*(each.stop() for each in self.supervisors.values()))

    async def is_ready(self, client: httpx.AsyncClient) -> bool:
        """Whether every agent says that it can work."""

        async def one(service: str) -> bool:
            try:
                return (await client.get(f"{self.url(service)}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

        return all(await asyncio.gather(*(one(service) for service in AGENTS)))

    async def recovered(self, *, seconds: float) -> float:
        """Seconds until every agent is ready. Raises AssertionError when they never are."""
        began = time.monotonic()
        async with httpx.AsyncClient(timeout=10) as client:
            while not await self.is_ready(client):
                took = time.monotonic() - began
                assert took < seconds, f"not ready after {took:.0f} s: {self.said[-5:]}"
                await asyncio.sleep(READY_POLL_SECONDS)
        return time.monotonic() - began


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Until it is over; one that does not obey is killed."""
    until = time.monotonic() + OBEY_SECONDS_MAX
    while process.poll() is None:
        if time.monotonic() > until:
            process.kill()
        await asyncio.sleep(READY_POLL_SECONDS)


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[World]:
    """Everything, ready, for the length of a block."""
    world = World(home)
    async with AsyncExitStack() as stack:
        if world.no_volume is None:
            stack.callback(volume.unmount, world.volume)
        broker_port = processes.free_port()
        everybody = await stack.enter_async_context(proxied("127.0.0.1", broker_port))
        world.proxies["everybody and the broker"] = everybody
        world.kafka = Kafka(home / "kafka", keep=True, port=broker_port, advertised=everybody.port)
        stack.callback(lambda: world.kafka.stop())
        world.postgres = postgres.start(home / "postgres", durable=True)
        stack.callback(lambda: postgres.stop(world.postgres))
        await asyncio.to_thread(world.kafka.wait_until_ready)
        await asyncio.to_thread(world.kafka.create_topics, all_topics())
        stack.push_async_callback(world.stop_services)
        for service in SERVICES:
            environment = await _environment(world, service, stack)
            supervisor = Supervisor(environment, home / "logs", say=world.said.append)
            world.supervisors[service] = supervisor
            await supervisor.start(service)
        for service in SERVICES:
            await world.supervisors[service].wait_until_ready({service: world.url(service)})
        yield world


async def _environment(world: World, service: str, stack: AsyncExitStack) -> dict[str, str]:
    """What the service finds in its environment: everything through proxies of its own."""
    found = {
        **os.environ,
        "RETURNS_HOME": str(world.home),
        "KAFKA_BOOTSTRAP_SERVERS": world.bootstrap,
        "EMBEDDED_BROKER": "kafka",
        **{f"{name.upper()}_PORT": str(port) for name, port in world.ports.items()},
        **{f"{name.upper()}_URL": world.url(name) for name in SERVICES},
    }
    found.pop("RETURNS_API_KEYS_FILE", None)
    if service in WITH_A_STORE:
        database = world.postgres.provide(service)
        if service == volume.SERVICE and world.no_volume is None:
            volume.hold(world.volume, world.postgres, database)
        migrate(service, database.migration_url, role_of(database.runtime_url))
        world.databases[service] = database.runtime_url
        proxy = await stack.enter_async_context(proxied("127.0.0.1", world.postgres.port))
        world.proxies[f"{service} and its database"] = proxy
        url = urlsplit(database.runtime_url)
        through = url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}").geturl()
        found[f"{service.upper()}_DATABASE_URL"] = through
    if service in CALLS:
        variable, other = CALLS[service]
        proxy = await stack.enter_async_context(proxied("127.0.0.1", world.ports[other]))
        world.proxies[f"{service} and {other}"] = proxy
        found[variable] = f"http://127.0.0.1:{proxy.port}"
    return found
