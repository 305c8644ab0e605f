"""The toy as a process of its own, which a test may kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.chassis.settings import Settings
from services.ops.embedded.processes import free_port
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Worker:
    """`await worker.ended()` for its return code."""

    process: asyncio.subprocess.Process
    url: str

    async def failing(self) -> dict[str, str] | None:
        """What /readyz names; None while nothing answers."""
        try:
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(f"{self.url}/readyz")
        except httpx.HTTPError:
            return None
        found: dict[str, str] = answer.json()["failing"]
        return found

    async def ready(self) -> None:
        async def is_ready() -> bool:
            return await self.failing() == {}

        await wait_for(is_ready, seconds=60, what="readiness")

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; its return code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, *, seconds: float = 60) -> int:
        return await asyncio.wait_for(self.process.wait(), seconds)


@asynccontextmanager
async def working(settings: Settings, book: Path, *, crash_at: str = "") -> AsyncIterator[Worker]:
    """The toy's process for the length of a block; killed at its end if it still runs."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.chassis.toy",
        cwd=ROOT,
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "TOPIC_PREFIX": settings.topic_prefix,
            "EMBEDDED_BROKER": settings.embedded_broker,
            "COMMERCE_DATABASE_URL": settings.commerce_database_url,
            "COMMERCE_PORT": str(port),
            "TOY_BOOK": str(book),
            "CRASH_AT": crash_at,
        },
    )
    worker = Worker(process, f"http://127.0.0.1:{port}")
    try:
        yield worker
    finally:
        worker.kill()
        await process.wait()
