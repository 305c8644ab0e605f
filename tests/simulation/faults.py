"""What goes wrong, drawn per seed: each seed has rates of its own, and some faults not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random

RATES: dict[str, tuple[float, ...]] = {
    "kill": (0.0, 0.01, 0.04),
    "kill_idle": (0.0, 0.01, 0.03),
    "reset": (0.0, 0.02, 0.06),
    "store_away": (0.0, 0.01),
    "broker_away": (0.0, 0.02),
    "partition_away": (0.0, 0.1, 0.3),
    "duplicate": (0.0, 0.02, 0.1),
    "rewind": (0.0, 0.01, 0.03),
    "rebalance": (0.0, 0.02, 0.05),
    "pause": (0.0, 0.1, 0.4),
    "time": (0.0, 0.03, 0.1),
    "skew": (0.0, 1.0),
    "uncommitted": (0.0, 0.3, 0.8),
    "call": (0.0, 0.1, 0.3),
    "webhook": (0.0, 0.2, 0.6),
    "answer_lost": (0.0, 0.1, 0.3),
    "poison": (0.0, 0.01),
}
"""Fault -> rates per opportunity, of which a seed draws one."""

CALLS = {
    "unreachable": 3, "lost": 3, "unanswered": 4, "late": 2, "failed_before": 2,
    "failed_after": 3, "too_many": 2, "garbled": 1,
}  # fmt: skip
"""What happens to a call of the processor, the carrier or the warehouse -> weight."""

SELDOM = {"kill:payment after_claim": 4, "kill:payment after_submit": 8, "call:/v1/refunds": 3}
"""Opportunities that come once or twice in a refund's life, and matter most -> draws at each."""


@dataclass
class Faults:
    """`strikes` says whether a fault happens at this opportunity, and counts it."""

    seed: int
    allowed: Collection[str] = tuple(RATES)
    on: bool = True
    fired: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = Random(f"{self.seed}:faults")
        self.rates = {
            name: Random(f"{self.seed}:rate:{name}").choice(rates) if name in self.allowed else 0.0
            for name, rates in RATES.items()
        }

    def strikes(self, name: str, detail: str = "") -> bool:
        told = f"{name}:{detail}" if detail else name
        if not self._drawn(name, SELDOM.get(told, 1)):
            return False
        self.fired[told] += 1
        return True

    def _drawn(self, name: str, draws: int) -> bool:
        """Whether one of so many draws hits."""
        calm = (1 - self.rates[name]) ** draws
        return self.on and calm < 1 and self.chance.random() >= calm

    def call_trouble(self, path: str) -> str | None:
        """What happens to a call of this path, if anything."""
        if not self._drawn("call", SELDOM.get(f"call:{path}", 1)):
            return None
        name = self.chance.choices(list(CALLS), list(CALLS.values()))[0]
        self.fired[f"call:{name}"] += 1
        return name
