"""The gateway dies at every place of a transaction: each change is told once."""

from __future__ import annotations

import pytest

from contracts.lifecycle import Status
from services.chassis import pipeline
from tests.driving import record
from tests.integration.gateway.door import Door, change

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("place", ["before_commit", "after_commit"])
async def test_a_process_that_dies_tells_each_change_once_when_it_is_back(
    door: Door, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    return_id = await door.ask()
    alive = True

    def die(name: str) -> None:
        nonlocal alive
        if alive and name == place:
            alive = False
            raise Killed(place)

    monkeypatch.setattr(pipeline, "checkpoint", die)
    told = change(return_id, 1, Status.REQUESTED)
    delivered = [record(told, topic="returns.lifecycle", id_="one", offset=1)]
    with pytest.raises(Killed):
        await door.pipeline.process(delivered)
    await door.pipeline.process(delivered)  # the broker delivers again
    seen = (await door.http.get(f"/returns/{return_id}")).json()
    assert [entry["status"] for entry in seen["timeline"]] == ["requested"]
