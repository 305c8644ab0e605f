from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from services.chassis import migrate
from services.ops.embedded import postgres
from tests.integration.gateway.door import Door, running

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Server]:
    """A PostgreSQL whose database `gateway` is migrated and serves as template."""
    with postgres.running(tmp_path_factory.mktemp("gateway") / "postgres") as started:
        database = started.provide("gateway")
        migrate.migrate("gateway", database.migration_url, migrate.role_of(database.runtime_url))
        yield started


@pytest.fixture
def store_url(server: postgres.Server) -> Iterator[str]:
    """An empty store of this test's own."""
    name = f"gateway_{next(_numbers)}"
    yield server.clone("gateway", name, service="gateway").runtime_url
    server.drop(name)


@pytest_asyncio.fixture
async def door(store_url: str) -> AsyncIterator[Door]:
    async with running(store_url) as opened:
        yield opened
