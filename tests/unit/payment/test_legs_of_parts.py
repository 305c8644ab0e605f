"""Points and tax of a refund that others replace are booked once, whatever replaces it."""

from __future__ import annotations

import pytest

from contracts.base import Message
from contracts.payment import LoyaltyReversed, RefundSettled, TaxReversalRecorded
from services.payment.decide import orders, outcome, release, reservation
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.messages import RefundSubmitted, Result
from services.payment.model import OrderMoney, SeenRefund, SeenStatus
from tests.driving import START
from tests.payments import a_decision, a_payment, a_release, a_void, an_order

RETURN_ID = "11111111-1111-4111-8111-111111111111"
PARTS = {"p1": 12200, "p2": 10000}


class Money:
    """An order that was paid with two cards, and what is told of it."""

    def __init__(self) -> None:
        payments = [
            a_payment(f"pi_{name}", payment_id=name, captured=amount)
            for name, amount in PARTS.items()
        ]
        self.notes: dict[str, int] = {}
        self.told: list[Message] = []
        self.order: OrderMoney = orders.know(None, an_order(*payments), self.facts).state

    @property
    def facts(self) -> Facts:
        return Facts(now=START, last_notes=dict(self.notes))

    def keep(self, decision: MoneyDecision) -> None:
        self.order = decision.state
        self.told += decision.events
        self.notes |= {each.series: each.ordinal for each in decision.notes}

    def settled(self, refund_id: str, amount: int) -> None:
        seen = SeenRefund(
            reference=f"re_{refund_id}",
            refund_id=refund_id,
            status=SeenStatus.SUCCEEDED,
            amount=amount,
            currency="USD",
        )
        answer = RefundSubmitted(
            order_id="order-1", refund_id=refund_id, attempt=1, tries=1, result=Result.SEEN,
            seen=seen,
        )  # fmt: skip
        self.keep(outcome.submitted(self.order, answer, self.facts))


@pytest.mark.parametrize("taken_back", [True, False])
def test_a_bank_transfer_that_two_cards_replace_books_its_points_and_tax_once(
    taken_back: bool,
) -> None:
    money = Money()
    by_hand = a_decision(RETURN_ID, method="bank_transfer", allocations=PARTS)
    money.keep(reservation.decided(money.order, by_hand, money.facts))
    first = a_release(RETURN_ID, "by-hand", method="bank_transfer", payment_id=None)
    money.keep(release.released(money.order, first, money.facts))
    if taken_back:
        money.keep(release.voided(money.order, a_void(RETURN_ID, "by-hand"), money.facts))
    again = a_decision(RETURN_ID, sequence=2, allocations=PARTS)
    money.keep(reservation.decided(money.order, again, money.facts))
    for payment_id, amount in PARTS.items():
        part = a_release(
            RETURN_ID, f"by-{payment_id}", payment_id=payment_id, amount=amount, legs=False,
            replaces_refund_id="by-hand",
        )  # fmt: skip
        money.keep(release.released(money.order, part, money.facts))
    for payment_id, amount in PARTS.items():
        money.settled(f"by-{payment_id}", amount)
    assert len([each for each in money.told if isinstance(each, RefundSettled)]) == 2
    points = [each for each in money.told if isinstance(each, LoyaltyReversed)]
    assert [each.points_reversed for each in points] == [200]
    tax = [each for each in money.told if isinstance(each, TaxReversalRecorded)]
    assert sum(each.tax for each in tax) == 1200
