"""What is never sent to a processor: a charge under a key it may have forgotten, odd units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from contracts.orders import PaymentMethod, Processor
from services.chassis.service import Again
from services.payment.charging import Charging
from services.payment.messages import ChargeReversal, ReversalCharged
from services.payment.model import PaymentFacts, SeenStatus
from services.payment.processors.port import (
    ProcessorError,
    SeenCharge,
    Submission,
    Trouble,
    Verdict,
)

pytestmark = pytest.mark.asyncio
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PAYMENT = PaymentFacts(
    payment_id="p1",
    processor=Processor.STRIPE,
    reference="pi_1",
    method=PaymentMethod.CARD,
    captured=5000,
    captured_at=NOW,
)


class Clock:
    def now(self) -> datetime:
        return NOW


class Unclear:
    """A processor that never answers a charge, and has none."""

    charges = 0

    def of(self, payment: PaymentFacts, *, test: bool) -> Unclear:
        return self

    async def find_charge(self, payment: PaymentFacts, reversal_id: str, since: datetime) -> None:
        return None

    async def charge(self, submission: Submission) -> SeenCharge:
        self.charges += 1
        raise ProcessorError(Trouble(verdict=Verdict.UNKNOWN, code="timeout", explanation=""))


class Debited(Unclear):
    """A processor that has a charge of this reversal already."""

    def __init__(self, status: SeenStatus) -> None:
        self.status = status

    async def find_charge(  # type: ignore[override]
        self, payment: PaymentFacts, reversal_id: str, since: datetime
    ) -> SeenCharge:
        return SeenCharge(
            reference="pi_2",
            reversal_id=reversal_id,
            order_id="o",
            status=self.status,
            amount=5000,
            currency="USD",
        )


def an_intent(*, asked: timedelta) -> ChargeReversal:
    return ChargeReversal(
        order_id="o",
        return_id="r",
        reversal_id="rv",
        payment=PAYMENT,
        amount=5000,
        currency="USD",
        asked_at=NOW - asked,
        test=False,
    )


def charging(processor: Unclear, unwanted: timedelta | None = None) -> Charging:
    """`unwanted`: how long ago the refund that is to be taken back came to nothing."""

    async def since(order_id: str, reversal_id: str) -> datetime | None:
        return None if unwanted is None else NOW - unwanted

    return Charging(cast(Any, processor), cast(Any, Clock()), since)


@pytest.mark.parametrize(("hours", "charges"), [(1, 1), (19, 1), (20, 0), (30, 0)])
async def test_no_charge_is_repeated_when_its_key_may_be_forgotten(
    hours: int, charges: int
) -> None:
    processor = Unclear()
    outcome = await charging(processor).reverse(an_intent(asked=timedelta(hours=hours)))
    assert processor.charges == charges
    if hours > 20:
        assert isinstance(outcome, ReversalCharged)
        assert (outcome.settled, outcome.code) == (False, "not_charged")
    else:
        assert isinstance(outcome, Again)


@pytest.mark.parametrize("seconds", [0, 59, 60, 600])
async def test_what_a_failed_refund_leaves_to_take_back_is_not_charged(seconds: int) -> None:
    processor = Unclear()
    own = charging(processor, unwanted=timedelta(seconds=seconds))
    outcome = await own.reverse(an_intent(asked=timedelta(hours=1)))
    assert processor.charges == 0
    if seconds < 60:  # the last try may be on its way
        assert isinstance(outcome, Again)
        assert outcome.at == NOW + timedelta(seconds=60 - seconds)
    else:
        assert isinstance(outcome, ReversalCharged)
        assert (outcome.settled, outcome.code) == (False, "refund_failed")


@pytest.mark.parametrize("hours", [0, 19, 40])
@pytest.mark.parametrize("status", SeenStatus)
async def test_a_charge_that_is_there_is_never_made_again(hours: int, status: SeenStatus) -> None:
    processor = Debited(status)
    outcome = await charging(processor).reverse(an_intent(asked=timedelta(hours=hours)))
    assert processor.charges == 0
    assert isinstance(outcome, Again) == (status is SeenStatus.PENDING)
    if isinstance(outcome, ReversalCharged):
        assert outcome.settled == (status is SeenStatus.SUCCEEDED)
