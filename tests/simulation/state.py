"""What a run is made of: the world, its clock, the workers, and what is looked at after steps."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from tests.simulation import plan
from tests.simulation.faults import RATES, Faults
from tests.simulation.invariants import Watch
from tests.simulation.life import Life
from tests.simulation.looking import Due, look
from tests.simulation.orders import Json
from tests.simulation.outside import Outside
from tests.simulation.people import Actor
from tests.simulation.stores import SERVICES, Store
from tests.simulation.trace import Trace
from tests.simulation.workers import Door, Worker
from tests.simulation.world import Bus, Clock, Group


@dataclass(kw_only=True)
class Environment:
    """What all seeds of a process share."""

    stores: dict[str, Store]
    outside: Outside
    door: Door
    policy: Path
    logged: list[str] = field(default_factory=list)
    """Every line that a service has logged in the present run."""
    calm: dict[str, list[Json]] = field(default_factory=dict)
    """Kind of return -> how one (or its two) ends where nothing goes wrong."""


@dataclass(kw_only=True)
class State:
    """One run. Whoever does something in it is built on this."""

    environment: Environment
    seed: int
    only: tuple[int, ...] | None = None
    kind: str | None = None
    faulty: bool = True
    allowed: Collection[str] = tuple(RATES)
    clock: Clock = field(default_factory=Clock)
    trace: Trace = field(default_factory=Trace)
    step: int = 0

    def __post_init__(self) -> None:
        self.chance = Random(f"{self.seed}:schedule")
        self.faults = Faults(self.seed, self.allowed if self.faulty else ())
        self.bus = Bus()
        self.planned = plan.drawn(self.seed, self.only, self.kind)
        self.running: Worker | None = None
        self.away_until: dict[str, datetime] = {}
        self.due: dict[str, Due] = {name: Due() for name in SERVICES}
        self.workers: list[Worker] = []
        self.healed_at: datetime | None = None
        self._quiet = False
        self.groups: dict[str, Group] = {}
        self.lives: list[Life] = []
        self.actors: list[Actor] = []
        self.watch: Watch

    def _start(self, worker: Worker) -> None:
        worker.start()
        self._share(worker.service)
        if worker.service == "gateway":
            self.environment.door.open(worker)

    def _share(self, service: str, turn: int = 0) -> None:
        alive = [each.number for each in self.workers if each.service == service and each.alive]
        self.groups[service].rebalance(alive, turn=turn)

    def _kill(self, worker: Worker) -> None:
        worker.die()
        self._share(worker.service)

    def _heal(self) -> None:
        self._note("world", "everything heals")
        self.faults.on = False
        self.healed_at = self.clock.at
        self.away_until.clear()
        for worker in self.workers:
            worker.clock.skew = timedelta()
            if not worker.alive:
                self._start(worker)

    def _away(self, what: str) -> bool:
        until = self.away_until.get(what)
        return until is not None and self.clock.at < until

    def _somebody(self, service: str) -> Worker | None:
        found = [w for w in self.workers if w.service == service and w.alive]
        return self.chance.choice(found) if found and not self._away(service) else None

    async def _look(self, service: str) -> None:
        checker = self.environment.stores[service].checker
        self.due[service], rows = await look(checker, service)
        await self.watch.after(service, self.due[service], rows)

    def _note(self, who: str, what: str) -> None:
        self.trace.add(self.step, self.clock.at, who, what)
