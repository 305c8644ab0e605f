"""A store or a broker that goes away: the service waits, says so, and goes on by itself."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.chassis import runtime
from services.chassis.health import PING_SECONDS_MAX
from services.chassis.settings import Settings
from services.testing.containers import KafkaContainer
from tests.integration.chassis import toy
from tests.integration.chassis.bus import producing, publish, read_lifecycle
from tests.integration.chassis.messages import evidence, request, return_id
from tests.integration.chassis.test_running import outcomes_of, requests_of, running
from tests.proxies import proxied
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio


async def test_a_store_that_goes_away_is_waited_for(toy_settings: Settings) -> None:
    url = urlsplit(toy_settings.commerce_database_url)
    async with proxied(str(url.hostname), int(url.port or 0)) as proxy:
        through = url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}").geturl()
        settings = toy_settings.model_copy(update={"commerce_database_url": through})
        async with running(settings) as started, producing(settings) as producer:
            await publish(producer, settings, request("o1", "before"))
            await wait_for(lambda: requests_of(started, "o1"))
            await proxy.cut()
            await publish(producer, settings, request("o1", "during"), evidence("o1", "a"))

            async def says_so() -> bool:
                return {"store", "relay", "broker"} <= set(await started.failing_parts())

            await wait_for(says_so)
            assert "store" in (await started.failing_parts())["broker"]
            await proxy.mend()

            async def went_on() -> bool:
                both = (return_id("before"), return_id("during"))
                return (
                    await requests_of(started, "o1") == both
                    and await outcomes_of(started, "o1") == ("done:a",)
                    and not await started.failing_parts()
                )

            await wait_for(went_on)
            # Cut off between the broker's acknowledgement and the deletion, it publishes twice.
            published = await read_lifecycle(settings, 3)
            assert len({dict(each.headers)["ce_id"] for each in published}) == 3


async def test_a_store_that_hangs_is_told_within_seconds_and_waited_for(
    toy_settings: Settings,
) -> None:
    url = urlsplit(toy_settings.commerce_database_url)
    async with proxied(str(url.hostname), int(url.port or 0)) as proxy:
        through = url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}").geturl()
        settings = toy_settings.model_copy(update={"commerce_database_url": through})
        async with running(settings) as started, producing(settings) as producer:
            await publish(producer, settings, request("o1", "before"))
            await wait_for(lambda: requests_of(started, "o1"))
            proxy.freeze()
            for _ in range(4):
                async with asyncio.timeout(PING_SECONDS_MAX + 1):
                    assert "store" in await started.failing_parts()
            await publish(producer, settings, request("o1", "during"))
            await proxy.mend()

            async def went_on() -> bool:
                return len(await requests_of(started, "o1")) == 2

            await wait_for(went_on, seconds=60)
            async with asyncio.timeout(PING_SECONDS_MAX + 1):
                assert not await started.failing_parts()


@contextmanager
def frozen(broker: Any) -> Iterator[None]:
    """A broker that answers nobody."""
    if isinstance(broker, KafkaContainer):
        stop, go = ("docker", "pause", broker.id), ("docker", "unpause", broker.id)
    else:
        process = str(broker.process.pid)
        stop, go = ("kill", "-STOP", process), ("kill", "-CONT", process)
    subprocess.run(stop, check=True)
    try:
        yield
    finally:
        subprocess.run(go, check=True)


async def test_a_broker_that_goes_silent_is_waited_for(toy_settings: Settings, broker: Any) -> None:
    async with running(toy_settings) as started, producing(toy_settings) as producer:
        await publish(producer, toy_settings, request("o1", "before"))
        await wait_for(lambda: requests_of(started, "o1"))
        with frozen(broker):

            async def says_so() -> bool:
                return "broker" in await started.failing_parts()

            await wait_for(says_so)
            await started.submit(request("o1", "during"))
        await publish(producer, toy_settings, request("o1", "after"))

        async def went_on() -> bool:
            return len(await requests_of(started, "o1")) == 3 and not await started.failing_parts()

        await wait_for(went_on, seconds=60)
        assert len(await read_lifecycle(toy_settings, 3)) >= 3


async def test_a_service_starts_before_its_store_and_its_broker(toy_settings: Settings) -> None:
    url = urlsplit(toy_settings.commerce_database_url)
    async with proxied(str(url.hostname), int(url.port or 0)) as proxy:
        await proxy.cut()
        through = url._replace(netloc=f"{url.username}@127.0.0.1:{proxy.port}").geturl()
        settings = toy_settings.model_copy(update={"commerce_database_url": through})
        async with runtime.running(toy.builder(), toy.NAME, settings) as started:

            async def says_so() -> bool:
                return {"store", "relay"} <= set(await started.failing_parts())

            await wait_for(says_so)
            await proxy.mend()

            async def is_ready() -> bool:
                return not await started.failing_parts()

            await wait_for(is_ready)
