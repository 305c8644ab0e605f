"""Fulfillment dies at every place of a transaction and of an effect: one label, in the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.fulfillment import ReturnLabelIssued
from services.chassis import effects, pipeline
from tests.driving import Drive, record
from tests.unit.fulfillment.examples import an_order, decided

pytestmark = pytest.mark.asyncio

PLACES = {
    "before_commit": pipeline,
    "after_commit": pipeline,
    "before_effect": effects,
    "after_effect": effects,
}


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("place", PLACES)
async def test_a_process_that_dies_issues_one_label_when_it_is_back(
    agent: Drive, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    await agent.send(an_order())
    alive = True

    def die(name: str) -> None:
        nonlocal alive
        if alive and name == place:
            alive = False
            raise Killed(place)

    monkeypatch.setattr(PLACES[place], "checkpoint", die)
    approved: Any = record(decided(), id_="approved", offset=9)
    for _ in range(60):
        try:
            await agent.send(approved)
            await agent.advance(timedelta(seconds=1))
        except Killed:
            continue  # the broker delivers again, the lease runs out
    assert not alive, "nothing passed this place"
    assert len(await agent.published(ReturnLabelIssued)) == 1
    assert not await agent.quarantined()
