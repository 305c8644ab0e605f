"""Connections to the service's own PostgreSQL store."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from services.chassis.telemetry import log

POOL_CONNECTIONS_MAX = 3
STATEMENT_SECONDS_MAX = 30
LOCK_SECONDS_MAX = 15
RETRY_SECONDS_MAX = 2.0


async def connect_pool(url: str, service: str, *, size: int = POOL_CONNECTIONS_MAX) -> Any:
    """A pool of at most `size` connections; waits, saying so, while the store cannot be reached."""
    delay = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                command_timeout=STATEMENT_SECONDS_MAX,
                server_settings=_server_settings(service),
            )
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
            log.warning("store_unreachable", error=type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_SECONDS_MAX)


async def connect(url: str, service: str) -> Any:
    """One connection of its own, for listening and advisory locks. Raises OSError and the like."""
    return await asyncpg.connect(url, server_settings=_server_settings(service))


def _server_settings(service: str) -> dict[str, str]:
    return {
        "application_name": service,
        "lock_timeout": f"{LOCK_SECONDS_MAX}s",
        "jit": "off",
    }
