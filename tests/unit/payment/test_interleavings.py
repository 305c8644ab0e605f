"""Whatever comes between us and the processor: never two effective refunds, never a lost one."""

from __future__ import annotations

import os
from collections import Counter

from services.payment.model import RefundState
from tests.unit.payment import interleaving

INTERLEAVINGS = int(os.environ.get("INTERLEAVINGS", "1000"))
FIRST_SEED = int(os.environ.get("SEED", "0"))


def test_no_interleaving_pays_twice_or_loses_a_refund() -> None:
    ends: Counter[RefundState] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + INTERLEAVINGS):
        try:
            ends[interleaving.run(seed).state] += 1
        except Exception as error:
            raise AssertionError(
                f"replay it with SEED={seed} INTERLEAVINGS=1: {error!r}"
            ) from error
    if INTERLEAVINGS >= 1000:
        for state in (RefundState.SETTLED, RefundState.REFUSED, RefundState.SETTLEMENT_FAILED):
            assert ends[state] > 0, f"no interleaving ended {state}"
