from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.hostile import faces
from tests.hostile.faces import Face
from tests.stores import Stores

ASKS = {"gateway": {"commerce_url": "commerce"}, "payment": {"sandbox_url": "sandbox"}}
"""Face -> whom it asks over HTTP, by the setting that names the address."""


@pytest.fixture(scope="module")
def face(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Face]:
    """The HTTP face that a test is parametrised with, on its own store, with those it asks."""
    with ExitStack() as stack:

        def served(name: str) -> Face:
            if name == "sandbox":
                opened = faces.of_sandbox(tmp_path_factory.mktemp(name))
            else:
                database = stores.clone(name)
                stack.callback(stores.drop, database)
                asked = {setting: served(of).url for setting, of in ASKS.get(name, {}).items()}
                opened = faces.of_service(name, database.runtime_url, **asked)
            return stack.enter_context(faces.served(name, opened))

        yield served(request.param)
