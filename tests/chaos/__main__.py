"""`make chaos MINUTES=n SEED=x`: returns without pause while the system is broken in every way.

Real Kafka, PostgreSQL with fsync, every service a process of its own, a proxy between any two.
Ends with 1, and says why, when anything is lost, done twice, undecided without a party, wrong
anywhere or late. Whatever happens, nothing that it started outlives it: the kernel ends children
with their parent.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import asyncpg
import httpx

from services.chassis import ids
from services.ops.embedded import kafka_jars
from tests.chaos import checker, outside
from tests.chaos.faults import Storm, missing
from tests.chaos.wanted import KINDS, Case
from tests.chaos.world import World, running

RETURNS_A_MINUTE = 210
DRAIN_SECONDS_PROMISED = 30.0
WATCHED_SECONDS = 45.0
"""How long beyond its bound what is late is watched, so that the report can say what it was."""
POLL_SECONDS = 0.5
BESIDES_SECONDS_MAX = 210.0
"""The start, the drain and the comparison, together; a run that takes longer is broken off."""
CLEAN_UP_SECONDS_MAX = 45.0
"""Then the process ends itself, with where each of its threads stands."""
SAID_MAX = 20


def say(line: str) -> None:
    print(line, flush=True)


async def drained(
    world: World, cases: Sequence[Case], *, seconds: float
) -> tuple[float, list[str]]:
    """Seconds until all stores and the book are at their end, or what is not after `seconds`."""
    began = time.monotonic()
    while True:
        try:
            found = await checker.held(world)
            late = checker.unlike(cases, found)
            await outside.review(world, _may_have_timed_out(cases, found), say)
        except (httpx.HTTPError, OSError, asyncpg.PostgresError) as error:
            late = [f"what is held cannot be read: {error!r}"]
        took = time.monotonic() - began
        if not late or took > seconds:
            return took, late
        await asyncio.sleep(POLL_SECONDS)


def _may_have_timed_out(cases: Sequence[Case], found: checker.Held) -> Iterator[Case]:
    for case in cases:
        status = found.statuses["gateway"].get(case.return_id)
        if status == "awaiting_review" and case.kind.ends != status:
            yield case


def report(storm: Storm, cases: Sequence[Case], drain: float) -> None:
    say("\nready again after the end of a fault, in seconds:")
    for name, took in sorted(storm.recoveries.items()):
        say(f"  {name:26} {len(took):3} times  median {median(took):5.1f}  most {max(took):5.1f}")
    counted = Counter(case.kind.ends for case in cases)
    ends = ", ".join(f"{number} {status}" for status, number in sorted(counted.items()))
    say(f"\n{len(cases)} returns: {ends}; drained {drain:.1f} s after the last fault and message")


def not_possible(world: World) -> None:
    """Say which faults this machine does not allow, and why."""
    for name, reason in missing(world).items():
        say(f"no {name}: {reason}")


async def main(minutes: float, returns: int, seed: int, home: Path, *, seconds: float) -> list[str]:
    """What went wrong, in words; `seconds` bounds the rest after the last fault."""
    cases = [Case(seed, number) for number in range(returns)]
    began = time.monotonic()
    async with running(home) as world:
        say(
            f"ready after {time.monotonic() - began:.0f} s; {returns} returns of {len(KINDS)} kinds"
        )
        not_possible(world)
        storm = Storm(world, random.Random(seed + 1), say)
        await outside.play(world, cases, storm, seconds=minutes * 60, chance=random.Random(seed))
        drain, late = await drained(world, cases, seconds=seconds + WATCHED_SECONDS)
        report(storm, cases, drain)
        if late:
            return [f"not at its end after {drain:.0f} s: {each}" for each in late]
        found = await checker.wrong(world, cases)
    if drain > seconds:
        found.append(f"drained after {drain:.1f} s, not within {seconds:.0f} s")
    return found


def told(error: BaseException) -> Iterator[str]:
    """What was raised, in words: of a group, each of its own."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from told(each)
    else:
        yield f"{type(error).__name__}: {error}"


def explain(wrong: Sequence[str], home: Path) -> None:
    """The first of what is wrong, and what the services last complained of."""
    for each in wrong[:SAID_MAX]:
        say(f"WRONG {each}")
    if len(wrong) > SAID_MAX:
        say(f"WRONG … and {len(wrong) - SAID_MAX} more")
    for log in sorted((home / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()
        events = Counter(complaint for line in lines if (complaint := _complaint(line)))
        say(f"{log.stem} said: {', '.join(f'{n} {what}' for what, n in events.most_common(8))}")
    say(f"all that was said is in {home / 'logs'}")


def _complaint(line: str) -> str | None:
    try:
        said = json.loads(line)
    except ValueError:
        return "line that is no JSON"
    return str(said.get("event")) if said.get("level") in ("error", "warning") else None


def called() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--returns", type=int, default=0, help="default: 210 for each minute")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--drain", type=float, default=DRAIN_SECONDS_PROMISED,
        help="seconds within which all has to be at its end after the last fault; default: 30",
    )  # fmt: skip
    given = parser.parse_args()
    if (reason := kafka_jars.missing()) is not None:
        say(f"chaos needs Apache Kafka: {reason}")
        return 1
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it hears of every fault
    seed = given.seed if given.seed is not None else int(ids.new()[:6], 16)
    say(f"repeat with: make chaos MINUTES={given.minutes:g} SEED={seed}")
    returns = given.returns or int(RETURNS_A_MINUTE * given.minutes)
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    limit = given.minutes * 60 + BESIDES_SECONDS_MAX
    faulthandler.dump_traceback_later(limit + CLEAN_UP_SECONDS_MAX, exit=True)
    run = main(given.minutes, returns, seed, home, seconds=given.drain)
    try:
        wrong = asyncio.run(asyncio.wait_for(run, limit))
    except TimeoutError:
        wrong = [f"not over after {limit:.0f} s"]
    except (Exception, asyncio.CancelledError) as error:
        wrong = list(told(error))
    if wrong:
        explain(wrong, home)
        return 1
    shutil.rmtree(home)
    say("0 lost, 0 double, 0 undecided: requests, stores, topics and the processor's book agree")
    return 0


if __name__ == "__main__":
    sys.exit(called())
