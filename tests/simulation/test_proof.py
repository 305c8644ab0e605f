"""I7: the next attempt at a refund begins when the last is proven to have come to nothing."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.payment.model import KEY_TRUSTED_HOURS_MAX
from tests.simulation.invariants import Violated, Watch
from tests.simulation.world import Clock


class Submissions:
    """As payment's store tells them."""

    def __init__(self, *attempts: int) -> None:
        self.rows = [{"refund_id": "1", "attempt": each, "tries": 1} for each in attempts]

    async def fetch(self, statement: str) -> list[dict[str, Any]]:
        return self.rows


@pytest.fixture
def watch() -> Watch:
    shared = SimpleNamespace(stores={})
    return Watch(SimpleNamespace(environment=shared, lives=[], clock=Clock()))


@pytest.mark.asyncio
async def test_an_attempt_without_proof_is_found(watch: Watch) -> None:
    await watch._attempts_follow_proof(Submissions(1))
    with pytest.raises(Violated, match="I7: attempt 2 of 1, 1 may have succeeded"):
        await watch._attempts_follow_proof(Submissions(1, 2))


@pytest.mark.asyncio
async def test_an_attempt_after_proof_is_none_too_many(watch: Watch) -> None:
    await watch._attempts_follow_proof(Submissions(1))
    watch._absent.add(("1", 1))
    await watch._attempts_follow_proof(Submissions(1, 2))
    with pytest.raises(Violated, match="I7: attempt 3"):
        await watch._attempts_follow_proof(Submissions(1, 2, 3))


@pytest.mark.asyncio
async def test_a_key_too_old_to_be_trusted_is_given_up(watch: Watch) -> None:
    await watch._attempts_follow_proof(Submissions(1))
    watch.simulation.clock.at += timedelta(hours=KEY_TRUSTED_HOURS_MAX)
    await watch._attempts_follow_proof(Submissions(1, 2))
