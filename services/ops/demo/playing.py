"""Plays a scenario against a running system, listens to what it says, and checks the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from contracts.base import Message
from services.ops import running
from services.ops.demo import stores, timeline, verify
from services.ops.demo.bus import Heard, Listener
from services.ops.demo.orders import Json
from services.ops.demo.outsiders import Outsiders
from services.ops.demo.scenarios import Scenario
from services.ops.demo.timeline import Line
from services.ops.demo.verify import Check, Evidence

SETTLE_SECONDS_MAX = 60.0
POLL_SECONDS = 0.1

Tell = Callable[[Heard, Line], None]


@dataclass(kw_only=True)
class Story:
    """What was heard about one return."""

    return_id: str
    tell: Tell
    messages: list[Message] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)

    async def hear(self, heard: Heard) -> None:
        if getattr(heard.message, "return_id", None) != self.return_id:
            return
        self.messages.append(heard.message)
        for line in timeline.lines(heard.message):
            self.steps |= {line.step} - {0}
            self.tell(heard, line)


async def play(scenario: Scenario, addresses: Json, *, tell: Tell) -> list[Check]:
    """All checks at the end of a scenario; `addresses` as `returns up --json` prints them.

    Calls show the key of RETURNS_API_KEY, where one is set. Raises Refused when the system refuses
    a call or never gets to the end.
    """
    headers = running.key_headers()
    async with httpx.AsyncClient(headers=headers) as http, Listener(addresses["kafka"]) as listener:
        people = Outsiders(gateway=addresses["gateway"], sandbox=addresses["sandbox"], http=http)
        order = scenario.order(people.clock.now())
        request = scenario.request(order, people.clock.now())
        story = Story(return_id=request["return_id"], tell=tell)
        listening = asyncio.create_task(listener.listen(story.hear))
        try:
            await people.place(order, behaviour=scenario.behaviour)
            return_id = await people.ask(request)
            await scenario.play(people, order, return_id)
            await people.reaches(return_id, scenario.ends)
            return await _checked(scenario, people, order, story, addresses)
        finally:
            listening.cancel()


async def _checked(
    scenario: Scenario, people: Outsiders, order: Json, story: Story, addresses: Any
) -> list[Check]:
    """The checks, as soon as all hold: what is eventually consistent is given its time."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        evidence = Evidence(
            seen=await people.see(story.return_id),
            book=await people.book(order),
            messages=story.messages,
            steps=story.steps,
        )
        found = verify.checks(scenario, evidence)
        found += await stores.checks(scenario, story.return_id, addresses["databases"])
        if all(check.holds for check in found) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(POLL_SECONDS)
