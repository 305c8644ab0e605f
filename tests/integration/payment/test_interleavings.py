"""The long run of tests/unit/payment/test_interleavings.py: 20,000 interleavings."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.payment import interleaving, reversing

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "20000"))
FIRST_SEED = 1_000_000
OF_REFUNDS = INTERLEAVINGS * 4 // 5


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("run", "count"),
    [(interleaving.run, OF_REFUNDS), (reversing.run, INTERLEAVINGS - OF_REFUNDS)],
    ids=["refunds", "reversals"],
)
def test_twenty_thousand_interleavings_never_pay_twice_and_lose_nothing(
    run: Callable[[int], Any], count: int
) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        try:
            run(seed)
        except Exception as error:
            again = f"SEED={seed} INTERLEAVINGS=1 pytest tests/unit/payment/test_interleavings.py"
            raise AssertionError(f"replay it with {again}: {error!r}") from error
