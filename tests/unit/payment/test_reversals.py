"""What is never sent to a processor: a charge under a key it may have forgotten, odd units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from contracts.orders import PaymentMethod, Processor
from services.chassis.service import Again
from services.payment.effects import Effects
from services.payment.messages import ChargeReversal
from services.payment.model import PaymentFacts
from services.payment.processors.breaker import Breaker
from services.payment.processors.port import ProcessorError, Submission, Trouble, Verdict
from services.payment.processors.stripe_client import StripeProcessor

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
    """A processor that never answers."""

    charges = 0

    def of(self, payment: PaymentFacts, *, test: bool) -> Unclear:
        return self

    async def charge(self, submission: Submission) -> str:
        self.charges += 1
        raise ProcessorError(Trouble(verdict=Verdict.UNKNOWN, code="timeout", explanation=""))


@pytest.mark.parametrize(("hours", "charges"), [(1, 1), (19, 1), (20, 0), (30, 0)])
async def test_no_charge_is_repeated_when_its_key_may_be_forgotten(
    hours: int, charges: int
) -> None:
    processor = Unclear()
    intent = ChargeReversal(
        order_id="o",
        return_id="r",
        reversal_id="rv",
        payment=PAYMENT,
        amount=5000,
        currency="USD",
        asked_at=NOW - timedelta(hours=hours),
        test=False,
    )
    outcome = await Effects(cast(Any, processor), None, cast(Any, Clock())).reverse(intent)
    assert processor.charges == charges
    assert isinstance(outcome, Again) == bool(charges)
    assert isinstance(outcome, Again) or (outcome.settled, outcome.code) == (
        False,
        "outcome_unknown",
    )


async def test_stripe_is_not_asked_in_a_currency_that_it_counts_otherwise() -> None:
    stripe = StripeProcessor(
        name="stripe", key="sk_test_1", base="http://127.0.0.1:1", breaker=Breaker(Clock())
    )
    wish = Submission(payment=PAYMENT, amount=5000, currency="ISK", key="k", metadata={})
    for call in (stripe.submit, stripe.charge):
        with pytest.raises(ProcessorError) as caught:
            await call(wish)
        assert caught.value.trouble.verdict is Verdict.REFUSED
        assert caught.value.trouble.code == "currency_units"
    await stripe.close()
