from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.gateway.door import Door, running
from tests.stores import Stores

TABLES = ("returns", "facts", "orders", "idempotency_keys", "outbox", "inbox", "quarantine")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(stores: Stores) -> AsyncIterator[Door]:
    database = stores.clone("gateway")
    async with running(database.runtime_url) as door:
        yield door
    stores.drop(database)


@pytest_asyncio.fixture(loop_scope="module")
async def door(opened: Door) -> Door:
    """The module's gateway, over an empty store."""
    await opened.pool.execute("".join(f"DELETE FROM {table};" for table in TABLES))
    return opened
