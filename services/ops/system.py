"""The whole system on this machine: stack and services, from start to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.ops import console, home, stack
from services.ops.stack import SERVICES, Stack
from services.ops.supervisor import Say, Supervisor

WATCH_SECONDS = 0.5


class System:
    """A running system. `addresses` is the line that `returns up --json` prints."""

    def __init__(self, parts: Stack, say: Say) -> None:
        self.parts = parts
        self.say = say
        self.supervisor = Supervisor(
            parts.environment, parts.home / "logs", say=say, on_change=self.publish
        )
        self.watching: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def addresses(self) -> dict[str, Any]:
        parts = self.parts
        return {
            "kafka": parts.bootstrap,
            "broker": parts.broker_kind,
            **{service: parts.url(service) for service in SERVICES},
            "databases": parts.databases,
            "processes": dict(self.supervisor.processes),
            "home": str(parts.home),
        }

    def publish(self) -> None:
        """Write the addresses where other commands find them."""
        home.publish(self.parts.home, self.addresses)

    async def start(self) -> None:
        """Start all services and wait until each is ready. Raises StartFailed."""
        for service in SERVICES:
            await self.supervisor.start(service)
        await self.supervisor.wait_until_ready({name: self.parts.url(name) for name in SERVICES})

    async def watch(self) -> None:
        """Start the embedded broker and database again when they end; never returns.

        Raises StartFailed when one cannot be started again.
        """
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for what in await asyncio.to_thread(self.parts.ended):
                self.say(f"{what} ended; starting it again")
                try:
                    # Not in a thread: a child dies with the thread that started it.
                    self.parts.mend(what)
                except OSError as error:  # too little memory or disk may be over in a moment
                    self.say(f"{what} could not be started ({error}); trying again")


@asynccontextmanager
async def running(folder: Path, *, keep: bool, say: Say) -> AsyncIterator[System]:
    """The system in `folder` for the length of a block; everything is stopped after it.

    Raises InUse and StartFailed.
    """
    with home.claimed(folder):
        with console.interruptible():
            parts = stack.start(folder, keep=keep)
        system = System(parts, say)
        try:
            await system.start()
            system.watching = asyncio.create_task(system.watch())
            yield system
        finally:
            system.watching.cancel()
            # Whatever ended it, the rest is stopped too.
            await asyncio.gather(system.watching, return_exceptions=True)
            await system.supervisor.stop()
            parts.stop()
