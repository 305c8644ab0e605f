"""Connections to the service's own PostgreSQL store."""

from __future__ import annotations

from functools import cache
from typing import Any

import asyncpg

from services.chassis import faults, telemetry

POOL_CONNECTIONS_MAX = 2
"""With the relay's own connection a process holds three."""
STATEMENT_SECONDS_MAX = 30
LOCK_SECONDS_MAX = 15
IDLE_TRANSACTION_SECONDS_MAX = 60
FROZEN_SECONDS_MAX = 30
CONNECT_SECONDS_MAX = 5


@cache
def counting(service: str) -> type[asyncpg.Connection[Any]]:
    """A connection that counts its round trips (`returns_sql_round_trips_total`)."""
    trips = telemetry.ROUND_TRIPS.labels(service)

    class Counting(asyncpg.Connection):
        async def execute(self, *arguments: Any, **named: Any) -> str:
            trips.inc()
            return await super().execute(*arguments, **named)

        async def executemany(self, *arguments: Any, **named: Any) -> None:
            trips.inc()
            await super().executemany(*arguments, **named)

        async def fetch(self, *arguments: Any, **named: Any) -> list[Any]:
            trips.inc()
            rows: list[Any] = await super().fetch(*arguments, **named)
            return rows

        async def fetchrow(self, *arguments: Any, **named: Any) -> Any:
            trips.inc()
            return await super().fetchrow(*arguments, **named)

        async def fetchval(self, *arguments: Any, **named: Any) -> Any:
            trips.inc()
            return await super().fetchval(*arguments, **named)

    return Counting


async def connect_pool(url: str, service: str, *, size: int = POOL_CONNECTIONS_MAX) -> Any:
    """A pool of at most `size` connections. It connects when asked for one, so it never waits."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        connection_class=counting(service),
        reset=_leave_as_it_is,
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=STATEMENT_SECONDS_MAX,
        max_cached_statement_lifetime=0,
        max_inactive_connection_lifetime=0,
        server_settings=_server_settings(service),
    )


async def check(url: str, service: str) -> None:
    """Raises SystemExit, in one sentence, where waiting for the store would not help."""
    name = f"{service.upper()}_DATABASE_URL"
    try:
        connection = await connect(url, service)
        if await connection.fetchval("SELECT to_regclass('inbox')") is None:
            raise SystemExit(f"{name}: run `python -m services.chassis.migrate {service}` first")
        await connection.close()
    except Exception as error:
        if not faults.is_transient(error):
            raise SystemExit(f"{name}: {error}") from None
        telemetry.log.warning("store_unreachable", error=type(error).__name__)


async def connect(url: str, service: str) -> Any:
    """One connection of its own, for listening and session locks. Raises OSError and the like."""
    return await asyncpg.connect(
        url,
        connection_class=counting(service),
        timeout=CONNECT_SECONDS_MAX,
        command_timeout=STATEMENT_SECONDS_MAX,
        server_settings={
            **_server_settings(service),
            # A crash of the store may lose a deletion: then a row is published twice.
            "synchronous_commit": "off",
            # A process that was frozen must not keep its locks.
            "idle_session_timeout": f"{FROZEN_SECONDS_MAX}s",
        },
    )


async def _leave_as_it_is(connection: Any) -> None:
    """Nothing in the pool listens or takes session locks: a reset would be a wasted round trip."""


def _server_settings(service: str) -> dict[str, str]:
    return {
        "application_name": service,
        "statement_timeout": f"{STATEMENT_SECONDS_MAX}s",
        "lock_timeout": f"{LOCK_SECONDS_MAX}s",
        "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_SECONDS_MAX}s",
        "jit": "off",
        # A client whose machine is gone is found out within a minute, and its locks are freed.
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }
