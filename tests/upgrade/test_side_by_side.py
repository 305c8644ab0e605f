"""Some services are of tomorrow already, the others of today, and returns go on as ever."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.chassis.records import Record
from tests.payments import running_sandbox
from tests.stores import NewStore
from tests.upgrade import states
from tests.upgrade.record import STORIES, opened
from tests.upgrade.replay import differences, extended, final
from tests.upgrade.world import BUILDS

pytestmark = pytest.mark.asyncio

TOMORROWS = {"commerce", "payment"}
SAME = {"commerce": ("returns",), "payment": ("payment_balances", "store_credits"),
        "gateway": ("orders",)}  # fmt: skip


def of_tomorrow(writer: str, made: Record) -> Record:
    if writer not in TOMORROWS:
        return made
    return replace(made, value=json.dumps(extended(json.loads(made.value or b"{}"))).encode())


@pytest.mark.parametrize("story", STORIES)
async def test_services_of_two_versions_come_to_the_states_of_one(
    new_store: NewStore, tmp_path: Path, story: str
) -> None:
    with running_sandbox(tmp_path, payment_url="http://127.0.0.1:1") as sandbox:
        async with AsyncExitStack() as stack:
            world = await opened(stack, {name: new_store(name) for name in BUILDS}, sandbox, story)
            world.shim = of_tomorrow
            await STORIES[story].first_half(world, sandbox)
            await STORIES[story].second_half(world, sandbox)
            for service, tables in SAME.items():
                kept, found = (
                    final(story, service),
                    await states.of(service, world.drives[service].pool),
                )
                assert differences({name: kept[name] for name in tables}, found) == []
            for each in world.drives.values():
                assert await each.quarantined() == []
