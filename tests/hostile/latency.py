"""`python -m tests.hostile.latency`: what a record feels of its neighbours; a measurement.

Batches of good records through each service's pipeline on a real store, then the same batches with
a share of hostile ones among them: the time from handing a batch over to its commit, which is what
its good records wait.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from services.chassis.records import Record
from services.ops.embedded import postgres
from tests.driving import Drive, SteppedClock
from tests.hostile.corpus import cases
from tests.hostile.services import as_record, neighbour, reads
from tests.stores import Stores
from tests.upgrade.record import drive

ROUNDS = 60
GOOD = 50
SHARES = (0, 5, 20)
"""Hostile records among the good ones of a batch."""


async def measured(driven: Drive, hostile: list[Record], share: int) -> tuple[float, float]:
    """Median and 99th percentile of a batch, in milliseconds."""
    taken: list[float] = []
    for number in range(ROUNDS):
        first = number * share
        some = [hostile[(first + each) % len(hostile)] for each in range(share)]
        batch = [*[neighbour() for _ in range(GOOD)], *some]
        started = time.perf_counter()
        await driven.send(*batch)
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


async def main() -> None:
    home = Path(tempfile.mkdtemp())
    with postgres.running(home / "postgres", durable=True) as server:
        stores = Stores(server)
        async with AsyncExitStack() as stack:
            for service in ("commerce", "fulfillment", "payment", "gateway"):
                url = stores.clone(service).runtime_url
                driven = await drive(stack, service, url, SteppedClock())
                hostile = [
                    as_record(case, number)
                    for number, case in enumerate(cases("bus"))
                    if reads(service, case) and case.expected.how == ("quarantined",)
                ]
                await measured(driven, hostile, 0)
                for share in SHARES:
                    median, worst = await measured(driven, hostile, share)
                    print(
                        f"{service:12} {GOOD} good + {share:2} hostile: "
                        f"median {median:6.1f} ms, p99 {worst:6.1f} ms"
                    )


if __name__ == "__main__":
    asyncio.run(main())
