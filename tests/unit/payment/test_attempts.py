"""How often a refund is handed over, under which key, and after which wait."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.base import Message
from contracts.payment import RefundFailed
from services.payment import messages
from services.payment.decide import orders, outcome, release, reservation
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.decide.outcome import RETRY_SECONDS_MAX, WISHED_SECONDS_MAX
from services.payment.messages import RefundSubmitted, Result, SubmitRefund
from services.payment.model import (
    ABSENCE_SECONDS_MIN,
    KEY_TRUSTED_HOURS_MAX,
    REFUND_ATTEMPTS_MAX,
    SUBMISSION_TRIES_MAX,
    OrderMoney,
    RefundState,
)
from tests.driving import START
from tests.payments import a_decision, a_release, an_order

RETURN_ID = "11111111-1111-4111-8111-111111111111"
JITTER_SECONDS_MAX = 0.5


class HandedOver:
    """A refund whose submissions are answered by the test, on a clock of its own."""

    def __init__(self, refund_id: str = "refund-1") -> None:
        self.now: datetime = START
        self.refund_id = refund_id
        self.submissions: list[tuple[SubmitRefund, datetime]] = []
        """With the instant before which nothing is sent."""
        self.events: list[Message] = []
        self.order: OrderMoney = orders.know(None, an_order(), self.facts).state
        self.keep(reservation.decided(self.order, a_decision(RETURN_ID), self.facts))
        self.keep(release.released(self.order, a_release(RETURN_ID, refund_id), self.facts))

    @property
    def facts(self) -> Facts:
        return Facts(now=self.now)

    @property
    def last(self) -> SubmitRefund:
        return self.submissions[-1][0]

    @property
    def state(self) -> RefundState:
        return self.order.refunds[self.refund_id].state

    def keep(self, decision: MoneyDecision) -> None:
        self.order = decision.state
        self.events += decision.events
        for each in decision.effects:
            if isinstance(each.payload, SubmitRefund):
                self.submissions.append((each.payload, each.not_before or self.now))

    def answered(self, result: Result, **more: Any) -> None:
        answer = RefundSubmitted(
            order_id="order-1",
            refund_id=self.refund_id,
            attempt=self.last.attempt,
            tries=self.last.tries,
            result=result,
            **more,
        )
        self.keep(outcome.submitted(self.order, answer, self.facts))

    def proven_absent(self) -> None:
        self.now += timedelta(seconds=ABSENCE_SECONDS_MIN)
        looked = messages.RefundSeen(
            order_id="order-1", refund_id=self.refund_id, looked_at=self.now
        )
        self.keep(outcome.seen(self.order, looked, self.facts))

    def wait(self) -> float:
        """Seconds that the last submission is put off."""
        return (self.submissions[-1][1] - self.now).total_seconds()


@pytest.mark.parametrize(
    ("age", "key"),
    [
        (timedelta(hours=KEY_TRUSTED_HOURS_MAX, seconds=-1), "refund:refund-1:1"),
        (timedelta(hours=KEY_TRUSTED_HOURS_MAX), "refund:refund-1:2"),
    ],
)
def test_a_key_is_used_again_only_as_long_as_the_processor_surely_keeps_it(
    age: timedelta, key: str
) -> None:
    refund = HandedOver()
    refund.now += age
    refund.answered(Result.NOT_SENT)
    assert refund.last.key == key


def test_waits_between_tries_grow_to_a_minute_and_are_not_the_same_for_all() -> None:
    refunds = [HandedOver(f"refund-{number}") for number in range(20)]
    for tries in range(1, 10):
        for refund in refunds:
            refund.answered(Result.NOT_SENT)
        waits = [refund.wait() for refund in refunds]
        shortest = min(1 << tries, RETRY_SECONDS_MAX)
        assert all(shortest <= wait <= shortest + JITTER_SECONDS_MAX for wait in waits)
        assert len(set(waits)) > 1


@pytest.mark.parametrize(("wish", "seconds"), [(7, 7), (300, 300), (86400, WISHED_SECONDS_MAX)])
def test_the_processor_s_own_wish_is_waited_for(wish: int, seconds: int) -> None:
    refund = HandedOver()
    refund.answered(Result.NOT_SENT, retry_seconds=wish)
    assert seconds <= refund.wait() <= seconds + JITTER_SECONDS_MAX


def test_only_a_proven_absence_allows_the_next_attempt_and_there_are_five() -> None:
    refund = HandedOver()
    for attempt in range(1, REFUND_ATTEMPTS_MAX + 1):
        assert refund.last.key == f"refund:refund-1:{attempt}"
        refund.answered(Result.NO_ANSWER)
        assert len(refund.submissions) == attempt  # nothing new until it is looked up
        refund.proven_absent()
    assert refund.state is RefundState.REFUSED
    assert len(refund.submissions) == REFUND_ATTEMPTS_MAX
    [failed] = [each for each in refund.events if isinstance(each, RefundFailed)]
    assert (failed.failure_code, failed.retryable) == ("attempts_exhausted", True)


def test_a_processor_that_never_takes_it_is_given_up_and_nothing_was_sent() -> None:
    refund = HandedOver()
    for _ in range(SUBMISSION_TRIES_MAX):
        refund.answered(Result.NOT_SENT, code="rate_limit")
    assert refund.state is RefundState.REFUSED
    assert {each.key for each, _ in refund.submissions} == {"refund:refund-1:1"}
    [failed] = [each for each in refund.events if isinstance(each, RefundFailed)]
    assert (failed.failure_code, failed.retryable) == ("rate_limit", True)
