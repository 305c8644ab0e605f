"""The HTTP faces of all services and of the sandbox, each served from a thread of its own.

A thread, because the callers are plain functions: a client that generates requests, a raw socket.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.chassis import runtime, server
from services.chassis.runtime import Routes
from services.chassis.settings import Settings
from services.commerce import api as commerce_api
from services.fulfillment import api as fulfillment_api
from services.gateway import app as gateway
from services.gateway.api import docs
from services.payment import api as payment_api
from services.sandbox.__main__ import create_app
from services.sandbox.book import Book
from services.sandbox.webhooks import Clockwork
from tests.hostile.services import BUILDS

START_SECONDS_MAX = 60
NOBODY = "http://127.0.0.1:1"
SECRET = "whsec_of_nobody"
ROUTES: dict[str, Routes] = {
    "commerce": commerce_api.add_routes,
    "fulfillment": fulfillment_api.add_routes,
    "payment": payment_api.routes,
    "gateway": gateway.routes,
}


@dataclass(frozen=True, kw_only=True)
class Face:
    """A served HTTP face, and the OpenAPI document that it answers for."""

    name: str
    url: str
    app: FastAPI

    def openapi(self) -> dict[str, Any]:
        """The document that the face publishes."""
        if self.name == "gateway":
            return docs.openapi(self.app)
        return self.app.openapi()

    def client(self) -> httpx.Client:
        """Without kept connections: a refused body closes its own."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=self.url, timeout=60, limits=limits)


Opened = Callable[[], AbstractAsyncContextManager[FastAPI]]


def of_service(name: str, database_url: str, **addresses: str) -> Opened:
    """A service over its store, without a broker; outside is only who `addresses` names."""
    known: dict[str, Any] = {"sandbox_url": NOBODY, "commerce_url": NOBODY} | addresses
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers="127.0.0.1:1",
        stripe_webhook_secret=SECRET,
        **{f"{name}_database_url": database_url, **known},
    )
    arguments = gateway.APP if name == "gateway" else {}

    @asynccontextmanager
    async def opened() -> AsyncIterator[FastAPI]:
        async with runtime.running(BUILDS[name], name, settings) as running:
            yield runtime.application(running, ROUTES[name], **arguments)

    return opened


def of_sandbox(home: Path) -> Opened:
    """The outside world, whose events reach nobody."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[FastAPI]:
        book = Book(home / "book.sqlite")
        try:
            clockwork = Clockwork(book, NOBODY, SECRET)
            yield create_app(Settings(_env_file=None, gateway_url=NOBODY), book, clockwork)
        finally:
            book.close()

    return opened


@contextmanager
def served(name: str, opened: Opened) -> Iterator[Face]:
    """The face on a free port, for the length of a block."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        stop = asyncio.Event()
        found["stop"] = (asyncio.get_running_loop(), stop)

        def listening(port: int) -> None:
            found["url"] = f"http://127.0.0.1:{port}"
            ready.set()

        async with opened() as app:
            found["app"] = app
            await server.serve_until(stop, app, host="127.0.0.1", port=0, on_listening=listening)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=name, daemon=True)
    thread.start()
    assert ready.wait(START_SECONDS_MAX), f"{name} does not start"
    try:
        yield Face(name=name, url=found["url"], app=found["app"])
    finally:
        loop, stop = found["stop"]
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_SECONDS_MAX)
