from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile import faces
from tests.hostile.faces import Face
from tests.stores import Stores


@pytest.fixture(scope="module")
def face(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Face]:
    """The HTTP face that a test is parametrised with, over a store of its own."""
    name: str = request.param
    if name == "sandbox":
        with faces.served(name, faces.of_sandbox(tmp_path_factory.mktemp(name))) as face:
            yield face
        return
    database = stores.clone(name)
    with faces.served(name, faces.of_service(name, database.runtime_url)) as face:
        yield face
    stores.drop(database)
