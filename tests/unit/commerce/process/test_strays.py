"""Messages that come when nothing waits for them, or come and change what was thought."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.assessments import (
    AssessmentRequested,
    Contradiction,
    DisputeState,
    RefundabilityAssessed,
)
from contracts.base import Message
from contracts.decisions import RefundReleased, ReplacementReleased
from contracts.fulfillment import (
    ParcelUnmatched,
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
    ReturnLost,
    ReturnSentBack,
)
from contracts.payment import RefundReservationRefused
from contracts.requests import ChosenMethod, SettlementChosen
from contracts.reviews import ReviewDecided
from services.commerce import messages
from services.commerce.model import Goods
from services.commerce.policy.model import Policy
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play

OF = {"return_id": examples.RETURN_ID, "order_id": examples.ORDER_ID, "occurred_at": examples.NOW}
REPLACED = OF | {"replacement_id": "x", "sku": "JACKET-M", "quantity": 1}
LATER = timedelta(minutes=20)
"""Facts are older than may be paid on."""


def paid_on(refund_on: str) -> Policy:
    text = {"policy": "test", "version": "1", "defaults": {"refund_on": refund_on}}
    return Policy.model_validate(text)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (ReturnLost(**OF, tracking_number="T1", reason="lost"), "nothing is waited for"),
        (ParcelUnmatched(**OF), "seen before a decision"),
        (ReplacementShipped(**REPLACED), "no replacement is waited for"),
        (ReplacementFailed(**REPLACED, reason="none left"), "no replacement is waited for"),
        (
            RefundReservationRefused(
                return_id=examples.RETURN_ID,
                order_id=examples.ORDER_ID,
                decision_sequence=1,
                code="c",
                currency="USD",
                alternatives=(),
            ),
            "refused for another sequence",
        ),
    ],
)
def test_what_nothing_waits_for_before_a_decision_changes_nothing(
    message: Message, said: str
) -> None:
    play = Play().ask()
    heard = len(play.heard)
    play.say(message)
    assert play.ignored == [said] and play.current.state == "assessing"
    assert len(play.heard) == heard


def test_a_replacement_that_is_scheduled_without_one_changes_nothing() -> None:
    play = Play().ask()
    before = play.current
    play.say(ReplacementScheduled(**REPLACED, ship_by=examples.NOW))
    assert play.current.exchange is None and play.current.state == before.state


def test_goods_on_their_way_back_are_told_to_the_customer() -> None:
    play = Play().approved().sent_back()
    play.say(ReturnSentBack(**OF))
    assert "on their way back to you" in play.status.explanation


def test_a_refund_of_another_return_is_not_ours() -> None:
    play = Play(policy=paid_on("approval")).approved()
    stranger = play.released.model_copy(update={"refund_id": "stranger"})
    play.say(examples.settled(stranger))
    assert play.ignored[-1] == "refund is not of this return"


@pytest.mark.parametrize("method", [ChosenMethod.STORE_CREDIT, ChosenMethod.WAIT])
def test_a_way_to_pay_is_only_chosen_where_one_is_asked_for(method: ChosenMethod) -> None:
    play = Play().approved()
    choice = SettlementChosen(return_id=examples.RETURN_ID, method=method, consent_at=examples.NOW)
    play.say(choice)
    assert "no other way to pay to be chosen" in play.status.explanation
    assert play.current.state == "approved"


def test_an_order_that_is_not_known_cannot_be_linked() -> None:
    play = Play(order=None).ask().wait_over()
    link = ReviewDecided.model_validate(
        {
            "return_id": examples.RETURN_ID,
            "decision": "link_order",
            "linked_order_id": "order-9",
            "case_sha256": play.current.case_sha256,
            "reason": "r",
            "reviewer": "bob",
            "decided_at": examples.NOW,
        }
    )
    play.say(link)
    assert "is not known" in play.status.explanation
    assert play.current.state == "awaiting_review"


def test_a_return_of_nothing_that_the_order_has_is_judged_without_asking_anybody() -> None:
    lines = [{"line_id": "9", "sku": "HAT", "quantity": 1, "reason": "other"}]
    play = Play().ask(examples.request(lines=lines))
    assert not play.all(AssessmentRequested)
    assert play.current.escalation == "order_not_found"


def waiting_for_fresh_facts() -> Play:
    """Paid on proof of sending, sent long after it was judged: the facts are asked for anew."""
    play = Play(policy=paid_on("proof_of_sending")).approved()
    play.later(LATER).say(examples.shipped(at=play.now))
    assert not play.all(RefundReleased) and len(play.all(AssessmentRequested)) == 2
    return play


def test_facts_that_are_confirmed_in_time_let_the_money_go() -> None:
    play = waiting_for_fresh_facts().assessed()
    assert play.released.amount == 22200
    overdue = messages.FactsOverdue(return_id=examples.RETURN_ID, round=2)
    assert play.say(overdue).ignored[-1] == "answered in time"


def test_facts_that_nobody_confirms_hold_the_money_for_a_person() -> None:
    play = waiting_for_fresh_facts()
    play.say(messages.FactsOverdue(return_id=examples.RETURN_ID, round=2))
    assert play.current.escalation == "assessment_timeout" and not play.all(RefundReleased)


def disputed(facts: RefundabilityAssessed) -> RefundabilityAssessed:
    payments = [each.model_copy(update={"dispute": DisputeState.OPEN}) for each in facts.payments]
    return facts.model_copy(update={"payments": tuple(payments)})


CONTRADICTION = Contradiction(code="found", system_state="sold", physical_state="here")


@pytest.mark.parametrize(
    ("goods", "amount", "is_disputed", "reason"),
    [
        ({"contradictions": (CONTRADICTION,)}, None, False, "inventory_contradiction"),
        ({}, 100, False, "payment_not_refundable"),
        ({}, None, True, "payment_not_refundable"),
    ],
)
def test_facts_that_turned_hold_the_money_for_a_person(
    goods: dict[str, Any], amount: int | None, is_disputed: bool, reason: str
) -> None:
    play = waiting_for_fresh_facts()
    asked = play.last(AssessmentRequested)
    money = examples.refundable(asked, amount)
    play.say(examples.returnable(asked, **goods), disputed(money) if is_disputed else money)
    assert play.current.escalation == reason and not play.all(RefundReleased)


@pytest.mark.parametrize(("ship_on", "sent"), [("proof_of_sending", True), ("receipt", False)])
def test_a_replacement_is_sent_once_its_condition_holds(ship_on: str, sent: bool) -> None:
    play = Play(policy=paid_on(ship_on)).approved(resolution="replacement")
    assert not play.all(ReplacementReleased)
    play.say(examples.shipped())
    assert bool(play.all(ReplacementReleased)) is sent
    play.say(examples.delivered(), examples.received())
    assert len(play.all(ReplacementReleased)) == 1


def test_goods_that_are_counted_without_their_numbers_are_the_lowest() -> None:
    play = Play(order=examples.order(quantity=2), policy=paid_on("receipt")).approved(quantity=2)
    told = examples.received((1,))
    line = told.lines[0].model_copy(update={"units": ()})
    play.say(told.model_copy(update={"lines": (line,)}))
    assert [unit.ordinal for unit in play.current.units_at(Goods.RECEIVED)] == [1]
