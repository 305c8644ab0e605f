"""`python -m tests.upgrade.record STORY`: tells it once and keeps its log, states and stores.

What is kept was told by the code of its day. It is recorded anew only when a state is meant to
change; the old recording then goes on to be read as long as stores of that version are about.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

from services.chassis.settings import Settings
from services.ops.embedded import postgres
from services.ops.embedded.postgres import Database
from tests.driving import Drive, SteppedClock, driving
from tests.payments import Sandbox, running_sandbox
from tests.stores import Stores
from tests.upgrade import exchanges, refunds, states
from tests.upgrade.replay import GOLDEN, policy
from tests.upgrade.world import BUILDS, World, builder

STORIES: dict[str, ModuleType] = {"refunds": refunds, "exchanges": exchanges}
"""What each told on the day of its recording: `first_half`, after which the stores are kept, and
`second_half`."""
NOBODY = "http://127.0.0.1:1"


async def opened(
    stack: AsyncExitStack, databases: dict[str, Database], sandbox: Sandbox, story: str
) -> World:
    """A world on these stores, under the policy of the story."""
    clock, drives = SteppedClock(), {}
    named = {"sandbox_url": sandbox.url, "policy_path": policy(story)}
    for name, each in databases.items():
        drives[name] = await drive(stack, name, each.runtime_url, clock, **named)
    return World(drives, clock)


async def drive(
    stack: AsyncExitStack, name: str, url: str, clock: SteppedClock, **settings: Any
) -> Drive:
    own = Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", **settings)
    return await stack.enter_async_context(driving(builder(name, clock), name, url, own, clock))


async def record(story: str, stores: Stores, sandbox: Sandbox) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        databases = {name: stores.clone(name) for name in BUILDS}
        world = await opened(stack, databases, sandbox, story)
        await STORIES[story].first_half(world, sandbox)
        midway = len(world.log)
        dumps = {name: await states.dump(each.migration_url) for name, each in databases.items()}
        await STORIES[story].second_half(world, sandbox)
        final = {name: await states.of(name, each.pool) for name, each in world.drives.items()}
        for name, each in world.drives.items():
            assert not await each.quarantined(), name
    return {"log": world.log, "midway": midway, "stores": dumps, "states": final}


def main(story: str) -> None:
    home = Path(tempfile.mkdtemp())
    with (
        postgres.running(home / "postgres", durable=False) as server,
        running_sandbox(home, payment_url=NOBODY) as sandbox,
    ):
        told = asyncio.run(record(story, Stores(server), sandbox))
    kept = GOLDEN / story
    kept.mkdir(exist_ok=True)
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in told["log"])
    (kept / "log.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    stores = json.dumps(told["stores"], ensure_ascii=False)
    (kept / "stores.json.gz").write_bytes(gzip.compress(stores.encode(), mtime=0))
    (kept / "states.json").write_text(json.dumps(told["states"], indent=1) + "\n")
    (kept / "midway.txt").write_text(f"{told['midway']}\n")


if __name__ == "__main__":
    main(sys.argv[1])
