"""Makes a failing seed smaller: fewer returns, then fewer faults, as long as it fails alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.simulation.plan import drawn
from tests.simulation.wanted import Wanted

TRIES_MAX = 40
Fails = Callable[[Wanted], Awaitable[str | None]]
"""The violation of a run, if there is one."""


def alike(one: str, other: str | None) -> bool:
    """Whether two violations are of the same invariant."""
    return other is not None and one.partition(":")[0] == other.partition(":")[0]


async def smallest(wanted: Wanted, violation: str, fails: Fails) -> Wanted:
    """The smallest run that was found to break the same invariant, within TRIES_MAX runs."""
    tries = 0

    async def still(smaller: Wanted) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIES_MAX and alike(violation, await fails(smaller))

    planned = drawn(wanted.seed, kind=wanted.kind)
    only = wanted.only or tuple(dict.fromkeys(each.index for each in planned))
    wanted = replace(wanted, only=only)
    for index in only:
        fewer = tuple(each for each in wanted.only or () if each != index)
        if fewer and await still(replace(wanted, only=fewer)):
            wanted = replace(wanted, only=fewer)
    half = len(wanted.allowed) // 2
    while half:
        for begin in range(0, len(wanted.allowed), half):
            rest = wanted.allowed[:begin] + wanted.allowed[begin + half :]
            if await still(replace(wanted, allowed=rest)):
                wanted = replace(wanted, allowed=rest)
                break
        else:
            half //= 2
        half = min(half, len(wanted.allowed))
    return wanted
