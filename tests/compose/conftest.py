from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.deployment import Deployment, deployed, engine_answers


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """One deployment for all tests that leave it as they found it."""
    if not engine_answers():
        pytest.skip("no container engine with Compose answers here")
    with deployed("returns-test") as made:
        yield made
