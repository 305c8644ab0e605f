from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import DriveService
from tests.driving import Drive
from tests.integration.chassis import toy


@pytest_asyncio.fixture
async def toys(drive: DriveService) -> AsyncIterator[Drive]:
    """The toy on a store of its own; its outside world does everything at once."""
    yield await drive(toy.builder(), toy.NAME, versions=toy.VERSIONS)
