from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.gateway.door import Door, running
from tests.stores import NewStore


@pytest_asyncio.fixture
async def door(new_store: NewStore) -> AsyncIterator[Door]:
    async with running(new_store("gateway").runtime_url) as opened:
        yield opened
