"""An order that turns up after a person was asked: what it changes, and what it must not."""

from __future__ import annotations

from datetime import timedelta

from contracts.assessments import AssessmentRequested
from contracts.decisions import ReturnDecisionMade
from contracts.quarantine import RecordQuarantined
from contracts.reviews import ReviewDecided
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play


def quarantined() -> RecordQuarantined:
    return RecordQuarantined(
        service="commerce",
        topic="returns.requests",
        partition=0,
        offset=7,
        return_id=examples.RETURN_ID,
        reason="could not be read",
    )


def review(play: Play, decision: str, case: str | None) -> ReviewDecided:
    return ReviewDecided.model_validate(
        {
            "return_id": examples.RETURN_ID,
            "decision": decision,
            "case_sha256": case,
            "reason": "looked at it",
            "reviewer": "bob",
            "decided_at": play.now,
        }
    )


def test_a_case_for_another_reason_stays_with_its_person_when_the_order_turns_up() -> None:
    play = Play(order=None).ask().say(quarantined())
    assert (play.current.state, play.current.escalation) == (
        "awaiting_review",
        "quarantined_message",
    )
    before = play.current.case_sha256
    order = examples.order()
    play.order = order
    play.later(timedelta(seconds=30)).say(order)
    assert (play.current.state, play.current.escalation) == (
        "awaiting_review",
        "quarantined_message",
    )
    assert not play.all(AssessmentRequested)
    assert play.current.order_id == order.order_id and play.current.customer_id == "customer-1"
    assert play.current.case_sha256 != before
    made = play.made
    assert made.decision == "escalated" and made.order_id == order.order_id
    assert made.escalation is not None and made.escalation.reason == "quarantined_message"
    assert made.refund is not None and made.refund.total == 22200
    assert [line.line_id for line in made.lines] == ["1"]


def test_a_decision_on_the_case_without_its_order_is_stale_once_the_order_is_there() -> None:
    play = Play(order=None).ask().say(quarantined())
    before = play.current.case_sha256
    play.order = examples.order()
    play.say(play.order, review(play, "reject", before))
    assert play.current.state == "awaiting_review"
    assert "stale_review" in {each.code for each in play.made.findings}
    play.say(review(play, "approve", play.current.case_sha256))
    assert play.current.state == "approved"
    assert play.made.refund is not None and play.made.refund.total == 22200


def test_a_case_that_looked_for_its_order_is_judged_anew_with_it() -> None:
    play = Play(order=None).ask().wait_over()
    assert play.current.escalation == "order_not_found"
    play.order = examples.order()
    play.say(play.order)
    assert play.current.state == "assessing"
    assert play.assessed().made.decision == "approved"


def test_an_order_that_is_known_changes_nothing_when_it_is_told_again() -> None:
    play = Play(order=None).ask().say(quarantined())
    play.order = examples.order()
    play.say(play.order)
    told = len(play.all(ReturnDecisionMade))
    play.say(play.order)
    assert len(play.all(ReturnDecisionMade)) == told
    assert play.ignored[-1] == "not waiting for its order"
