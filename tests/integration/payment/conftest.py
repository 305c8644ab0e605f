"""The payment service on its own store, with a sandbox processor in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.chassis import http, runtime, server
from services.chassis.runtime import Runtime
from services.chassis.settings import Settings
from services.ops.embedded import processes
from services.payment import api
from services.payment.app import build
from services.payment.processors import stripe_client
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.payments import SECRET, Sandbox, running_sandbox
from tests.stores import NewStore

SECRETS = f"{SECRET},whsec_second"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs are waited for in full: let them be short."""
    monkeypatch.setattr(stripe_client, "READ_SECONDS_MAX", 1.5)


@pytest.fixture(scope="session")
def payment_port() -> int:
    return processes.free_port()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, payment_port: int) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, payment_url=f"http://127.0.0.1:{payment_port}") as started:
        yield started


@pytest_asyncio.fixture
async def payment(drive: DriveService, sandbox: Sandbox) -> AsyncIterator[Drive]:
    """Stepped by hand, on a clock of its own; webhooks reach nobody."""
    clock = SteppedClock()

    def made(settings: Any, pool: Any) -> Any:
        return build(settings, pool, clock)

    yield await drive(made, "payment", clock=clock, sandbox_url=sandbox.url)


@dataclass
class Served:
    """The service with its HTTP face on the port that the sandbox sends webhooks to."""

    runtime: Runtime
    client: httpx.AsyncClient


Serve = Callable[[], Any]


@pytest.fixture
def serve(
    new_store: NewStore, settings: Settings, sandbox: Sandbox, payment_port: int
) -> Callable[[], Any]:
    """``async with serve() as served``: effects and deadlines run by themselves, no broker."""
    url = new_store("payment").runtime_url
    own = settings.model_copy(
        update={
            "payment_database_url": url,
            "sandbox_url": sandbox.url,
            "stripe_webhook_secret": SECRETS,
        }
    )

    @asynccontextmanager
    async def served() -> AsyncIterator[Served]:
        stop = asyncio.Event()
        async with runtime.running(build, "payment", own) as running:
            app = http.create_app("payment")
            api.routes(app, running)
            serving = asyncio.create_task(
                server.serve_until(stop, app, host="127.0.0.1", port=payment_port)
            )
            base = f"http://127.0.0.1:{payment_port}"
            try:
                async with httpx.AsyncClient(base_url=base, timeout=20) as client:
                    await _up(client)
                    yield Served(running, client)
            finally:
                stop.set()
                await serving

    return served


async def _up(client: httpx.AsyncClient) -> None:
    while True:
        try:
            await client.get("/healthz")
            return
        except httpx.TransportError:
            await asyncio.sleep(0.02)
