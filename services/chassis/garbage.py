"""When Python looks for garbage: seldom, because messages and decisions leave no cycles."""

from __future__ import annotations

import gc

ALLOCATIONS_MIN = 50_000


def look_seldom() -> None:
    """Call once all is imported: what is there never becomes garbage, so it is not looked at.

    Looking as often as by default costs a service some 7 % of its CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_MIN)
