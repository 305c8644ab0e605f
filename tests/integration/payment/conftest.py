"""The payment service on its own store, with a sandbox processor in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from services.payment.app import build
from tests.conftest import DriveService
from tests.driving import Drive, SteppedClock
from tests.payments import Sandbox, running_sandbox

DrivePayment = Callable[..., Awaitable[Drive]]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, payment_url="http://127.0.0.1:9") as started:
        yield started


@pytest_asyncio.fixture
async def payment(drive: DriveService, sandbox: Sandbox) -> AsyncIterator[Drive]:
    clock = SteppedClock()

    def made(settings: Any, pool: Any) -> Any:
        return build(settings, pool, clock)

    yield await drive(made, "payment", clock=clock, sandbox_url=sandbox.url)
