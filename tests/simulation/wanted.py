"""What is asked for: a seed, and how to ask for it again."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.faults import RATES


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A seed, with the returns (None: all) and the faults that it may have."""

    seed: int
    only: tuple[int, ...] | None = None
    allowed: tuple[str, ...] = tuple(RATES)
    kind: str | None = None
    """All returns of this kind of the plan's table."""

    @property
    def command(self) -> str:
        """What plays exactly this again."""
        words = [f"make simulate SEED={self.seed}"]
        if self.only is not None:
            words.append(f"RETURNS={','.join(str(each) for each in self.only)}")
        if self.allowed != tuple(RATES):
            words.append(f"FAULTS={','.join(self.allowed) or 'none'}")
        if self.kind is not None:
            words.append(f"KIND={self.kind}")
        return " ".join(words)
