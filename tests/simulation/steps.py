"""The steps of a run: what workers, people and the outside world do when it is their turn."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from services.chassis import faults as chassis_faults
from services.chassis.errors import Transient
from services.sandbox.webhooks import backoff, signature
from tests.simulation.invariants import Violated
from tests.simulation.misfortune import Misfortune
from tests.simulation.outside import SECRET
from tests.simulation.people import Actor, Call, Do
from tests.simulation.trace import short
from tests.simulation.workers import Killed, Worker
from tests.simulation.world import Producer

TRIES_MAX = 300
RETRY = timedelta(seconds=2)


class Steps(Misfortune):
    """Each step is over when it returns; the store that it may have changed was looked at."""

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
        said = ", ".join(short(each) for each in records)
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
            self.watch.accepted(call, actor.return_id)
        lost = self.faults.strikes("answer_lost")
        self._note(actor.name, f"{call.path} {status}{' lost' if lost else ''}")
        if status < 300 and not lost:
            actor.go_on()
            return
        actor.tries += 1
        if actor.tries > TRIES_MAX:
            raise Violated(f"I17: {actor.name} asks {call.path} in vain")
        actor.not_before = self.clock.at + RETRY * min(actor.tries, 60)
