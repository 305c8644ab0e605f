"""kill -9 of any service at any time changes nothing in the end."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.blackbox.world import Stranger, a_request, an_order, running, until

pytestmark = pytest.mark.asyncio


def running_pids(starter: int, service: str) -> list[int]:
    found = []
    for child in psutil.Process(starter).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if f"services.{service}" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


@pytest.mark.parametrize("service", ["commerce", "fulfillment", "payment", "gateway", "sandbox"])
async def test_a_killed_service_comes_back_and_the_return_settles_once(
    stranger: Stranger, service: str
) -> None:
    def pids() -> list[int]:
        return running_pids(stranger.world.starter.pid, service)

    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    for pid in pids():
        os.kill(pid, signal.SIGKILL)

    async def up_again() -> bool:
        return bool(pids())

    await until(up_again, seconds=30, about=f"{service} is started again")
    base = stranger.world.gateway if service == "gateway" else stranger.world.sandbox

    async def answers() -> bool:
        try:
            return (await stranger.http.get(f"{base}/healthz")).status_code == 200
        except httpx.TransportError:
            return False

    await until(answers)
    await stranger.labelled(return_id)
    sending = asyncio.create_task(stranger.send_back(return_id, order))
    if service != "gateway":
        for pid in pids():
            os.kill(pid, signal.SIGKILL)
    await sending
    await stranger.reaches(return_id, "settled", seconds=90)
    assert [m["kind"] for m in await stranger.money_out(order)] == ["refund"]
    assert await stranger.paid(order) == 22200


async def test_nothing_is_left_running_when_the_starter_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, EMBEDDED_BROKER="librdkafka") as world:
        children = psutil.Process(world.starter.pid).children(recursive=True)
        assert children
        world.starter.kill()

        async def gone() -> bool:
            return not any(
                child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children
            )

        await until(gone, about="every child ends with its starter")
