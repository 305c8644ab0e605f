"""One seed from beginning to end: anything goes, then everything heals and has to converge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from contracts import envelope
from services.chassis import checkpoint
from services.chassis.records import Record
from services.chassis.settings import Settings
from tests.simulation import policies
from tests.simulation.ending import Ending
from tests.simulation.invariants import Violated, Watch
from tests.simulation.life import Life
from tests.simulation.orders import Json
from tests.simulation.outside import SECRET
from tests.simulation.steps import Steps
from tests.simulation.stores import SERVICES
from tests.simulation.trace import Trace, told
from tests.simulation.workers import Worker, seed_chance
from tests.simulation.world import Clock, Group, SkewedClock

STEPS_MAX = 6000
SAFETY_STEPS = (60, 400)
VIRTUAL_DAYS_MAX = 120
GATEWAY_SHARE = 0.15
"""How often the gateway may take its turn while others have something to do."""
SKEW_MAX = 600
"""Seconds between the clocks of a service's machines and the world's."""
Action = tuple[str, Callable[[], Awaitable[None]]]


@dataclass(kw_only=True)
class Result:
    seed: int
    trace: Trace
    steps: int
    fired: dict[str, int]
    reached: set[str]
    ends: dict[int, list[Json]]
    """Planned order -> how its returns ended, by every store and the processor's book."""
    violation: str | None = None


class Simulation(Steps):
    """Chooses, by the seed, what happens next, until nothing is left to do."""

    async def run(self) -> Result:
        outside = self.environment.outside
        seed_chance(Random(f"{self.seed}:ids"))
        outside.reset(self.clock, Random(f"{self.seed}:outside"), self._trouble)
        checkpoint.reached = self._at_checkpoint
        violation = None
        with outside.connected():
            try:
                await self._begin()
                await self._play()
                await self._end()
            except (Violated, AssertionError) as error:
                violation = str(error) or repr(error)
                self._note("VIOLATED", violation)
            finally:
                checkpoint.reached = lambda name: None
        return Result(
            seed=self.seed,
            trace=self.trace,
            steps=self.step,
            fired=dict(self.faults.fired),
            reached=self.watch.reached,
            ends={} if violation else self.ending.ends(),
            violation=violation,
        )

    async def _begin(self) -> None:
        self.environment.logged.clear()
        for store in self.environment.stores.values():
            await store.empty()
        policies.begin(self.environment.policy)
        settings = Settings(
            _env_file=None,
            kafka_bootstrap_servers="127.0.0.1:1",
            sandbox_url="http://sandbox",
            stripe_webhook_secret=SECRET,
            policy_path=str(self.environment.policy),
        )
        self.groups = {name: Group(name, self.bus) for name in SERVICES}
        for name in SERVICES:
            skew = timedelta()
            if self.faults.strikes("skew"):
                skew = timedelta(seconds=self.faults.chance.uniform(-SKEW_MAX, SKEW_MAX))
            for number in range(2 if self.faulty and self.chance.random() < 0.3 else 1):
                self.workers.append(
                    Worker(
                        service=name,
                        number=number,
                        store=self.environment.stores[name],
                        group=self.groups[name],
                        clock=SkewedClock(self.clock, skew),
                        settings=settings,
                    )
                )
        for each in self.planned:
            life = Life(
                plan=each,
                chance=Random(f"{self.seed}:people:{each.name}"),
                now=self.clock.now,
                outside=self.environment.outside,
                prompt=not self.faulty,
                publish_policy=lambda: policies.publish_the_next(self.environment.policy),
                first=self.lives[-1] if each.twin == "b" else None,
            )
            self.lives.append(life)
        self.actors = [actor for life in self.lives for actor in life.actors()]
        self.watch = Watch(self)
        self.bus.listeners = [self._hear]
        for worker in self.workers:
            self._start(worker)

    def _hear(self, record: Record) -> None:
        found, body = None, None
        with suppress(envelope.Unreadable):  # poison: nobody can read it
            found, body = envelope.parse(
                record.topic, record.headers, record.value or b"", self.clock.at
            )
        self.watch.on_record(record, found, body)
        return_id = getattr(body, "return_id", None)
        for life in self.lives:
            if body is not None and life.seen.return_id == return_id:
                life.seen.hear(body)
                self._note("", f"  return {life.plan.name}: {told(body)}")

    # The loop.

    async def _play(self) -> None:
        safety = self.chance.randint(*SAFETY_STEPS) if self.faulty else 0
        if not self.faulty:
            self._heal()
        while True:
            self.step += 1
            if self.step > STEPS_MAX:
                raise Violated(f"I17: no rest after {STEPS_MAX} steps: {self._unfinished()}")
            if self.healed_at is None and self.step > safety:
                self._heal()
            self._quiet = False
            actions = self._enabled()
            if not actions:
                self._quiet = True
                actions = self._enabled()
            if actions:
                _, act = self.chance.choice(actions) if self.faulty else actions[0]
                await act()
            elif self._converged():
                return
            else:
                self._pass_time()
            if self.faults.on:
                await self._misfortune()

    def _enabled(self) -> list[Action]:
        found: list[Action] = []
        for worker in self.workers:
            if worker.alive and not self._away(worker.service):
                found.extend(self._of_worker(worker))
            elif not worker.alive:
                found.append((f"{worker.name} starts", lambda w=worker: self._restart(w)))  # type: ignore[misc]
        for actor in self.actors:
            if actor.ready(self.clock.at):
                found.append((actor.name, lambda a=actor: self._act(a)))  # type: ignore[misc]
        outside = self.environment.outside
        due = outside.next_due()
        if due is not None and due <= self.clock.at.timestamp():
            found.append(("outside", self._outside))
        if outside.later:
            found.append(("late call", self._late_call))
        return found

    def _of_worker(self, worker: Worker) -> list[Action]:
        found: list[Action] = []
        due, now = self.due[worker.service], worker.clock.now()
        if worker.held:
            found.append(("process", lambda: self._process(worker)))
        elif self._may_poll(worker):
            found.append(("poll", lambda: self._poll(worker)))
        if due.outbox and not self._away("broker") and self._leads(worker):
            found.append(("relay", lambda: self._relay(worker)))
        if worker.claimed:
            found.append(("carry out", lambda: self._carry_out(worker)))
        elif worker.outcomes:
            found.append(("settle", lambda: self._settle(worker)))
        elif due.effect is not None and due.effect <= now:
            found.append(("claim", lambda: self._claim(worker)))
        if due.deadline is not None and due.deadline <= now:
            found.append(("tick", lambda: self._tick(worker)))
        if worker.uncommitted and self.faulty:
            found.append(("commit", lambda: self._commit(worker)))
        return found

    def _may_poll(self, worker: Worker) -> bool:
        """The gateway follows at a distance: it gets its records in larger portions."""
        if self._away("broker") or not worker.group.behind(worker.number):
            return False
        if worker.service != "gateway" or self._quiet:
            return True
        return self.faulty and self.chance.random() < GATEWAY_SHARE

    def _leads(self, worker: Worker) -> bool:
        """One relay per store holds the lock."""
        alive = [each for each in self.workers if each.service == worker.service and each.alive]
        return alive[0] is worker

    # What time brings.

    def _pass_time(self) -> None:
        now = self.clock.at
        dues = [each for each in self.away_until.values() if each > now]
        dues += [wake for actor in self.actors if (wake := actor.wakes_at(now)) is not None]
        outside = self.environment.outside.next_due()
        if outside is not None:
            dues.append(datetime.fromtimestamp(outside, UTC) + timedelta(microseconds=1))
        for worker in self.workers:
            due = self.due[worker.service]
            for each in (due.effect, due.deadline):
                if each is not None:
                    dues.append(each - worker.clock.skew)
        dues = [each for each in dues if each > now]
        if not dues and self.faults.on:
            self._heal()
            return
        if not dues:
            raise Violated(f"I17: nothing will ever happen again, but {self._unfinished()}")
        self.clock.at = min(dues)
        if self.clock.at - Clock().at > timedelta(days=VIRTUAL_DAYS_MAX):
            raise Violated(f"I17: after {VIRTUAL_DAYS_MAX} days {self._unfinished()}")

    def _converged(self) -> bool:
        return not self.faults.on and not self._unfinished()

    def _unfinished(self) -> list[str]:
        """What is not over yet, in words."""
        found = [
            f"return {life.plan.name} is {life.seen.status}, waiting on {life.seen.party}"
            for life in self.lives
            if not life.seen.final
        ]
        found += [
            f"{actor.name} has not finished"
            for actor in self.actors
            if not actor.done and actor.name.startswith(("customer", "bank"))
        ]
        if self.environment.outside.next_due() is not None:
            found.append("the processor has something in mind")
        for service, due in self.due.items():
            if due.effect is not None or due.outbox:
                found.append(f"{service} has {due.effects} effects, {due.outbox} to publish")
        return found

    async def _end(self) -> None:
        self.ending = Ending(self.watch)
        await self.ending.read()
        await self.ending.check()
