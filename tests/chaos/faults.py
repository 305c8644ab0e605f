"""What is done to a running system; each fault ends, and says how long the system needed then."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random

import httpx

from services.ops.stack import SERVICES
from tests.chaos import volume
from tests.chaos.world import AGENTS, World

RECOVERY_SECONDS_MAX = 90.0
PAUSE_SECONDS = (0.5, 3.0)
ARMED_SECONDS_MAX = 10.0
HANGS_SECONDS = (1.0, 12.0)
FREEZE_SECONDS = (1.0, 20.0)
FREEZE_SECONDS_MAX = 60.0
SKEW_SECONDS = 90
CHECKPOINTS = {
    "commerce": ("before_commit", "after_commit", "after_publish"),
    "fulfillment": ("before_commit", "after_commit", "after_publish", "before_effect",
                    "after_effect"),
    "payment": ("before_commit", "after_commit", "after_publish", "before_effect", "after_effect",
                "after_claim", "after_submit"),
    "gateway": ("before_commit", "after_commit", "after_publish"),
}  # fmt: skip

Fault = Callable[[World, Random], Awaitable[str]]
"""Does it and undoes it; what was done, for the log."""
Say = Callable[[str], None]


async def kill_at_random(world: World, chance: Random) -> str:
    service = chance.choice(SERVICES)
    world.kill(service)
    return service


async def kill_at_a_checkpoint(world: World, chance: Random) -> str:
    """Start the service anew, armed; it dies by itself where its work takes it there."""
    service = chance.choice(AGENTS)
    place = f"{chance.choice(CHECKPOINTS[service])}:{chance.randint(1, 3)}"
    supervisor = world.supervisors[service]
    environment = supervisor.environment
    assert isinstance(environment, dict)
    environment["CRASH_AT"] = place
    armed = await _started_anew(world, service)
    del environment["CRASH_AT"]
    if not await _died(world, service, armed):  # nothing took it there: it must not stay armed
        await _started_anew(world, service)
        return f"{service} {place}, not reached"
    return f"{service} {place}"


async def _died(world: World, service: str, armed: int) -> bool:
    """Whether it dies, as it starts or within a while after everybody is ready."""
    until = time.monotonic() + RECOVERY_SECONDS_MAX
    ready = False
    async with httpx.AsyncClient(timeout=ARMED_SECONDS_MAX) as client:
        while world.pid(service) == armed and time.monotonic() < until:
            if not ready and (ready := await world.is_ready(client)):
                until = time.monotonic() + ARMED_SECONDS_MAX
            await asyncio.sleep(0.05)
    return world.pid(service) != armed


async def _started_anew(world: World, service: str) -> int:
    before = world.pid(service)
    world.kill(service)
    until = time.monotonic() + RECOVERY_SECONDS_MAX
    while world.pid(service) == before:
        assert time.monotonic() < until, f"{service} was not started again"
        await asyncio.sleep(0.02)
    return world.pid(service)


async def stop_and_continue(world: World, chance: Random) -> str:
    service = chance.choice(SERVICES)
    seconds = chance.uniform(*FREEZE_SECONDS) if chance.random() < 0.9 else FREEZE_SECONDS_MAX
    seconds = min(seconds, max(FREEZE_SECONDS[0], world.ends_at - time.monotonic()))
    world.kill(service, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    world.kill(service, signal.SIGCONT)
    return f"{service} {seconds:.1f} s"


async def restart_the_broker(world: World, chance: Random) -> str:
    number = chance.choice((signal.SIGKILL, signal.SIGTERM))
    await world.restart_kafka(number)
    return number.name


async def restart_the_database(world: World, chance: Random) -> str:
    number = chance.choice((signal.SIGQUIT, signal.SIGINT))
    await world.restart_postgres(number)
    return "immediate mode" if number == signal.SIGQUIT else "fast mode"


async def drop_connections(world: World, chance: Random) -> str:
    between = chance.choice(sorted(world.proxies))
    for _ in range(5):
        world.proxies[between].drop()
        await asyncio.sleep(chance.uniform(0.1, 0.5))
    return between


async def cut(world: World, chance: Random) -> str:
    between = chance.choice(sorted(world.proxies))
    await world.proxies[between].cut()
    await asyncio.sleep(chance.uniform(*HANGS_SECONDS))
    await world.proxies[between].mend()
    return between


async def half_open(world: World, chance: Random) -> str:
    between = chance.choice(sorted(world.proxies))
    world.proxies[between].freeze()
    await asyncio.sleep(chance.uniform(*HANGS_SECONDS))
    await world.proxies[between].mend()
    return between


async def delay(world: World, chance: Random) -> str:
    between = chance.choice(sorted(world.proxies))
    world.proxies[between].delay = chance.uniform(0.02, 0.4)
    await asyncio.sleep(chance.uniform(*HANGS_SECONDS))
    await world.proxies[between].mend()
    return between


async def fill_the_disk(world: World, chance: Random) -> str:
    """Nothing more can be written where one service's tables lie."""
    with volume.full(world.volume):
        await asyncio.sleep(chance.uniform(*HANGS_SECONDS))
    return f"{volume.SERVICE}'s tables"


def faketime_library() -> Path | None:
    """libfaketime, where the machine has it."""
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
    return found[0] if found else None


async def skew_the_clock(world: World, chance: Random) -> str:
    """Start a service anew with a clock that is wrong; later it may be started with a right one."""
    library = faketime_library()
    assert library is not None
    service = chance.choice(AGENTS)
    environment = world.supervisors[service].environment
    assert isinstance(environment, dict)
    skew = chance.randint(-SKEW_SECONDS, SKEW_SECONDS)
    environment |= {
        "LD_PRELOAD": str(library), "FAKETIME": f"{skew:+d}s", "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    await _started_anew(world, service)
    await asyncio.sleep(chance.uniform(*HANGS_SECONDS))
    for name in ("LD_PRELOAD", "FAKETIME", "DONT_FAKE_MONOTONIC"):
        del environment[name]
    await _started_anew(world, service)
    return f"{service} {skew:+d} s"


FAULTS: Mapping[str, Fault] = {
    "SIGKILL at random": kill_at_random,
    "SIGKILL at a checkpoint": kill_at_a_checkpoint,
    "SIGSTOP, SIGCONT": stop_and_continue,
    "broker restarted": restart_the_broker,
    "database restarted": restart_the_database,
    "connections dropped": drop_connections,
    "connection cut": cut,
    "half-open connection": half_open,
    "delayed connection": delay,
    "clock skew": skew_the_clock,
    "disk full": fill_the_disk,
}


def missing(world: World) -> dict[str, str]:
    """Fault -> why this machine does not allow it."""
    found = {} if faketime_library() else {"clock skew": "libfaketime is not installed"}
    return found | ({"disk full": world.no_volume} if world.no_volume else {})


class Storm:
    """Fault after fault until its time is over; `recoveries` in seconds by fault."""

    def __init__(self, world: World, chance: Random, say: Say) -> None:
        self.world, self.chance, self.say = world, chance, say
        self.recoveries: dict[str, list[float]] = defaultdict(list)

    async def blow(self, until: float) -> None:
        """Until `until` by the monotonic clock; each fault once before any comes again."""
        began = time.monotonic()
        self.world.ends_at = until
        waiting: list[str] = []
        while time.monotonic() < until:
            if not waiting:
                waiting = sorted(FAULTS.keys() - missing(self.world).keys())
                self.chance.shuffle(waiting)
            name = waiting.pop()
            what = await FAULTS[name](self.world, self.chance)
            took = await self.world.recovered(seconds=RECOVERY_SECONDS_MAX)
            self.recoveries[name].append(took)
            self.say(f"{time.monotonic() - began:6.1f} s  {name}: {what}; ready after {took:.1f} s")
            await asyncio.sleep(self.chance.uniform(*PAUSE_SECONDS))
