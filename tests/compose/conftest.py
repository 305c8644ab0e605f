from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.compose.deployment import Deployment, deployed, engine_answers, running


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """One deployment for all tests that leave it as they found it; that of COMPOSE_RUNNING."""
    found = os.environ.get("COMPOSE_RUNNING")
    if found:
        yield running(found)
        return
    if not engine_answers():
        pytest.skip("no container engine with Compose answers here")
    with deployed("returns-test") as made:
        yield made
