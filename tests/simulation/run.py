"""One seed from beginning to end: anything goes, then everything heals and has to converge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from contracts import envelope
from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.lifecycle import ReturnStatusChanged
from services.chassis import checkpoint
from services.chassis import faults as chassis_faults
from services.chassis.errors import Transient
from services.chassis.records import Record
from services.chassis.settings import Settings
from tests.simulation import invariants, plan, policies
from tests.simulation.ending import Ending
from tests.simulation.faults import RATES, Faults
from tests.simulation.invariants import Violated
from tests.simulation.orders import Json
from tests.simulation.outside import SECRET, Outside
from tests.simulation.people import Actor, Call, Do
from tests.simulation.stores import SERVICES, Store
from tests.simulation.trace import Trace
from tests.simulation.workers import Door, Killed, Worker, seed_chance
from tests.simulation.world import Bus, Clock, Group, Producer, SkewedClock

STEPS_MAX = 6000
SAFETY_STEPS = (60, 400)
VIRTUAL_DAYS_MAX = 120
TRIES_MAX = 300
GATEWAY_SHARE = 0.15
"""How often the gateway may take its turn while others have something to do."""
RETRY = timedelta(seconds=2)
LIVENESS_SECONDS_MAX = 900
"""In which everything that is no person's turn must be done after the last fault."""

SKEW_MAX = 600
"""Seconds between the clocks of a service's machines and the world's."""
POISON: tuple[tuple[bytes, tuple[tuple[str, bytes], ...]], ...] = (
    (b"{", (("ce_id", b"1"), ("ce_type", b"returns.ReturnRequest.v1"))),
    (b"\xff\xfe\x00", ()),
    (b"[" * 5000, (("content-type", b"application/json"),)),
    (b"{}", (("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/x"),
             ("ce_type", b"returns.Nonsense.v99"))),
)  # fmt: skip
"""(value, headers)"""
Action = tuple[str, Callable[[], Awaitable[None]]]


@dataclass(kw_only=True)
class Environment:
    """What all seeds of a process share."""

    stores: dict[str, Store]
    outside: Outside
    door: Door
    policy: Path
    logged: list[str] = field(default_factory=list)
    """Every line that a service has logged in the present run."""
    calm: dict[str, Json] = field(default_factory=dict)
    """Kind of return -> how one ends where nothing goes wrong."""


@dataclass(kw_only=True)
class Due:
    """What a service's store holds for later."""

    outbox: int = 0
    effects: int = 0
    attempts: int = 0
    parked: int = 0
    effect: datetime | None = None
    deadline: datetime | None = None


DUE = """
SELECT (SELECT count(*) FROM outbox) AS outbox, e.effects, e.attempts, e.effect, p.parked,
    least((SELECT min(due_at) FROM deadlines), p.until) AS deadline
FROM (SELECT count(*) AS effects, coalesce(max(attempts), 0) AS attempts, min(due_at) AS effect
      FROM effects) AS e, (SELECT count(*) AS parked, min(until) AS until FROM parked) AS p
"""


@dataclass(kw_only=True)
class Result:
    seed: int
    trace: Trace
    steps: int
    fired: dict[str, int]
    reached: set[str]
    ends: dict[int, Json]
    """Planned return -> how it ended, by every store and the processor's book."""
    violation: str | None = None


@dataclass(kw_only=True)
class Simulation:
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

    # Setting up.

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
        self.lives = [
            plan.Life(
                plan=each,
                chance=Random(f"{self.seed}:people:{each.index}"),
                now=self.clock.now,
                outside=self.environment.outside,
                prompt=not self.faulty,
                publish_policy=lambda: policies.publish_the_next(self.environment.policy),
            )
            for each in self.planned
        ]
        self.actors: list[Actor] = [actor for life in self.lives for actor in life.actors()]
        self.watch = invariants.Watch(self)
        self.bus.listeners = [self._hear]
        for worker in self.workers:
            self._start(worker)

    def _start(self, worker: Worker) -> None:
        worker.start()
        self._share(worker.service)
        if worker.service == "gateway":
            self.environment.door.open(worker)

    def _share(self, service: str, turn: int = 0) -> None:
        alive = [each.number for each in self.workers if each.service == service and each.alive]
        self.groups[service].rebalance(alive, turn=turn)

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
                self._note("", f"  return {life.plan.index}: {_told(body)}")

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

    def _heal(self) -> None:
        self._note("world", "everything heals")
        self.faults.on = False
        self.healed_at = self.clock.at
        self.away_until.clear()
        for worker in self.workers:
            worker.clock.skew = timedelta()
            if not worker.alive:
                self._start(worker)

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

    def _away(self, what: str) -> bool:
        until = self.away_until.get(what)
        return until is not None and self.clock.at < until

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
            f"return {life.plan.index} is {life.seen.status}, waiting on {life.seen.party}"
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

    # Steps.

    async def _guarded(
        self, worker: Worker, doing: str, work: Awaitable[Any], *, look: bool = True
    ) -> bool:
        """Let a worker work; False when it died or has to try again.

        `look`: its store may have changed; otherwise only where something went wrong.
        """
        self.running = worker
        told = ""
        try:
            found = await work
            told = "" if found is None else str(found)
            return True
        except Killed as death:
            told, look = f"killed {death}", True
            self._kill(worker)
            return False
        except (OSError, KafkaError, asyncpg.PostgresError, Transient) as error:
            told, look = f"failed: {chassis_faults.described(error)}", True
            return False
        finally:
            self.running = None
            self._note(worker.name, f"{doing} {told}")
            if look:
                await self._look(worker.service)

    async def _look(self, service: str) -> None:
        row = await self.environment.stores[service].checker.fetchrow(DUE)
        self.due[service] = Due(**dict(row))
        await self.watch.after(service, self.due[service])

    def _kill(self, worker: Worker) -> None:
        worker.die()
        self._share(worker.service)

    async def _restart(self, worker: Worker) -> None:
        self._start(worker)
        self._note(worker.name, "starts")

    async def _poll(self, worker: Worker) -> None:
        places = worker.group.behind(worker.number)
        if self.faulty:
            places = self.chance.sample(places, self.chance.randint(1, len(places)))
        for place in places:
            limit = self.chance.choice((1, 2, 50, 50)) if self.faulty else 200
            worker.take(worker.group.poll(place, limit))
        if self.faults.strikes("pause", "poll"):
            self._note(worker.name, f"holds {len(worker.held)} records")
            return
        await self._process(worker)

    async def _process(self, worker: Worker) -> None:
        records = list(worker.held)
        said = ", ".join(_short(each) for each in records)
        if await self._guarded(worker, f"handles [{said}]", worker.process()):
            if not self.faults.strikes("uncommitted"):
                worker.commit_offsets()
        elif worker.alive:
            worker.group.rewind(records, worker.number)
            worker.held.clear()

    async def _commit(self, worker: Worker) -> None:
        worker.commit_offsets()

    async def _relay(self, worker: Worker) -> None:
        await self.watch.about_to_relay(worker.service)
        producer = Producer(self.bus, lambda place: self.faults.strikes("partition_away"))
        if await self._guarded(worker, "publishes", worker.publish(producer), look=False):
            self.due[worker.service].outbox = 0
        await self.watch.relayed(worker.service)

    async def _claim(self, worker: Worker) -> None:
        limit = self.chance.choice((1, 3, 20)) if self.faulty else 20
        if not await self._guarded(worker, "claims", worker.claim(limit), look=False):
            return
        if self.faults.strikes("pause", "claim"):
            await self._look(worker.service)
            return
        while worker.claimed:
            await self._carry_out(worker)
            if self.faults.strikes("pause", "carry out"):
                return
        if worker.outcomes:
            await self._settle(worker)

    async def _carry_out(self, worker: Worker) -> None:
        await self._guarded(worker, "carries out", worker.carry_out(), look=False)

    async def _settle(self, worker: Worker) -> None:
        if self.faults.strikes("pause", "settle"):
            return
        outcomes = list(worker.outcomes)
        if not await self._guarded(worker, "records outcomes", worker.settle()) and worker.alive:
            worker.outcomes.extend(outcomes)

    async def _tick(self, worker: Worker) -> None:
        await self._guarded(worker, "ticks", worker.tick())

    async def _outside(self) -> None:
        outside, now = self.environment.outside, self.clock.at.timestamp()
        for what in outside.pass_time(now):
            self._note("outside", what)
        for row in outside.due_events(now)[:1]:
            await self._webhook(row)

    async def _webhook(self, row: tuple[int, str, int, str]) -> None:
        from services.sandbox.webhooks import backoff, signature

        seq, _, tries, text = row
        pages = self.environment.outside.book.pages
        worker = self._somebody("payment")
        answer = "nobody"
        if self.faults.strikes("webhook", "lost"):
            answer = "lost"
        elif worker is not None:
            answer = await self._send_event(worker, text, signature)
        arrived = answer in ("stored", "not_for_us")
        if arrived and not self.faults.strikes("webhook", "answer lost"):
            pages.events_arrived([seq])
        else:
            pages.events_again([(seq, self.clock.at.timestamp() + backoff(tries))])

    async def _send_event(self, worker: Worker, text: str, signature: Any) -> str:
        at, secret, answer = int(self.clock.at.timestamp()), SECRET, []
        if self.faults.strikes("webhook", "forged"):
            secret = "whsec_of_somebody_else"
        elif self.faults.strikes("webhook", "old"):
            at -= 3600

        async def deliver() -> str:
            answer.append(await worker.webhook(text.encode(), signature(text.encode(), secret, at)))
            return answer[0]

        await self._guarded(worker, "gets an event:", deliver())
        return answer[0] if answer else "failed"

    def _somebody(self, service: str) -> Worker | None:
        found = [w for w in self.workers if w.service == service and w.alive]
        return self.chance.choice(found) if found and not self._away(service) else None

    async def _late_call(self) -> None:
        self._note("outside", f"late: {await self.environment.outside.deliver_late()}")

    async def _act(self, actor: Actor) -> None:
        step = actor.step
        if isinstance(step, Do):
            step.act()
            self._note(actor.name, step.what)
            actor.go_on()
        elif isinstance(step, Call):
            await self._call(actor, step)
        else:
            actor.go_on()

    async def _call(self, actor: Actor, call: Call) -> None:
        """A call to the gateway. What is refused for now is asked again, until it is pointless."""
        if call.unless is not None and call.unless():
            self._note(actor.name, f"lets {call.path} be")
            actor.go_on()
            return
        worker, status = self._somebody("gateway"), 503
        if worker is not None:
            self.environment.door.open(worker)
            response: httpx.Response = await self.environment.door.call(
                call.method, call.path, call.body, key=call.key
            )
            status = response.status_code
            if status in (400, 415, 422, 500):
                raise Violated(f"I4: {call.path} was answered with {response.text}")
            await self._look("gateway")
        if status < 300:
            await self.watch.accepted(call, actor.return_id)
        lost = self.faults.strikes("answer_lost")
        self._note(actor.name, f"{call.path} {status}{' lost' if lost else ''}")
        if status < 300 and not lost:
            actor.go_on()
            return
        actor.tries += 1
        if actor.tries > TRIES_MAX:
            raise Violated(f"I17: {actor.name} asks {call.path} in vain")
        actor.not_before = self.clock.at + RETRY * min(actor.tries, 60)

    # Misfortune between two steps.

    async def _misfortune(self) -> None:
        chance = self.faults.chance
        if self.faults.strikes("kill_idle"):
            worker = chance.choice(self.workers)
            if worker.alive:
                self._note(worker.name, "killed between two steps")
                self._kill(worker)
        if self.faults.strikes("rebalance"):
            self._share(chance.choice(SERVICES), turn=chance.randint(0, 1))
        if self.faults.strikes("rewind"):
            group = self.groups[chance.choice(SERVICES)]
            place = chance.choice(group.places)
            group.position[place] = chance.randint(0, group.position[place])
            self._note(group.service, f"reads {place} again from {group.position[place]}")
        if self.faults.strikes("duplicate"):
            records = self.bus.records()
            if records:
                twin = chance.choice(records)
                self._note("bus", f"repeats {_short(twin)}")
                if (twin.topic, twin.value) in self.watch.poisoned:
                    self.watch.poisoned.append((twin.topic, twin.value))
                self.bus.append(
                    twin.topic, key=twin.key, headers=twin.headers, value=twin.value or b""
                )
        for what, name in (("store_away", chance.choice(SERVICES)), ("broker_away", "broker")):
            if self.faults.strikes(what):
                self.away_until[name] = self.clock.at + timedelta(seconds=chance.uniform(1, 40))
                self._note(name, "is away")
        if self.faults.strikes("time"):
            self.clock.at += timedelta(seconds=chance.choice((0.5, 3, 20)))
        if self.faults.strikes("poison"):
            self._poison(chance)

    def _poison(self, chance: Random) -> None:
        """A record that nobody can read; it names no return."""
        place = chance.choice(sorted(self.bus.log))
        value, headers = chance.choice(POISON)
        self._note("bus", f"poison on {place}")
        self.watch.poisoned.append((place[0], value))
        self.bus.append(
            place[0], key=chance.choice((None, b"\xff\x00")), headers=headers, value=value
        )

    def _at_checkpoint(self, name: str) -> None:
        if self.running is None:
            return
        if self.faults.strikes("kill", f"{self.running.service} {name}"):
            raise Killed(name)
        if name in ("before_commit", "after_commit") and self.faults.strikes("reset", name):
            raise ConnectionResetError(f"the store is gone {name}")

    async def _trouble(self, request: httpx.Request) -> str | None:
        return self.faults.call_trouble(request.url.path if request.method == "POST" else "")

    def _note(self, who: str, what: str) -> None:
        self.trace.add(self.step, self.clock.at, who, what)

    async def _end(self) -> None:
        self.ending = Ending(self.watch)
        await self.ending.read()
        await self.ending.check()


def _told(body: Message) -> str:
    """What a message says, for the trace."""
    name = type(body).__name__
    if isinstance(body, ReturnStatusChanged):
        return f"{name} {body.number} {body.status} waits on {body.waiting_on} until {body.until}"
    if isinstance(body, ReturnDecisionMade):
        reason = body.escalation.reason if body.escalation is not None else ""
        total = body.refund.total if body.refund is not None else ""
        return f"{name} {body.sequence} {body.decision} {reason} {total} by {body.decided_by.kind}"
    shown = {
        field: getattr(body, field)
        for field in ("refund_id", "amount", "method", "state", "failure_code", "outcome", "grade")
        if getattr(body, field, None) is not None
    }
    return " ".join([name, *(f"{field}={value}" for field, value in shown.items())])


def _short(record: Record) -> str:
    names = dict(record.headers)
    kind = names.get("ce_type", b"?").decode(errors="replace").removeprefix("returns.")
    return f"{kind}@{record.topic}:{record.partition}:{record.offset}"
