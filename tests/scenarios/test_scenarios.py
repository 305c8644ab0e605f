"""The demo's scenarios as tests, also with kill -9 of any service in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import psutil
import pytest

from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ReturnReceived
from contracts.payment import RefundPending
from contracts.requests import ReturnRequest
from services.ops.demo import playing
from services.ops.demo.bus import Heard
from services.ops.demo.scenarios import BY_NAME, SCENARIOS
from services.ops.demo.timeline import Line
from tests.blackbox.world import World

MOMENTS: dict[str, type[Message]] = {
    "asked": ReturnRequest,
    "decided": ReturnDecisionMade,
    "received": ReturnReceived,
    "paying": RefundPending,
}
KILLS = (
    ("commerce", "asked"),
    ("commerce", "received"),
    ("fulfillment", "decided"),
    ("gateway", "received"),
    ("payment", "decided"),
    ("payment", "paying"),
    ("sandbox", "paying"),
)
"""Where each service has most to lose; all twenty pairs hold, but take minutes."""


def say_nothing(heard: Heard, line: Line) -> None:
    pass


def kill_once(world: World, service: str, moment: type[Message]) -> Callable[[Heard, Line], None]:
    """Kill the service when the first message of this type is heard."""
    killed: list[int] = []

    def tell(heard: Heard, line: Line) -> None:
        if killed or not isinstance(heard.message, moment):
            return
        for child in psutil.Process(world.starter.pid).children():
            if f"services.{service}" in child.cmdline():
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)

    return tell


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
async def test_every_scenario_ends_as_its_story_says(world: World, name: str) -> None:
    found = await playing.play(BY_NAME[name], world.addresses, tell=say_nothing)
    assert [check for check in found if not check.holds] == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("service", "moment"), KILLS)
async def test_a_kill_in_the_middle_changes_nothing_in_the_end(
    world: World, service: str, moment: str
) -> None:
    tell = kill_once(world, service, MOMENTS[moment])
    found = await playing.play(BY_NAME["jacket"], world.addresses, tell=tell)
    assert [check for check in found if not check.holds] == []
