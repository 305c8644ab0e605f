"""What goes wrong between two steps, or in the middle of one."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import httpx

from tests.simulation.state import State
from tests.simulation.stores import SERVICES
from tests.simulation.trace import short
from tests.simulation.workers import Killed

POISON: tuple[tuple[bytes, tuple[tuple[str, bytes], ...]], ...] = (
    (b"{", (("ce_id", b"1"), ("ce_type", b"returns.ReturnRequest.v1"))),
    (b"\xff\xfe\x00", ()),
    (b"[" * 5000, (("content-type", b"application/json"),)),
    (b"{}", (("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/x"),
             ("ce_type", b"returns.Nonsense.v99"))),
)  # fmt: skip
"""(value, headers)"""


class Misfortune(State):
    """Draws from the seed's faults whether this is the moment."""

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
                self._note("bus", f"repeats {short(twin)}")
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
