"""Real parts for the tests: PostgreSQL, a broker, a store and a topic prefix for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from services.chassis.service import Service
from services.chassis.settings import Settings
from services.ops.embedded import topics
from services.ops.embedded.postgres import Database, Server
from services.testing import backend
from services.testing.backend import Broker
from tests.driving import Drive, SteppedClock, driving
from tests.stores import NewStore, Stores, Versions

TESTS = Path(__file__).parent
FROM_LONG_TO_SHORT = (
    *("scenarios", "blackbox", "simulation", "hostile", "upgrade", "deploy", "integration"),
    *("conformance", "unit", "contracts", "style"),
)


@dataclass(frozen=True)
class Bus:
    """A broker, and the prefix of the topics that belong to one test."""

    kind: str
    bootstrap: str
    prefix: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put folders whose tests take long first, so that no worker ends long before the other.

    A folder's whole system is stopped after its last test: it must not be scattered over the run.
    """
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return FROM_LONG_TO_SHORT.index(folder) if folder in FROM_LONG_TO_SHORT else 0


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this process, with fsync off."""
    folder = tmp_path_factory.mktemp("postgres") / "data"
    with backend.server(folder, default=backend.EMBEDDED) as server:
        yield server


@pytest.fixture(scope="session")
def stores(postgres: Server) -> Stores:
    return Stores(postgres)


@pytest.fixture
def new_store(stores: Stores) -> Iterator[NewStore]:
    """Makes a migrated database that only this test uses."""
    made: list[Database] = []

    def make(service: str, *, versions: Versions = None) -> Database:
        made.append(stores.clone(service, versions=versions))
        return made[-1]

    yield make
    for each in made:
        stores.drop(each)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that EMBEDDED_BROKER names (kafka, librdkafka, or auto), or a container's."""
    folder = tmp_path_factory.mktemp("broker") / "data"
    with backend.broker(folder, default=backend.EMBEDDED) as started:
        yield started


@pytest.fixture
def bus(broker: Broker) -> Bus:
    """All topics, under a prefix of this test's own."""
    prefix = f"t{uuid4().hex[:8]}."
    broker.create_topics(topics.all_topics(prefix))
    return Bus(kind=broker.kind, bootstrap=broker.bootstrap, prefix=prefix)


@pytest.fixture
def settings() -> Settings:
    """Settings of nobody: what a test needs it sets with `model_copy(update=…)`."""
    return Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1")


DriveService = Callable[..., Awaitable[Drive]]


@pytest_asyncio.fixture
async def drive(new_store: NewStore, settings: Settings) -> AsyncIterator[DriveService]:
    """``await drive(build, "commerce")``: the service on a store of its own, without a broker."""
    async with AsyncExitStack() as stack:

        async def make(
            build: Callable[[Settings, Any], Service[Any]],
            name: str,
            *,
            versions: Versions = None,
            clock: SteppedClock | None = None,
            **changes: Any,
        ) -> Drive:
            url = new_store(name, versions=versions).runtime_url
            own = settings.model_copy(update=changes)
            return await stack.enter_async_context(driving(build, name, url, own, clock))

        yield make
