"""The process dies at every named place, under every kind of processor: one refund, in the end.

Three behaviours in every run; all of them with ``KILL_MATRIX=all`` (`make payment-matrix`).
"""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts import payment as told
from services.chassis import effects as chassis_effects
from services.chassis import pipeline
from services.payment import effects
from services.sandbox import behaviours
from tests.driving import Drive
from tests.payments import Sandbox, a_decision, a_payment, a_release, an_order, new_id
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

BEHAVIOURS = ["no_webhook", "error_500_stored", "timeout_after_success"]
if os.environ.get("KILL_MATRIX") == "all":
    BEHAVIOURS = [name for name in behaviours.BEHAVIOURS if name not in ("declined", "fails_later")]
PLACES = {
    "before_effect": chassis_effects,
    "after_claim": effects,
    "after_submit": effects,
    "after_effect": chassis_effects,
    "before_commit": pipeline,
    "after_commit": pipeline,
}


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_a_process_that_dies_pays_once_when_it_is_back(
    payment: Drive,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    place: str,
) -> None:
    reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
    sandbox.pay(reference, behaviour=behaviour)
    await payment.send(an_order(a_payment(reference)), a_decision(return_id))
    alive = True

    def die(name: str) -> None:
        nonlocal alive
        if alive and name == place:
            alive = False
            raise Killed(place)

    monkeypatch.setattr(PLACES[place], "checkpoint", die)
    release = a_release(return_id, refund_id)
    for _ in range(60):
        try:
            await payment.send(release)
            await payment.advance(timedelta(seconds=1))
        except Killed:
            continue  # the broker delivers again, the lease runs out
    assert not alive, "nothing passed this place"
    await wait_for(
        lambda: all(each["status"] != "pending" for each in sandbox.refunds(reference)),
        what="the processor settles",
    )
    for _ in range(3):
        await payment.advance(timedelta(seconds=30))
    assert len(await payment.published(told.RefundSettled)) == 1
    assert sandbox.kinds(reference) == ["refund"]
    assert len(await payment.published(told.TaxReversalRecorded)) == 1
    assert not await payment.quarantined()
    row = await payment.pool.fetchrow("SELECT * FROM payment_balances")
    assert (row["settled"], row["unknown"], row["reserved"]) == (22200, 0, 0)
