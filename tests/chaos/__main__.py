"""`make chaos MINUTES=n SEED=x`: returns without pause while the system is broken in every way.

Real Kafka, PostgreSQL with fsync, every service a process of its own, a proxy between any two.
Ends with 1 when anything is lost, done twice, undecided without a party, or wrong anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.chassis import ids
from services.ops.embedded import kafka_jars
from tests.blackbox.world import Json, now, rfc3339
from tests.chaos import checker
from tests.chaos.faults import Storm, missing
from tests.chaos.wanted import KINDS, Case, bare
from tests.chaos.world import World, running

RETURNS_A_MINUTE = 210
STEP_SECONDS_MAX = 6.0
CALL_SECONDS_MAX = 10.0
AGAIN_SECONDS = 0.3
GIVE_UP_SECONDS = 180.0
DRAIN_SECONDS_MAX = 75.0
"""How long what is late is watched, so that the report can say what it was."""
BESIDES_SECONDS_MAX = 120.0
"""The start, the drain and the comparison, together; a run that takes longer is broken off."""
TIMEOUT = "assessment_timeout"
DRAIN_SECONDS_PROMISED = 30.0


def say(line: str) -> None:
    print(line, flush=True)


async def insist(act: Callable[[], Awaitable[bool]]) -> None:
    """Until it succeeds: everything here is safe to repeat. Raises AssertionError."""
    until = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            if await act():
                return
        except (httpx.TransportError, KafkaError, TimeoutError):
            pass
        assert time.monotonic() < until, "a caller gave up"
        await asyncio.sleep(AGAIN_SECONDS)


class Outside:
    """The shop, the customers, the carrier and the warehouse."""

    def __init__(self, world: World, http: httpx.AsyncClient, producer: AIOKafkaProducer) -> None:
        self.world, self.http, self.producer = world, http, producer

    async def live(self, case: Case, chance: random.Random) -> None:
        """One return from purchase to the last that anybody says of it; some things twice."""
        await self._pay(case)
        await self._say("orders", bare("OrderSnapshot", case.order), case, chance)
        request = case.request()
        if case.over_http:
            await insist(lambda: self._called("POST", "gateway", "/returns", request, 202))
        else:
            await self._say("returns.requests", bare("ReturnRequest", request), case, chance)
        for topic, value in case.told():
            await asyncio.sleep(chance.uniform(0, STEP_SECONDS_MAX))
            await self._say(topic, value, case, chance)

    async def _pay(self, case: Case) -> None:
        [payment] = case.order["payments"]
        body = {
            "reference": case.reference, "amount": payment["captured"], "currency": "USD",
            "behaviour": case.kind.behaviour,
        }  # fmt: skip
        await insist(lambda: self._called("POST", "sandbox", "/sandbox/payments", body, 201))

    async def _called(self, method: str, service: str, path: str, body: Json, ok: int) -> bool:
        url = f"{self.world.url(service)}{path}"
        answer = await self.http.request(method, url, json=body, timeout=CALL_SECONDS_MAX)
        assert answer.status_code == ok or answer.status_code >= 500, answer.text
        return answer.status_code == ok

    async def _say(self, topic: str, value: bytes, case: Case, chance: random.Random) -> None:
        async def sent() -> bool:
            await self.producer.send_and_wait(topic, value, key=case.order_id.encode())
            return True

        for _ in range(chance.choice((1, 1, 1, 2))):
            await insist(sent)


async def play(world: World, cases: Sequence[Case], *, seconds: float, seed: int) -> Storm:
    """All returns, evenly over the time, under the storm."""
    chance = random.Random(seed)
    storm = Storm(world, random.Random(seed + 1), say)
    until = time.monotonic() + seconds
    producer = AIOKafkaProducer(
        bootstrap_servers=world.bootstrap, acks="all", enable_idempotence=True
    )
    await producer.start()
    try:
        async with httpx.AsyncClient() as http, asyncio.TaskGroup() as tasks:
            tasks.create_task(storm.blow(until))
            outside = Outside(world, http, producer)
            for case in cases:
                tasks.create_task(outside.live(case, random.Random(chance.random())))
                await asyncio.sleep(seconds / len(cases))
    finally:
        await producer.stop()
    return storm


async def review(world: World, cases: Sequence[Case]) -> None:
    """A person approves what was escalated because an agent was away for more than a minute."""
    shown = await checker.seen(world)
    async with httpx.AsyncClient(base_url=world.url("gateway"), timeout=CALL_SECONDS_MAX) as http:
        for case in cases:
            view = shown.get(case.return_id, {})
            escalation = (view.get("decision") or {}).get("escalation") or {}
            if view.get("status") == "awaiting_review" and escalation.get("reason") == TIMEOUT:
                approval = {
                    "decision": "approve", "reason": "the facts are in now",
                    "reviewer": "reviewer-1", "decided_at": rfc3339(now()),
                    "case_sha256": escalation["case"]["case_sha256"],
                }  # fmt: skip
                answer = await http.post(f"/returns/{case.return_id}/review", json=approval)
                say(f"reviewed {case.return_id}, whose assessment timed out: {answer.status_code}")


async def drained(world: World, cases: Sequence[Case]) -> float:
    """Seconds until every return has come to its end. Raises AssertionError."""
    began = time.monotonic()
    while True:
        try:
            await review(world, cases)
            open_ = await checker.undrained(world, cases)
        except httpx.HTTPError as error:
            open_ = [repr(error)]
        took = time.monotonic() - began
        if not open_:
            return took
        if took > DRAIN_SECONDS_MAX:
            raise AssertionError(f"{len(open_)} not at their end: {open_[:10]}")
        await asyncio.sleep(0.5)


def report(storm: Storm, cases: Sequence[Case], drain: float) -> None:
    say("\nready again after the end of a fault, in seconds:")
    for name, took in sorted(storm.recoveries.items()):
        say(f"  {name:26} {len(took):3} times  median {median(took):5.1f}  most {max(took):5.1f}")
    counted = Counter(case.kind.ends for case in cases)
    ends = ", ".join(f"{number} {status}" for status, number in sorted(counted.items()))
    say(f"\n{len(cases)} returns: {ends}; drained {drain:.1f} s after the last fault and message")


def not_possible() -> None:
    """Say which faults this machine does not allow, and why."""
    for name, reason in missing().items():
        say(f"no {name}: {reason}")


async def main(
    minutes: float, returns: int, seed: int, home: Path, *, drain_seconds: float
) -> bool:
    """Whether all went well; `drain_seconds` bounds the rest after the last fault."""
    cases = [Case(seed, number) for number in range(returns)]
    async with running(home) as world:
        say(f"the system is ready; {returns} returns of {len(KINDS)} kinds")
        not_possible()
        storm = await play(world, cases, seconds=minutes * 60, seed=seed)
        drain = await drained(world, cases)
        report(storm, cases, drain)
        found = await checker.wrong(world, cases)
    if drain > drain_seconds:
        found.append(f"drained after {drain:.1f} s, not within {drain_seconds:.0f} s")
    for each in found:
        say(f"WRONG {each}")
    if not found:
        say(
            "0 lost, 0 double, 0 undecided: requests, stores, topics and the processor's book agree"
        )
    return not found


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
    run = main(given.minutes, returns, seed, home, drain_seconds=given.drain)
    limit = given.minutes * 60 + BESIDES_SECONDS_MAX
    try:
        if asyncio.run(asyncio.wait_for(run, limit)):
            return 0
    except TimeoutError:
        say(f"WRONG not over after {limit:.0f} s")
    say(f"what the services said is in {home / 'logs'}")
    return 1


if __name__ == "__main__":
    sys.exit(called())
