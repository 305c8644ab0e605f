"""`python -m tests.upgrade.record`: tells the story once and keeps its log, states and stores.

What is kept was told by the code of its day. It is recorded anew only when a state is meant to
change; the old recording then goes on to be read as long as stores of that version are about.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from services.chassis import database
from services.chassis.settings import Settings
from services.ops.embedded import postgres
from services.ops.embedded.postgres import Database
from tests.driving import Drive, SteppedClock
from tests.payments import Sandbox, running_sandbox
from tests.stores import Stores
from tests.upgrade import states, story
from tests.upgrade.world import BUILDS, World, builder

GOLDEN = Path(__file__).parent / "golden"
NOBODY = "http://127.0.0.1:1"


async def opened(stack: AsyncExitStack, databases: dict[str, Database], sandbox: Sandbox) -> World:
    """A world on these stores."""
    clock, drives = SteppedClock(), {}
    for name, each in databases.items():
        drives[name] = await drive(stack, name, each.runtime_url, clock, sandbox_url=sandbox.url)
    return World(drives, clock)


async def drive(
    stack: AsyncExitStack, name: str, url: str, clock: SteppedClock, **settings: Any
) -> Drive:
    known: dict[str, Any] = {f"{name}_database_url": url, **settings}
    own = Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", **known)
    pool = await database.connect_pool(url, name)
    stack.push_async_callback(pool.close)
    return Drive(builder(name, clock)(own, pool), pool, own, clock)


async def record(stores: Stores, sandbox: Sandbox) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        databases = {name: stores.clone(name) for name in BUILDS}
        world = await opened(stack, databases, sandbox)
        await story.first_half(world, sandbox)
        midway = len(world.log)
        dumps = {name: await states.dump(each.migration_url) for name, each in databases.items()}
        await story.second_half(world)
        final = {name: await states.of(name, each.pool) for name, each in world.drives.items()}
        for name, each in world.drives.items():
            assert not await each.quarantined(), name
    return {"log": world.log, "midway": midway, "stores": dumps, "states": final}


def main() -> None:
    home = Path(tempfile.mkdtemp())
    with (
        postgres.running(home / "postgres", durable=False) as server,
        running_sandbox(home, payment_url=NOBODY) as sandbox,
    ):
        told = asyncio.run(record(Stores(server), sandbox))
    GOLDEN.mkdir(exist_ok=True)
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in told["log"])
    (GOLDEN / "log.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    for name in ("states", "stores"):
        text = json.dumps(told[name], indent=1, ensure_ascii=False)
        (GOLDEN / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (GOLDEN / "states.json").write_text(json.dumps(told["states"], indent=1) + "\n")
    (GOLDEN / "states.json.gz").unlink()
    (GOLDEN / "midway.txt").write_text(f"{told['midway']}\n")


if __name__ == "__main__":
    main()
