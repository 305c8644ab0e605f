"""Commerce dies at every place of a transaction: one case, one question, one decision."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.assessments import AssessmentRequested
from contracts.decisions import ReturnDecisionMade
from services.chassis import pipeline
from services.commerce import app
from tests.driving import Drive, record
from tests.integration.commerce.test_process import assessed
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("place", ["before_commit", "after_commit"])
@pytest.mark.parametrize("nth", [1, 2])
async def test_a_process_that_dies_decides_once_when_it_is_back(
    drive: Any, monkeypatch: pytest.MonkeyPatch, place: str, nth: int
) -> None:
    service: Drive = await drive(app.build, "commerce")
    left = nth

    def die(name: str) -> None:
        nonlocal left
        if name == place:
            left -= 1
            if left == 0:
                raise Killed(place)

    monkeypatch.setattr(pipeline, "checkpoint", die)
    messages = (examples.order(), examples.request())
    for offset, each in enumerate(messages):
        delivered = record(each, id_=f"id-{offset}", offset=offset)
        try:
            await service.send(delivered)
        except Killed:
            await service.send(delivered)  # the broker delivers again
    assert left <= 0, "nothing passed this place"
    await assessed(service)
    assert len(await service.published(AssessmentRequested)) == 1
    assert len(await service.published(ReturnDecisionMade)) == 1
    assert not await service.quarantined()
