"""Stripe's minor units are ISO 4217's, but for a handful of currencies."""

from __future__ import annotations

import pytest

from contracts.money import EXPONENTS
from services.payment import units
from services.payment.processors.port import ProcessorError, Verdict
from services.payment.processors.shapes import Shapes


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [
        ("USD", 22200, 22200),
        ("JPY", 334, 334),
        ("ISK", 5, 500),
        ("UGX", 10000, 1000000),
        ("MGA", 500, 5),
        ("KWD", 3330, 3330),
        ("HUF", 1001, 1001),
    ],
)
def test_an_amount_is_the_same_money_there_and_here(currency: str, ours: int, theirs: int) -> None:
    assert units.at_stripe(ours, currency) == theirs
    assert units.from_stripe(theirs, currency) == ours


@pytest.mark.parametrize(("currency", "ours"), [("KWD", 3334), ("BHD", 1), ("MGA", 501)])
def test_an_amount_that_stripe_cannot_express_is_refused_and_never_rounded(
    currency: str, ours: int
) -> None:
    assert units.at_stripe(ours, currency) is None
    with pytest.raises(ProcessorError) as caught:
        Shapes(stripes_units=True).amount(ours, currency)
    assert caught.value.trouble.verdict is Verdict.REFUSED
    assert Shapes(stripes_units=False).amount(ours, currency) == ours


@pytest.mark.parametrize("currency", EXPONENTS)
def test_what_is_sent_is_read_back_as_the_same_amount_in_every_currency(currency: str) -> None:
    sent = units.at_stripe(123400, currency)
    assert sent is not None
    assert units.from_stripe(sent, currency) == 123400


def test_every_object_of_stripe_is_read_in_our_units() -> None:
    shapes = Shapes(stripes_units=True)
    refund = {
        "id": "re_1",
        "status": "succeeded",
        "amount": 50000,
        "currency": "isk",
        "balance_transaction": {"amount": -50000, "currency": "isk"},
    }
    seen = shapes.refund(refund)
    assert (seen.amount, seen.settlement_amount) == (500, 500)
    charge = {"id": "pi_1", "status": "succeeded", "amount": 50000, "currency": "isk"}
    assert shapes.charge(charge).amount == 500
    assert shapes.captured(charge) == 500
    dispute = {"id": "dp_1", "status": "needs_response", "amount": 50000, "currency": "isk"}
    assert shapes.dispute(dispute).amount == 500
