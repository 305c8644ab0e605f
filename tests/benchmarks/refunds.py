"""Refunds per second of the payment service alone: `python -m tests.benchmarks.refunds`.

From `RefundReleased` to `RefundSettled` over a durable PostgreSQL, against a processor that takes
5 ms for every answer and sends its webhooks: the release, the look for disputes, the claim, the
submission under its key, the settlement with its legs, the events. Without a broker: what payment
reads is handed to its pipeline, what it says stays in its outbox.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from contracts.payment import RefundSettled
from services.chassis import http, server, telemetry
from services.chassis.batch import Batch
from services.chassis.pipeline import Pipeline, Record
from services.chassis.runtime import Runtime, running
from services.chassis.settings import Settings
from services.ops.embedded import postgres as servers
from services.ops.embedded import processes
from services.payment import api
from services.payment.app import EFFECTS_CONCURRENT_MAX, build
from tests.benchmarks.processor import COUNT
from tests.driving import record
from tests.payments import SECRET, a_decision, a_payment, a_release, an_order, new_id
from tests.stores import Stores

PROCESSOR_SECONDS = 0.005
BATCH_MESSAGES = 100
AHEAD_REFUNDS_MAX = 400
"""So many are released and not settled at most: as a topic that is read with bounds."""
WARM_UP_REFUNDS = 200
AMOUNT = 22200
LOYALTY = {"program_id": "points", "points_earned": 200}
STALLED_SECONDS_MAX = 30.0


@dataclass(kw_only=True)
class Count:
    """Settled refunds, counted as their transactions commit."""

    settled: int = 0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, batch: Batch) -> None:
        self.settled += sum(isinstance(each.body, RefundSettled) for each in batch.work.published)
        self.moved.set()

    async def reach(self, number: int) -> None:
        """Raises TimeoutError where nothing settles any more."""
        while self.settled < number:
            self.moved.clear()
            await asyncio.wait_for(self.moved.wait(), STALLED_SECONDS_MAX)


@dataclass(frozen=True, kw_only=True)
class Figures:
    refunds: int
    seconds: float
    cpu_seconds: float
    requests: int
    """To the processor."""
    wrong: int
    """Refunds that are not settled exactly once, or differ from the balances."""

    def rows(self) -> dict[str, Any]:
        return {
            "refunds": self.refunds,
            "refunds/s": round(self.refunds / self.seconds, 1),
            "CPU-ms per refund, payment": round(1000 * self.cpu_seconds / self.refunds, 2),
            "processor requests per refund": round(self.requests / self.refunds, 2),
            "processor answers after ms": round(1000 * PROCESSOR_SECONDS, 1),
            "refunds under way at most": EFFECTS_CONCURRENT_MAX,
            "checker": "holds" if not self.wrong else f"FAILED: {self.wrong} refunds are wrong",
        }


async def measured(count: int) -> Figures:
    """Figures of `count` refunds, after a warm-up. Raises TimeoutError where it stands still."""
    with (
        tempfile.TemporaryDirectory(prefix="returns-bench-") as folder,
        servers.running(Path(folder) / "data") as store,
    ):
        url = Stores(store).clone("payment").runtime_url
        async with _served(url) as (payment, processor):
            counted = Count()
            payment.pipeline.after_commit = _also(payment.pipeline.after_commit, counted.add)
            releases = await _prepare(payment.pipeline, WARM_UP_REFUNDS + count)
            await _release(payment.pipeline, counted, releases[:WARM_UP_REFUNDS])
            requests = await _requests(processor)
            began, used = time.monotonic(), time.process_time()
            await _release(payment.pipeline, counted, releases[WARM_UP_REFUNDS:])
            seconds, cpu = time.monotonic() - began, time.process_time() - used
            return Figures(
                refunds=count,
                seconds=seconds,
                cpu_seconds=cpu,
                requests=await _requests(processor) - requests,
                wrong=await _wrong(payment.pool, len(releases)),
            )


@asynccontextmanager
async def _served(url: str) -> AsyncIterator[tuple[Runtime, str]]:
    """The service in this process with its HTTP face, and the address of the stub beside it."""
    port, processor_port = processes.free_port(), processes.free_port()
    processor = f"http://127.0.0.1:{processor_port}"
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",  # nobody
        payment_database_url=url,
        sandbox_url=processor,
        stripe_webhook_secret=SECRET,
        log_level="CRITICAL",
    )
    telemetry.configure("payment", settings)
    stop = asyncio.Event()
    async with running(build, "payment", settings) as payment:
        app = http.create_app("payment")
        api.routes(app, payment)
        serving = asyncio.create_task(server.serve_until(stop, app, host="127.0.0.1", port=port))
        with _stub(processor_port, f"http://127.0.0.1:{port}"):
            await _answers(processor)
            yield payment, processor
        stop.set()
        await serving


@contextmanager
def _stub(port: int, webhooks: str) -> Iterator[None]:
    arguments = (str(port), str(PROCESSOR_SECONDS), str(AMOUNT), webhooks, SECRET)
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.processor", *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _answers(processor: str) -> None:
    async with asyncio.timeout(STALLED_SECONDS_MAX):
        while True:
            try:
                await _requests(processor)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def _requests(processor: str) -> int:
    async with httpx.AsyncClient(base_url=processor, trust_env=False) as client:
        return int((await client.get(COUNT)).json()["requests"])


def _also(first: Callable[[Batch], None], second: Callable[[Batch], None]) -> Any:
    def both(batch: Batch) -> None:
        first(batch)
        second(batch)

    return both


async def _prepare(pipeline: Pipeline, count: int) -> list[Record]:
    """Orders with money reserved for a return each; the releases that are still to come."""
    known, releases = [], []
    for number in range(count):
        order_id, return_id = f"order-{number}", new_id()
        order = an_order(a_payment(f"pi_{number}"), order_id=order_id, loyalty=LOYALTY)
        known += [record(order), record(a_decision(return_id, order_id=order_id))]
        releases.append(record(a_release(return_id, new_id(), order_id=order_id)))
    for begin in range(0, len(known), BATCH_MESSAGES):
        await pipeline.process(known[begin : begin + BATCH_MESSAGES])
    return releases


async def _release(pipeline: Pipeline, counted: Count, releases: Sequence[Record]) -> None:
    """Hand them over as a bounded reader does; returns when all have settled."""
    already = counted.settled
    for begin in range(0, len(releases), BATCH_MESSAGES):
        await counted.reach(already + begin - AHEAD_REFUNDS_MAX)
        await pipeline.process(releases[begin : begin + BATCH_MESSAGES])
    await counted.reach(already + len(releases))


async def _wrong(pool: Any, expected: int) -> int:
    """Payments whose book does not show exactly one settled refund."""
    right = await pool.fetchval(
        "SELECT count(*) FROM payment_balances"
        " WHERE settled = $1 AND reserved + pending + unknown = 0",
        AMOUNT,
    )
    return expected - int(right)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.refunds", description=__doc__)
    parser.add_argument("--refunds", type=int, default=3000)
    chosen = parser.parse_args()
    figures = uvloop.run(measured(chosen.refunds))
    table = Table(title="refunds of the payment service alone", show_header=False)
    for name, value in figures.rows().items():
        table.add_row(name, str(value))
    Console().print(table)
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
