"""Requests, orders that come late, cases, reviews, cancellation, and waits that run out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.assessments import AssessmentRequested
from contracts.decisions import (
    CloseOutcome,
    EscalationReason,
    Outcome,
    RefundReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.lifecycle import Party, ReturnStatusChanged
from contracts.quarantine import RecordQuarantined
from contracts.requests import CancelReturn, Evidence, EvidenceAdded, EvidenceKind
from contracts.reviews import ReviewDecided, ReviewDecision
from services.commerce.model import State
from services.commerce.policy.model import Limits, Policy
from services.commerce.promise import Promise
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import escalation, policy, review


def over_the_limit(**limits: Any) -> Policy:
    """Every return of the jacket is a person's case."""
    return Policy(policy="t", version="1", limits=Limits(auto_approve_up_to={"USD": 1}, **limits))


def evidence(play: Play, id_: str = "e1", **more: Any) -> EvidenceAdded:
    each = Evidence(evidence_id=id_, kind=EvidenceKind.TEXT, text="look", **more)
    return EvidenceAdded(return_id=examples.RETURN_ID, evidence=(each,), added_at=play.now)


def cancelled(play: Play) -> CancelReturn:
    return CancelReturn(return_id=examples.RETURN_ID, requested_at=play.now)


def test_a_request_is_acknowledged_before_facts_are_asked_for() -> None:
    play = Play().ask()
    assert play.statuses == ["requested", "assessing"]
    assert play.heard.index(play.last(AssessmentRequested)) == 2
    assert play.status.until == play.now + timedelta(seconds=60)


def test_an_order_that_does_not_come_within_ten_seconds_is_a_persons_case() -> None:
    play = Play(order=None).ask()
    assert play.status.until == play.now + timedelta(seconds=10)
    play.wait_over()
    assert play.statuses == ["requested", "awaiting_review"]
    assert escalation(play) is EscalationReason.ORDER_NOT_FOUND
    assert play.made.sequence == 1


def test_an_order_that_turns_up_later_is_judged_and_the_sequence_goes_on() -> None:
    play = Play(order=None).ask().wait_over()
    play.order = examples.order()
    play.say(play.order).assessed()
    assert play.statuses[-2:] == ["assessing", "awaiting_physical_receipt"]
    assert (play.made.sequence, play.made.decision) == (2, Outcome.APPROVED)


def test_linking_an_order_proves_ownership() -> None:
    play = Play(order=None).ask(
        examples.request(
            order_id=None,
            claim={"order_number": "N?", "email": "x@y.example"},
            requester={"customer_id": "somebody", "verified_by": "none"},
        )
    )
    play.wait_over()
    play.order = examples.order()
    play.say(review(play, ReviewDecision.LINK_ORDER, linked_order_id=examples.ORDER_ID))
    assert play.statuses[-1] == "assessing"
    play.assessed()
    assert (play.made.sequence, play.made.decision) == (2, Outcome.APPROVED)
    assert play.current.order_key == examples.ORDER_ID


def test_answers_to_another_round_are_ignored() -> None:
    play = Play().ask()
    asked = play.last(AssessmentRequested)
    play.say(examples.returnable(asked, round=2), examples.refundable(asked))
    assert play.all(ReturnDecisionMade) == []
    play.say(examples.returnable(asked), examples.returnable(asked))
    assert len(play.all(ReturnDecisionMade)) == 1


@pytest.mark.parametrize("answered", ["nothing", "returnable", "refundable"])
def test_after_sixty_seconds_it_is_judged_with_what_is_known(answered: str) -> None:
    play = Play().ask()
    asked = play.last(AssessmentRequested)
    if answered != "nothing":
        play.say(getattr(examples, answered)(asked))
    play.wait_over()
    assert play.statuses[-1] == "awaiting_review"
    assert escalation(play) is EscalationReason.ASSESSMENT_TIMEOUT


def test_a_case_is_reminded_of_and_never_decided_by_itself() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    made = len(play.all(ReturnDecisionMade))
    for _ in range(3):
        play.wait_over()
        assert (play.statuses[-1], play.status.waiting_on) == ("awaiting_review", Party.REVIEWER)
        assert play.status.until == play.now + timedelta(hours=24)
    assert len(play.all(ReturnDecisionMade)) == made


def test_a_stale_review_is_not_executed_and_the_case_is_published_again() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    hash_ = play.current.case_sha256
    play.say(review(play, ReviewDecision.APPROVE, case_sha256="0" * 64))
    assert play.made.decision is Outcome.ESCALATED
    assert "stale_review" in [each.code for each in play.made.findings]
    assert play.current.case_sha256 == hash_
    play.say(review(play, ReviewDecision.APPROVE))
    assert play.made.decision is Outcome.APPROVED


def test_new_evidence_gives_the_case_a_new_hash() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    old = review(play, ReviewDecision.APPROVE)
    play.say(evidence(play))
    assert play.made.escalation is not None
    assert play.made.escalation.case.case_sha256 != old.case_sha256
    play.say(old)
    assert play.made.decision is Outcome.ESCALATED
    made = len(play.all(ReturnDecisionMade))
    play.say(evidence(play))
    assert len(play.all(ReturnDecisionMade)) == made


def test_a_request_for_evidence_waits_for_the_customer_and_then_for_the_reviewer_again() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    play.say(review(play, ReviewDecision.REQUEST_EVIDENCE))
    assert play.status.waiting_on is Party.CUSTOMER
    assert play.status.until == play.now + timedelta(days=7)
    play.wait_over()
    assert play.status.waiting_on is Party.REVIEWER
    play.say(review(play, ReviewDecision.REQUEST_EVIDENCE), evidence(play))
    assert play.status.waiting_on is Party.REVIEWER


def test_rejection_closes_the_return_for_everybody() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    play.say(review(play, ReviewDecision.REJECT))
    assert play.statuses[-1] == "rejected"
    assert play.last(ReturnClosed).outcome is CloseOutcome.REJECTED


def test_nobody_reviews_their_own_order() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    play.say(review(play, ReviewDecision.APPROVE, reviewer="customer-1"))
    assert play.made.decision is Outcome.ESCALATED
    assert "not_allowed" in [each.code for each in play.made.findings]


def test_over_the_limit_of_four_eyes_two_different_people_decide() -> None:
    play = Play(policy=over_the_limit(four_eyes_above={"USD": 100})).ask().assessed()
    play.say(review(play, ReviewDecision.APPROVE))
    assert play.made.decision is Outcome.ESCALATED
    play.say(review(play, ReviewDecision.APPROVE))
    assert play.made.decision is Outcome.ESCALATED
    play.say(review(play, ReviewDecision.APPROVE, reviewer="reviewer-2"))
    assert play.made.decision is Outcome.APPROVED


def test_a_merchants_decision_that_came_with_the_request_waits_for_the_case() -> None:
    early = ReviewDecided(
        return_id=examples.RETURN_ID,
        decision=ReviewDecision.APPROVE,
        reason="we know them",
        reviewer="shop",
        decided_at=examples.NOW,
    )
    play = Play(policy=over_the_limit()).ask().say(early).assessed()
    assert play.made.decision is Outcome.APPROVED
    assert play.made.sequence == 2
    assert Play().ask().say(early).assessed().made.sequence == 1


@pytest.mark.parametrize("when", ["requested", "assessing", "approved", "awaiting_review"])
def test_cancelling_is_possible_until_a_carrier_has_it(when: str) -> None:
    play = Play(
        order=None if when == "requested" else examples.order(),
        policy=over_the_limit() if when == "awaiting_review" else policy(),
    ).ask()
    if when in ("approved", "awaiting_review"):
        play.assessed()
    play.say(cancelled(play))
    assert play.statuses[-1] == "cancelled"
    assert play.last(ReturnClosed).outcome is CloseOutcome.CANCELLED
    assert play.deadlines["wait"].message is None


@pytest.mark.parametrize("why", ["scanned", "released", "over"])
def test_what_cannot_be_cancelled_is_explained(why: str) -> None:
    play = Play(policy=policy(refund_on="approval" if why == "released" else "inspection"))
    play.approved()
    if why == "scanned":
        play.say(examples.shipped())
    if why == "over":
        play.say(cancelled(play))
    before = play.status
    play.say(cancelled(play))
    after = play.status
    assert after.number == before.number + 1
    assert (after.status, after.previous) == (before.status, before.status)
    assert "already" in after.explanation or "cannot be cancelled" in after.explanation


def test_a_quarantined_record_moves_its_return_to_a_person() -> None:
    record = RecordQuarantined(
        service="payment",
        topic="payment.events",
        partition=0,
        offset=1,
        return_id=examples.RETURN_ID,
        reason="not readable",
    )
    for play in (Play(order=None).ask(), Play().ask(), Play().approved()):
        sequence = play.current.sequence
        play.say(record)
        assert play.statuses[-1] == "awaiting_review"
        assert escalation(play) is EscalationReason.QUARANTINED_MESSAGE
        assert play.made.sequence == sequence + 1
    closed = Play().approved()
    closed.say(cancelled(closed), record)
    assert closed.statuses[-1] == "cancelled"


def test_every_other_wait_that_runs_out_is_a_persons_case() -> None:
    stages = {
        "label": lambda: Play().ask().assessed(),
        "customer": lambda: Play().approved(),
        "transit": lambda: Play().approved().say(examples.shipped()),
        "counting": lambda: Play().approved().say(examples.delivered()),
        "inspecting": lambda: Play().approved().sent_back(),
        "reserving": lambda: Play().approved().sent_back().say(examples.inspected()),
        "settling": lambda: Play().approved().sent_back().say(examples.inspected()).reserve(),
    }
    for stage, reach in stages.items():
        play = reach()
        assert play.current.state is State.APPROVED, stage
        play.wait_over()
        assert escalation(play) is EscalationReason.ASSESSMENT_TIMEOUT, stage


def test_a_wait_of_an_earlier_status_no_longer_matters() -> None:
    play = Play().ask()
    old = play.deadlines["wait"].message
    assert old is not None
    play.assessed().say(old)
    assert play.ignored == ["the return has moved on"]


def test_another_amount_than_was_quoted_is_explained() -> None:
    promise = Promise(quote_id="q1", amount=20000, currency="USD", acknowledged_at=examples.NOW)
    play = Play(promise=promise).ask().assessed()
    [found] = [each for each in play.made.findings if each.code == "quote_differs"]
    assert "200.00 USD" in found.explanation and "222.00 USD" in found.explanation
    assert play.made.decision is Outcome.APPROVED


def test_a_persons_yes_is_not_asked_for_again_after_the_inspection() -> None:
    play = Play(policy=over_the_limit()).ask().assessed()
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    play.say(examples.labelled()).sent_back().say(examples.inspected())
    assert play.made.decision is Outcome.APPROVED
    play.reserve()
    assert len(play.all(RefundReleased)) == 1


def test_numbers_count_without_gaps_and_previous_is_always_the_one_before() -> None:
    play = Play().approved().sent_back().say(examples.inspected()).reserve()
    play.say(examples.settled(play.released), cancelled(play))
    changes = play.all(ReturnStatusChanged)
    assert [each.number for each in changes] == list(range(1, len(changes) + 1))
    assert [each.previous for each in changes[1:]] == [each.status for each in changes[:-1]]


def test_a_document_that_proves_the_sending_pays_once_a_person_accepts_it() -> None:
    play = Play(policy=policy(refund_on="proof_of_sending")).approved()
    play.say(evidence(play, purpose="proof_of_sending"))
    assert (play.statuses[-1], play.all(RefundReleased)) == ("awaiting_review", [])
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    assert play.released.amount == 22200
    assert play.statuses[-1] == "in_transit"


def test_people_are_written_to_when_a_case_is_theirs_and_reminded_a_day_later() -> None:
    play = Play(policy=over_the_limit(), mail=True).ask().assessed()
    assert len(play.mails) == 1
    play.wait_over()
    assert len({each.id for each in play.mails}) == 2
