from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.chassis.keys import SCOPES, digest
from tests.blackbox.world import World, running

KEY = "the-key-of-the-scenarios"


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One system for all scenarios, open to other machines and asking for a key.

    Every scenario has an order of its own.
    """
    home = tmp_path_factory.mktemp("scenarios")
    keys = home / "keys.json"
    keys.write_text(json.dumps({digest(KEY): {"name": "everybody", "scopes": sorted(SCOPES)}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETURNS_API_KEY", KEY)
        with running(home, RETURNS_API_KEYS_FILE=str(keys), LISTEN_HOST="0.0.0.0") as started:
            yield started
