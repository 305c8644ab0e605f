"""Domain, section 1: disputes over the payments of a split refund, one or both of them."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.decisions import EscalationReason, RefundReleased, RefundVoided
from contracts.orders import OrderSnapshot
from contracts.payment import DisputeClosed, DisputeOpened, DisputeOutcome
from contracts.requests import Method
from contracts.reviews import ReviewDecision, ReviewedSettlement
from contracts.warehouse import Grade
from services.commerce.model import Money, State
from services.commerce.policy.model import Policy, Settings
from tests.unit.commerce.process import examples
from tests.unit.commerce.process import test_split_payment as split
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import escalation, review


def dispute(payment_id: str) -> dict[str, Any]:
    return {
        "order_id": examples.ORDER_ID,
        "payment_id": payment_id,
        "dispute_id": f"dp_{payment_id}",
        "amount": 11100,
        "currency": "USD",
    }


def opened(payment_id: str) -> DisputeOpened:
    return DisputeOpened(**dispute(payment_id))


def closed(payment_id: str, outcome: DisputeOutcome) -> DisputeClosed:
    return DisputeClosed(**dispute(payment_id), outcome=outcome)


def equal_halves() -> OrderSnapshot:
    bought = split.order()
    halves = tuple(each.model_copy(update={"captured": 11100}) for each in bought.payments)
    return bought.model_copy(update={"payments": halves})


def by(method: Method) -> ReviewedSettlement:
    return ReviewedSettlement(method=method)


def labelled(**asked: Any) -> Play:
    """Approved over both payments, and paid once it is received."""
    settings = {"refund_on": "receipt", "resolutions": ["refund", "store_credit"]}
    rules = Policy(policy="test", version="1", defaults=Settings.model_validate(settings))
    play = Play(order=split.order(), policy=rules)
    return split.known(play.ask(examples.request(**asked))).reserve().say(examples.labelled())


@pytest.mark.parametrize("names_the_refund", [True, False])
def test_of_two_equal_parts_the_one_of_the_lost_payment_is_replaced(
    names_the_refund: bool,
) -> None:
    play = split.released(equal_halves())
    gift, card = play.all(RefundReleased)
    assert gift.amount == card.amount
    play.say(opened("p1"), closed("p1", DisputeOutcome.LOST))
    assert len(play.all(RefundVoided)) == 2
    # The card's refund was held and is taken back; the other one had been submitted.
    voided = split.voided(play, of=card)
    if not names_the_refund:  # as an earlier version of payment said it
        voided = voided.model_copy(update={"refund_id": None})
    play.say(voided, examples.settled(gift))
    found = {each.payment_id: each.money for each in play.current.refunds}
    assert found == {"p1": Money.VOIDED, "p2": Money.SETTLED}
    before = len(play.all(RefundReleased))
    play.say(review(play, ReviewDecision.APPROVE, settlement=by(Method.STORE_CREDIT))).reserve()
    assert [each.amount for each in play.all(RefundReleased)[before:]] == [11100]


@pytest.mark.parametrize("resolution", ["refund", "store_credit"])
def test_winning_one_dispute_releases_nothing_while_another_is_open(resolution: str) -> None:
    play = labelled(resolution=resolution)
    play.say(opened("p1"), opened("p2"))
    assert play.current.disputes == ("p1", "p2")
    play.sent_back().say(closed("p1", DisputeOutcome.WON))
    assert play.current.state is State.AWAITING_REVIEW
    assert play.all(RefundReleased) == []
    play.say(closed("p2", DisputeOutcome.WON))
    assert play.current.state is State.APPROVED
    play.reserve()
    assert sum(each.amount for each in play.all(RefundReleased)) == 22200


def test_a_dispute_that_a_person_ignored_is_lost_and_asks_a_person_again() -> None:
    play = labelled().say(opened("p1")).sent_back()
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    assert play.all(RefundReleased)
    play.say(closed("p1", DisputeOutcome.LOST))
    assert escalation(play) is EscalationReason.PAYMENT_NOT_REFUNDABLE
    assert play.all(RefundVoided)


def test_a_dispute_during_a_review_is_told_and_its_loss_takes_the_release_back() -> None:
    play = split.released()
    play.say(examples.inspected(grade=Grade.WRONG_ITEM))
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    play.say(opened("p1"))
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    assert play.made.escalation is not None
    assert play.made.escalation.context["dispute_id"] == "dp_p1"
    play.say(closed("p1", DisputeOutcome.LOST))
    assert play.all(RefundVoided)
    assert play.made.escalation is not None
    assert play.made.escalation.context["dispute_outcome"] == "lost"
