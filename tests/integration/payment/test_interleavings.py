"""The long run of tests/unit/payment/test_interleavings.py: 20,000 interleavings."""

from __future__ import annotations

import os

import pytest

from tests.unit.payment import interleaving

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "20000"))
FIRST_SEED = 1_000_000


@pytest.mark.timeout(600)
def test_twenty_thousand_interleavings_never_pay_twice_and_lose_nothing() -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + INTERLEAVINGS):
        try:
            interleaving.run(seed)
        except Exception as error:
            again = f"SEED={seed} INTERLEAVINGS=1 pytest tests/unit/payment/test_interleavings.py"
            raise AssertionError(f"replay it with {again}: {error!r}") from error
