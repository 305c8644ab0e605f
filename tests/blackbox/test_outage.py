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
PROGRAMS = {"broker": ("kafka.Kafka", "mock_broker", "librdkafka"), "store": ("postgres",)}


def pids_of(starter: int, words: tuple[str, ...]) -> list[int]:
    found = []
    for child in psutil.Process(starter).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(word in " ".join(child.cmdline()) for word in words):
                found.append(child.pid)
    return found


@pytest.mark.parametrize("part", PROGRAMS)
async def test_half_a_minute_without_it_is_waited_out(stranger: Stranger, part: str) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    frozen = pids_of(stranger.world.starter.pid, PROGRAMS[part])
    assert frozen
    payment = stranger.world.addresses["payment"]
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:

        async def says_so() -> bool:
            try:
                answer = await stranger.http.get(f"{payment}/readyz")
            except httpx.TransportError:
                return False
            return answer.status_code == 503 and part in answer.text

        await until(says_so, seconds=AWAY_SECONDS, about=f"/readyz names the {part}")
        await asyncio.sleep(AWAY_SECONDS / 2)
    finally:
        for pid in frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def well_again() -> bool:
        return (await stranger.http.get(f"{payment}/readyz")).status_code == 200

    await until(well_again, seconds=60, about="/readyz is well again")
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled", seconds=90)
    assert await stranger.paid(order) == 22200
