"""A few seeds of the simulation; `make simulate` plays many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.simulation import breaking, session
from tests.simulation.state import Environment
from tests.simulation.wanted import Wanted
from tests.stores import Stores


@pytest_asyncio.fixture
async def shared(stores: Stores, tmp_path: Path) -> AsyncIterator[Environment]:
    async with session.environment(stores, tmp_path) as found:
        yield found


@pytest.mark.asyncio
async def test_a_seed_is_one_schedule(shared: Environment) -> None:
    first = await session.played(shared, Wanted(seed=7), compare=False)
    await session.played(shared, Wanted(seed=8), compare=False)
    again = await session.played(shared, Wanted(seed=7), compare=False)
    assert again.trace.lines == first.trace.lines


@pytest.mark.asyncio
async def test_faults_change_nothing_about_the_end(shared: Environment) -> None:
    for seed in range(1, 5):
        found = await session.played(shared, Wanted(seed=seed))
        assert found.violation is None, "\n".join([*found.trace.lines[-60:], found.violation or ""])


def test_each_invariant_has_a_break_that_fits_the_code(tmp_path: Path) -> None:
    found = breaking.all_breaks()
    assert [each.invariant for each in found] == [f"I{number}" for number in range(1, 19)]
    breaking.copy(tmp_path)
    for each in found:
        breaking.apply(each, tmp_path, check=True)
