"""What must hold: after every step, and when everything has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.chassis.records import Record
from tests.simulation.orders import Json
from tests.simulation.people import Call

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


class Watch:
    """Looks at the stores, the bus and the processor's book of one run."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.stores = simulation.environment.stores

    def on_record(self, record: Record) -> None:
        """A record was appended to the bus."""

    def accepted(self, call: Call) -> None:
        """Somebody was told that their request is durable."""

    def poison(self, chance: Any) -> None:
        """Append what nobody can read."""

    async def after(self, service: str) -> None:
        """A step of this service is over."""

    async def at_the_end(self) -> None:
        """Everything has come to rest."""

    async def ends(self) -> dict[int, Json]:
        """How each planned return ended."""
        found = {}
        rows = await self.stores["commerce"].checker.fetch(
            "SELECT return_id, state, status, approved, released FROM returns"
        )
        by_id = {row["return_id"]: dict(row) for row in rows}
        for life in self.simulation.lives:
            found[life.plan.index] = by_id.get(life.plan.return_id, {})
        return found
