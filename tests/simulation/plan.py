"""Which returns a seed plays: drawn per return, so that leaving one out changes no other."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.simulation.kinds import KINDS, Kind
from tests.simulation.orders import Bought, uuid_of

RETURNS_MIN, RETURNS_MAX = 2, 4


@dataclass(frozen=True, kw_only=True)
class Planned:
    index: int
    kind: str
    bought: Bought
    return_id: str
    twin: str = ""
    """Of two returns of one order: "a" or "b"."""
    haste: float
    """How quick the people are: 1 is minutes and hours, 0.01 seconds."""

    @property
    def how(self) -> Kind:
        return KINDS[self.kind]

    @property
    def name(self) -> str:
        return f"{self.index}{self.twin}"


def drawn(seed: int, only: tuple[int, ...] | None = None, kind: str | None = None) -> list[Planned]:
    """The returns of a seed, or those that are named; all of one kind where one is given."""
    count = Random(f"{seed}:count").randint(RETURNS_MIN, RETURNS_MAX)
    wanted = range(count) if only is None else only
    return [each for index in wanted for each in _planned(seed, index, kind)]


def _planned(seed: int, index: int, wanted: str | None) -> list[Planned]:
    """One return, or two of the same order."""
    chance = Random(f"{seed}:return:{index}")
    kind = chance.choices(list(KINDS), [each.weight for each in KINDS.values()])[0]
    kind = wanted or kind
    bought = Bought(number=f"{seed}-{index}", **KINDS[kind].bought)
    twins = ("",) if KINDS[kind].twins is None else ("a", "b")
    return [
        Planned(
            index=index,
            kind=kind,
            bought=bought,
            return_id=uuid_of(chance),
            twin=twin,
            haste=chance.choice((0.001, 0.02, 1.0)),
        )
        for twin in twins
    ]
