"""Runs seeds: in this process one after the other, or shared out among several processes."""

from __future__ import annotations

import asyncio
import gc
import io
import multiprocessing
import queue
import tempfile
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop

from services.ops.embedded.postgres import Server
from tests.simulation import instead, shrink, stores
from tests.simulation.orders import Json
from tests.simulation.outside import Outside
from tests.simulation.run import Result, Simulation
from tests.simulation.state import Environment
from tests.simulation.wanted import Wanted
from tests.simulation.workers import Door
from tests.stores import Stores, Versions

EXCUSED = "paid another way, for a refund was never taken"
"""Told at the end of a run: how many seeds R5 is held against less strictly (instead.py)."""
COLLECT_EVERY = (20_000, 20, 50)
"""Allocations, and collections: a seed leaves few cycles behind, and looking for them is dear."""
WHOLE_EVERY = 20
"""Of so many seeds one is played as a whole without faults, too."""


class Lines(io.TextIOBase):
    """Takes what is logged, so that it can be searched for people."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


@asynccontextmanager
async def environment(made: Stores, folder: Path) -> AsyncIterator[Environment]:
    """What all seeds of a process share, on a server that is running."""
    lines, factory = Lines(), structlog.get_config()["logger_factory"]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))  # type: ignore[arg-type]
    try:
        async with stores.opened(made) as found:
            yield Environment(
                stores=found,
                outside=Outside(),
                door=Door(),
                policy=folder / "policy",
                logged=lines.written,
            )
    finally:
        structlog.configure(logger_factory=factory)


Look = Callable[[Environment, Wanted], Awaitable["Told"]]


@dataclass(frozen=True)
class Told:
    """What was played in the end, and what came of it."""

    wanted: Wanted
    result: Result


async def played(shared: Environment, wanted: Wanted, *, compare: bool = True) -> Result:
    """A seed with its faults, compared with how the same returns end without any.

    Without faults nobody hesitates and the returns have nothing to do with each other, so what a
    return comes to depends on its kind alone: one is played per kind, and all of a seed together
    every WHOLE_EVERY seeds, so that it is seen that this is so.
    """
    what: dict[str, Any] = {"seed": wanted.seed, "only": wanted.only, "kind": wanted.kind}
    simulation = Simulation(environment=shared, allowed=wanted.allowed, **what)
    found = await simulation.run()
    if found.violation is not None or not compare:
        return found
    calm: dict[int, list[Json]] = {}
    if wanted.seed % WHOLE_EVERY == 0:
        whole = await Simulation(environment=shared, faulty=False, **what).run()
        if whole.violation is not None:
            return _without_faults(whole)
        calm = whole.ends
    for each in simulation.planned:
        if each.kind not in shared.calm:
            one: dict[str, Any] = {"seed": 0, "only": (0,), "kind": each.kind}
            alone = await Simulation(environment=shared, faulty=False, **one).run()
            if alone.violation is not None:
                return _without_faults(alone)
            shared.calm[each.kind] = alone.ends[0]
        calm.setdefault(each.index, shared.calm[each.kind])
    found.violation = difference(found, calm)
    if any(each["instead"] for ends in found.ends.values() for each in ends):
        found.reached.add(EXCUSED)
    return found


def _without_faults(calm: Result) -> Result:
    calm.violation = f"without any fault: {calm.violation}"
    return calm


async def told(shared: Environment, wanted: Wanted) -> Told:
    """A seed's result; a failing one as small as it could be made."""
    found = await played(shared, wanted)
    if found.violation is None:
        return Told(wanted, found)

    async def fails(smaller: Wanted) -> str | None:
        return (await played(shared, smaller)).violation

    small = await shrink.smallest(wanted, found.violation, fails)
    again = await played(shared, small)
    return Told(small, again) if again.violation is not None else Told(wanted, found)


async def only_faulted(shared: Environment, wanted: Wanted) -> Told:
    """A seed with its faults, neither compared nor made smaller."""
    return Told(wanted, await played(shared, wanted, compare=False))


def difference(found: Result, calm: dict[int, list[Json]]) -> str | None:
    """R5: where no race decides, faults change nothing about the end of a planned return."""
    for index, end in calm.items():
        raced = end[0]["raced"]
        if end[0]["determined"] and not instead.alike(found.ends[index], end, sort=raced):
            return f"R5: return {index} ended as {found.ends[index]}, without faults as {end}"
    return None


@contextmanager
def server() -> Iterator[tuple[Server, Path]]:
    with (
        tempfile.TemporaryDirectory(prefix="simulation-") as folder,
        stores.cluster(Path(folder)) as started,
    ):
        yield started, Path(folder)


@contextmanager
def prepared(port: int | None = None) -> Iterator[tuple[Stores, Path]]:
    """Migrated stores to make copies of: new ones, or those of the server at `port`."""
    if port is None:
        with server() as (started, folder):
            made = Stores(started)
            for service in stores.SERVICES:  # once for all, before there are several processes
                made.drop(made.clone(service))
            yield made, folder
    else:
        names: dict[tuple[str, Versions], str] = {
            (service, None): f"template_{service}_{number}"
            for number, service in enumerate(stores.SERVICES)
        }
        with tempfile.TemporaryDirectory(prefix="simulation-") as found:
            yield Stores(Server(port=port), templates=names), Path(found)


def _work(made: Stores, folder: Path, look: Look, jobs: Sequence[Wanted], results: Any) -> None:
    """A process: its own stores on the common server."""

    async def all_of_them() -> None:
        async with environment(made, folder) as shared:
            for each in jobs:
                results.put(await look(shared, each))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_of_them())


def run(
    seeds: Collection[Wanted], look: Look, *, processes: int, port: int | None = None
) -> Iterator[Told]:
    """Results as they come. Raises RuntimeError when a process ends without them."""
    wanted = list(seeds)
    context = multiprocessing.get_context("fork")
    with prepared(port) as (made, folder):
        results = context.Queue()
        workers = [
            context.Process(
                target=_work,
                args=(made, folder / str(number), look, wanted[number::processes], results),
                daemon=True,
            )
            for number in range(min(processes, len(wanted)))
        ]
        gc.freeze()  # what is there by now stays: nobody has to look through it again
        gc.set_threshold(*COLLECT_EVERY)
        for worker in workers:
            worker.start()
        try:
            for _ in wanted:
                yield _next(results, workers)
        finally:
            for worker in workers:
                worker.kill()
                worker.join()


def _next(results: Any, workers: Sequence[Any]) -> Told:
    while True:
        with suppress(queue.Empty):
            found: Told = results.get(timeout=10)
            return found
        if not any(worker.is_alive() for worker in workers):
            raise RuntimeError("a simulation process ended early")
