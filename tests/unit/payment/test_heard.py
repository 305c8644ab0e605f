"""How often the processor is asked because of webhooks: as seldom as is safe."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.payment import messages
from services.payment.decide import hints, orders, outcome, release, reservation
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.messages import LookAtPayment, LookUpRefund, RefundSubmitted, Result
from services.payment.model import OrderMoney, PaymentLook, RefundState, SeenRefund, SeenStatus
from tests.payments import a_decision, a_release, an_order

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FACTS = Facts(now=NOW)
RETURN_ID, REFUND_ID = "11111111-1111-4111-8111-111111111111", "refund-1"


class Told:
    """An order whose refund was just handed over; what has to be asked about it."""

    def __init__(self) -> None:
        self.order: OrderMoney = orders.know(None, an_order(), FACTS).state
        self.asked: list[object] = []
        self.keep(reservation.decided(self.order, a_decision(RETURN_ID), FACTS))
        self.keep(release.released(self.order, a_release(RETURN_ID, REFUND_ID), FACTS))

    def keep(self, decision: MoneyDecision) -> None:
        self.order = decision.state
        asks = (LookUpRefund, LookAtPayment)
        self.asked += [each.payload for each in decision.effects if isinstance(each.payload, asks)]

    def webhook(self, status: str, *, object_id: str = "re_1") -> None:
        event = messages.WebhookReceived(
            event_id=f"evt_{status}",
            event_type="refund.updated",
            body_sha256="",
            object_id=object_id,
            object_type="refund",
            order_id="order-1",
            refund_id=REFUND_ID,
            payment_reference="pi_order-1",
            status=status,
        )
        self.keep(hints.webhook(self.order, event, FACTS))

    def answer(self, result: Result, status: SeenStatus | None = None) -> None:
        message = RefundSubmitted(
            order_id="order-1",
            refund_id=REFUND_ID,
            attempt=1,
            tries=1,
            result=result,
            seen=seen(status) if status is not None else None,
            looks=(PaymentLook(payment_id="p1", captured=22200, as_of=NOW),),
        )
        self.keep(outcome.submitted(self.order, message, FACTS))

    def look_up(self, status: SeenStatus) -> None:
        message = messages.RefundSeen(
            order_id="order-1", refund_id=REFUND_ID, seen=seen(status), looked_at=NOW
        )
        self.keep(outcome.seen(self.order, message, FACTS))

    @property
    def state(self) -> RefundState:
        return self.order.refunds[REFUND_ID].state


def seen(status: SeenStatus) -> SeenRefund:
    return SeenRefund(
        reference="re_1", refund_id=REFUND_ID, status=status, amount=22200, currency="USD"
    )


def test_events_that_come_before_the_answer_of_the_submission_ask_nothing() -> None:
    told = Told()
    for status in ("pending", "succeeded", "succeeded"):
        told.webhook(status)
    told.answer(Result.SEEN, SeenStatus.SUCCEEDED)
    told.webhook("succeeded")
    assert (told.state, told.asked) == (RefundState.SETTLED, [])


@pytest.mark.parametrize("answered", [SeenStatus.PENDING, SeenStatus.SUCCEEDED])
def test_what_an_event_said_before_an_older_answer_is_looked_up(answered: SeenStatus) -> None:
    told = Told()
    told.webhook("failed")
    told.answer(Result.SEEN, answered)
    assert len(told.asked) == 1
    told.look_up(SeenStatus.FAILED)
    assert (told.state, len(told.asked)) == (RefundState.SETTLEMENT_FAILED, 1)


def test_an_unknown_outcome_is_looked_up_once_whatever_was_heard() -> None:
    told = Told()
    told.webhook("succeeded")
    told.answer(Result.NO_ANSWER)
    assert (told.state, len(told.asked)) == (RefundState.OUTCOME_UNKNOWN, 1)


def test_the_same_news_twice_is_looked_up_once_and_other_news_again() -> None:
    told = Told()
    told.answer(Result.SEEN, SeenStatus.PENDING)
    told.webhook("succeeded")
    told.webhook("succeeded")
    assert len(told.asked) == 1
    told.webhook("failed")
    assert len(told.asked) == 2
    told.look_up(SeenStatus.SUCCEEDED)
    told.webhook("failed")
    assert len(told.asked) == 3


def test_an_event_about_a_second_object_of_the_same_refund_makes_us_read_them_all() -> None:
    told = Told()
    told.answer(Result.SEEN, SeenStatus.SUCCEEDED)
    told.webhook("succeeded", object_id="re_2")
    assert [type(each) for each in told.asked] == [LookAtPayment]
