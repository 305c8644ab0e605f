"""A broker or a database that goes away for 30 s is waited out, and /readyz says so."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import httpx
import psutil
import pytest

from tests.blackbox.world import Stranger, a_request, an_order, until

pytestmark = pytest.mark.asyncio
AWAY_SECONDS = 30
SERVICES = ("commerce", "fulfillment", "payment", "gateway")
PROGRAMS = {"broker": ("kafka.Kafka", "mock_broker", "librdkafka"), "store": ("postgres",)}


def pids_of(starter: int, words: tuple[str, ...]) -> list[int]:
    found = []
    for child in psutil.Process(starter).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(word in " ".join(child.cmdline()) for word in words):
                found.append(child.pid)
    return found


async def readiness(stranger: Stranger) -> list[tuple[int, str]]:
    """(status, body) of every service's /readyz; 0 where nothing answers."""
    found = []
    for service in SERVICES:
        try:
            answer = await stranger.http.get(f"{stranger.world.addresses[service]}/readyz")
        except httpx.TransportError:
            found.append((0, ""))
        else:
            found.append((answer.status_code, answer.text))
    return found


@pytest.mark.parametrize("part", PROGRAMS)
async def test_half_a_minute_without_it_is_waited_out(stranger: Stranger, part: str) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    frozen = pids_of(stranger.world.starter.pid, PROGRAMS[part])
    assert frozen
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:

        async def says_so() -> bool:
            answers = await readiness(stranger)
            return all(status == 503 and part in text for status, text in answers)

        until_then = asyncio.get_running_loop().time() + AWAY_SECONDS
        await until(says_so, seconds=AWAY_SECONDS, about=f"/readyz names the {part}")
        # The fault is its length: half a minute is what the promise says.
        await asyncio.sleep(until_then - asyncio.get_running_loop().time())
        assert await says_so()
    finally:
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def well_again() -> bool:
        return all(status == 200 for status, _ in await readiness(stranger))

    await until(well_again, seconds=60, about="/readyz is well again")
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled", seconds=90)
    assert await stranger.paid(order) == 22200
