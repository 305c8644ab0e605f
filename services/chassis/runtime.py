"""What a service is at run time: its store, broker, pipeline, effects, deadlines and HTTP port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from asyncpg import Pool
from fastapi import APIRouter, Request

from contracts.base import Message
from services.chassis.clock import Clock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.chassis.work import UnitOfWork


class Runtime:
    """Everything a route or a background task may need of its service."""

    service: Service[Any]
    settings: Settings
    clock: Clock
    pool: Pool[Any]
    port: int

    async def submit(self, body: Message, *, traceparent: str | None = None) -> UnitOfWork:
        """Handle a message to self (topic ``http``) in a transaction; the unit after its commit.

        What the handler raises is raised here, after the rollback.
        """
        raise NotImplementedError


def current(request: Request) -> Runtime:
    """FastAPI dependency: ``runtime: Annotated[Runtime, Depends(runtime.current)]``."""
    found: Runtime = request.app.state.runtime
    return found


Lifespan = Callable[[Runtime], AbstractAsyncContextManager[None]]
"""What a service runs beside its handlers, entered once the store answers."""


def run(
    service: Service[Any],
    settings: Settings | None = None,
    routes: Sequence[APIRouter] = (),
    *,
    lifespan: Lifespan | None = None,
) -> None:
    """The process's main: runs until SIGTERM or SIGINT, then finishes the batch and leaves."""
    raise NotImplementedError


@asynccontextmanager
async def running(
    service: Service[Any],
    settings: Settings,
    routes: Sequence[APIRouter] = (),
    *,
    lifespan: Lifespan | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Runtime]:
    """The same inside the caller's event loop, for tests. `Runtime.port` is where it listens."""
    raise NotImplementedError
    yield
