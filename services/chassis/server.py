"""Serving HTTP inside the service's own event loop."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import Callable
from typing import Literal

import uvicorn
from fastapi import FastAPI

from services.chassis import telemetry
from services.chassis.settings import Settings

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 5


def host(settings: Settings) -> str:
    """Where to listen: without configured keys anybody may call, so nobody from outside can."""
    if settings.returns_api_keys_file or _is_loopback(settings.listen_host):
        return settings.listen_host
    telemetry.log.warning("loopback_only", reason="RETURNS_API_KEYS_FILE is not set")
    return LOOPBACK


async def serve_until(
    stop: asyncio.Event,
    app: FastAPI,
    *,
    host: str,
    port: int,
    on_listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until `stop` is set; `on_listening` learns the port, which matters where it was 0.

    Raises SystemExit, in one sentence, when the port is taken.
    """
    config = uvicorn.Config(
        app,
        http=_parser(),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup()
    except SystemExit:
        raise SystemExit(f"port {port} on {host} is in use: choose another") from None
    on_listening(server.servers[0].sockets[0].getsockname()[1])
    stopping = asyncio.create_task(_stop(server, stop))
    try:
        await server.main_loop()
    finally:
        stopping.cancel()
        await server.shutdown()


def _parser() -> type[asyncio.Protocol] | Literal["h11"]:
    """Both bound a request's head; the fast one does not exist on Windows."""
    if sys.platform == "win32":
        return "h11"
    from services.chassis.http_heads import BoundedHeads

    return BoundedHeads


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
