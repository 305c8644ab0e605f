"""`python -m tests.benchmarks [--returns N] [--at-once N]`: W1 and the bare pipeline, one run."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress

from services.chassis.clock import WallClock
from services.ops import system as systems
from services.ops.embedded.processes import StartFailed
from services.ops.embedded.topics import NamedTopic
from tests.benchmarks import bare, report, usage
from tests.benchmarks.w1 import Driver, Measured

IDLE_RETURNS = 50
WARM_UP_RETURNS = 100
STEADY_SECONDS = 10
STEADY_SHARE = 0.5
"""Of the rate under full load: how many come in per second when latency is measured again."""
STEADY_RETURNS_MAX = 1000
MESSAGES_PER_RETURN = 20
"""About as many as a return causes; the bare pipeline handles as many."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--returns", type=int, default=1500, help="returns at full load")
    parser.add_argument("--at-once", type=int, default=150, help="returns under way at a time")
    chosen = parser.parse_args()
    console = Console()
    try:
        made = asyncio.run(_run(chosen.returns, chosen.at_once, console))
    except StartFailed as error:
        console.print(str(error))
        return 1
    report.show(made, console)
    table = report.save(made, f"w1-{WallClock().now():%Y%m%d-%H%M%S}")
    console.print(f"written to {table.relative_to(Path.cwd())} and beside it")
    return 0 if made.holds else 1


async def _run(count: int, at_once: int, console: Console) -> report.Report:
    def say(sentence: str) -> None:
        console.print(sentence, soft_wrap=True)

    with (
        tempfile.TemporaryDirectory(prefix="returns-bench-") as folder,
        Progress(console=console, transient=True) as progress,
    ):
        began = time.monotonic()
        async with systems.running(Path(folder), keep=False, say=say) as system:
            ready_seconds = time.monotonic() - began
            driver = Driver(addresses=system.addresses)
            idle, busy, used = await _w1(system, driver, count, at_once, progress)
            steady = await _steady(driver, busy.per_second * STEADY_SHARE, progress)
            wrong = await _paid_wrong(driver)
            bare_rate = await _bare(system, count * MESSAGES_PER_RETURN, progress)
            return report.Report(
                broker=system.addresses["broker"],
                ready_seconds=ready_seconds,
                at_once=at_once,
                idle=idle,
                busy=busy,
                steady=steady,
                usage=used,
                bare_per_second=bare_rate,
                paid_wrong=wrong,
            )


async def _w1(
    system: systems.System, driver: Driver, count: int, at_once: int, progress: Progress
) -> tuple[Measured, Measured, usage.Usage]:
    total = IDLE_RETURNS + WARM_UP_RETURNS + count
    task = progress.add_task("orders and payments", total=total)
    await driver.prepare(total, lambda n: progress.advance(task, n))
    warm, rest = driver.orders[:WARM_UP_RETURNS], driver.orders[WARM_UP_RETURNS:]
    few, many = rest[:IDLE_RETURNS], rest[IDLE_RETURNS:]
    task = progress.add_task("warming up", total=len(warm))
    await driver.run(warm, at_once=10, say=lambda n: progress.advance(task, n))
    task = progress.add_task("one at a time", total=len(few))
    idle = await driver.run(few, at_once=1, say=lambda n: progress.advance(task, n))
    task = progress.add_task(f"{at_once} at a time", total=len(many))
    before = await usage.now(system)
    busy = await driver.run(many, at_once=at_once, say=lambda n: progress.advance(task, n))
    after = await usage.now(system)
    return idle, busy, after.since(before)


async def _steady(driver: Driver, per_second: float, progress: Progress) -> Measured:
    """Requests at a constant rate, whatever became of those before."""
    count = min(round(per_second * STEADY_SECONDS) + 1, STEADY_RETURNS_MAX)
    task = progress.add_task(f"{per_second:.0f} a second", total=2 * count)
    await driver.prepare(count, lambda n: progress.advance(task, n))
    return await driver.run(
        driver.orders[-count:], per_second=per_second, say=lambda n: progress.advance(task, n)
    )


async def _paid_wrong(driver: Driver) -> int:
    """How many payments the processor did not refund exactly once and in full."""
    async with httpx.AsyncClient(base_url=driver.addresses["sandbox"], timeout=60) as sandbox:
        entries = (await sandbox.get("/sandbox/book")).json()["entries"]
    refunds: dict[str, list[int]] = {}
    for entry in entries:
        refunds.setdefault(entry["reference"], []).append(entry["amount"])
    payments = [payment for order in driver.orders for payment in order["payments"]]
    return sum(
        refunds.get(payment["processor_reference"]) != [payment["captured"]] for payment in payments
    )


async def _bare(system: Any, messages: int, progress: Progress) -> float:
    """Messages per second; the services idle beside it."""
    parts = system.parts
    topics = [NamedTopic(name=name, partitions=6, config={}) for name in (bare.IN, bare.OUT)]
    parts.broker.create_topics(topics)
    database = parts.server.provide("bench")
    task = progress.add_task("the bare pipeline", total=messages)
    return await bare.measured(
        parts.bootstrap,
        database.migration_url,
        messages,
        lambda n: progress.advance(task, n),
    )


if __name__ == "__main__":
    sys.exit(main())
