from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.blackbox.world import World, running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One system for all scenarios; every scenario has an order of its own."""
    with running(tmp_path_factory.mktemp("scenarios")) as started:
        yield started
