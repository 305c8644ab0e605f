"""The demo's scenarios as tests, also with kill -9 of any service in the middle."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import httpx
import psutil
import pytest

from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ReturnReceived
from contracts.payment import RefundPending
from contracts.requests import ReturnRequest
from services.gateway.api import examples
from services.ops import running
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


def kill_once(
    world: World, service: str, moment: type[Message], killed: list[int]
) -> Callable[[Heard, Line], None]:
    """Kill the service when the first message of this type is heard, and note its pid."""

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
    killed: list[int] = []
    tell = kill_once(world, service, MOMENTS[moment], killed)
    found = await playing.play(BY_NAME["jacket"], world.addresses, tell=tell)
    assert len(killed) == 1
    assert [check for check in found if not check.holds] == []


FROM_OUTSIDE = "127.0.0.2"
"""An address that a service reaches only when it listens on more than 127.0.0.1."""
GUARDED = {
    "gateway": ("GET", "/returns"),
    "commerce": ("GET", "/returns/none/decisions"),
    "fulfillment": ("POST", "/returns/none/labels"),
    "payment": ("GET", "/reconciliation"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no 127.0.0.2")
def test_open_to_other_machines_every_service_asks_for_a_key_or_is_not_there(world: World) -> None:
    def outside(service: str) -> str:
        return str(world.addresses[service]).replace("127.0.0.1", FROM_OUTSIDE)

    for service, (method, path) in GUARDED.items():
        assert httpx.request(method, outside(service) + path).status_code == 401
        assert httpx.get(f"{outside(service)}/healthz").status_code == 200
        assert httpx.get(f"{outside(service)}/readyz").status_code == 200
        assert httpx.get(f"{outside(service)}/metrics").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{outside('sandbox')}/sandbox/book")


def test_a_quote_passes_the_callers_key_on_to_commerce(world: World) -> None:
    url = f"{world.gateway}/returns/quote"
    asked = httpx.post(url, json=examples.QUOTE_REQUEST, headers=running.key_headers())
    assert asked.status_code == 200, asked.text
    assert httpx.post(url, json=examples.QUOTE_REQUEST).status_code == 401
