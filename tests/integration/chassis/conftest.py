from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.chassis.settings import Settings
from tests.conftest import Bus, DriveService
from tests.driving import Drive
from tests.integration.chassis import toy
from tests.stores import NewStore


@pytest_asyncio.fixture
async def toys(drive: DriveService) -> AsyncIterator[Drive]:
    """The toy on a store of its own; its outside world does everything at once."""
    yield await drive(toy.builder(), toy.NAME, versions=toy.VERSIONS)


@pytest.fixture
def toy_settings(bus: Bus, new_store: NewStore, settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "kafka_bootstrap_servers": bus.bootstrap,
            "topic_prefix": bus.prefix,
            "embedded_broker": bus.kind,
            "commerce_database_url": new_store("commerce", versions=toy.VERSIONS).runtime_url,
        }
    )
