"""`python -m services.sandbox`: the outside world on SANDBOX_PORT."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Any

from fastapi import FastAPI

from services.chassis import http, server, telemetry
from services.chassis.settings import Settings
from services.sandbox import carrier, control, robot, warehouse
from services.sandbox.book import Book
from services.sandbox.stripe_api import StripeApi
from services.sandbox.webhooks import Clockwork

BOOK_FILE = "sandbox/world.sqlite"


def create_app(settings: Settings, book: Book, clockwork: Clockwork) -> FastAPI:
    """The whole outside world as one app."""
    app = http.create_app("returns sandbox")
    app.add_api_route("/readyz", _readyz, include_in_schema=False)
    app.include_router(StripeApi(book, clockwork.wake).router)
    app.include_router(control.routes(book, clockwork.wake))
    app.include_router(carrier.routes(book))
    app.include_router(warehouse.routes(book))
    app.include_router(robot.routes(book, settings.gateway_url))
    return app


async def _readyz() -> dict[str, Any]:
    return {"status": "ready", "failing": {}}


async def main() -> None:
    settings = Settings()
    telemetry.configure("sandbox", settings)
    book = Book(settings.returns_home / BOOK_FILE)
    clockwork = Clockwork(book, settings.payment_url, settings.webhook_secrets()[0])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    background = asyncio.create_task(clockwork.run())
    try:
        await server.serve_until(
            stop,
            create_app(settings, book, clockwork),
            # It asks nobody for a key, so it takes a variable of its own to open it.
            host=settings.sandbox_listen_host,
            port=settings.sandbox_port,
            on_listening=lambda port: telemetry.log.info("listening", port=port),
        )
    finally:
        background.cancel()
        with suppress(asyncio.CancelledError):
            await background
        book.close()


if __name__ == "__main__":
    with suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(main())
