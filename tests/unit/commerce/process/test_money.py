"""Domain, section 1: hand-overs of money."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.assessments import AssessmentRequested, Purpose
from contracts.decisions import (
    Escalation,
    EscalationReason,
    Outcome,
    RefundReleased,
    RefundVoided,
    ReversalReleased,
)
from contracts.fulfillment import ReturnNotSent
from contracts.lifecycle import Party, ReturnStatusChanged
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    DisputeOutcome,
    FailedState,
    RefundPending,
    RefundReservationRefused,
    RefundReservationVoided,
)
from contracts.requests import (
    ChosenMethod,
    Consent,
    CountedLine,
    Method,
    ReversalRequested,
    SettlementChosen,
)
from contracts.reviews import ReviewDecided, ReviewDecision, ReviewedSettlement
from services.commerce.model import State
from services.commerce.policy.model import Limits, Policy, Reversal, Settings
from services.commerce.transitions import Impossible
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play


def policy(**defaults: Any) -> Policy:
    return Policy(policy="test", version="1", defaults=Settings(**defaults))


def escalation(play: Play) -> EscalationReason | None:
    made = play.made
    return made.escalation.reason if made.escalation is not None else None


def case_of(play: Play) -> Escalation:
    made = play.made
    assert made.escalation is not None
    return made.escalation


def choice(play: Play, decision: str) -> str:
    """What the case that stands says would come of a decision."""
    return next(each.effect for each in case_of(play).case.choices if each.decision == decision)


def review(play: Play, decision: ReviewDecision, **more: Any) -> ReviewDecided:
    made = play.made
    assert made.escalation is not None
    fields: dict[str, Any] = {
        "return_id": made.return_id,
        "decision": decision,
        "reason": "looked at it",
        "reviewer": "reviewer-1",
        "case_sha256": made.escalation.case.case_sha256,
        "decided_at": play.now,
    }
    return ReviewDecided.model_validate(fields | more)


def chosen(play: Play, method: ChosenMethod) -> SettlementChosen:
    return SettlementChosen(
        return_id=examples.RETURN_ID,
        order_id=examples.ORDER_ID,
        method=method,
        consent_at=play.now,
    )


def disputed(play: Play, outcome: DisputeOutcome | None = None) -> DisputeOpened:
    fields: dict[str, Any] = {
        "order_id": examples.ORDER_ID,
        "payment_id": "p1",
        "dispute_id": "dp_1",
        "amount": 22200,
        "currency": "USD",
    }
    if outcome is None:
        return DisputeOpened(**fields)
    return DisputeClosed(**fields, outcome=outcome)


def voided(released: RefundReleased) -> RefundReservationVoided:
    return RefundReservationVoided(
        return_id=released.return_id,
        order_id=released.order_id,
        decision_sequence=released.decision_sequence,
        allocations=({"payment_id": "p1", "amount": released.amount},),
        currency="USD",
    )


def test_nothing_is_released_before_the_reservation_of_the_current_sequence() -> None:
    play = Play(policy=policy(refund_on="approval")).ask().assessed()
    first = examples.reserved(play.made)
    play.say(examples.labelled())
    assert play.all(RefundReleased) == []
    play.say(first.model_copy(update={"decision_sequence": 7}))
    assert play.all(RefundReleased) == []
    play.say(first)
    assert play.released.amount == 22200


@pytest.mark.parametrize(
    ("refund_on", "when"),
    [("approval", 0), ("proof_of_sending", 1), ("receipt", 3), ("inspection", 4)],
)
def test_money_is_released_once_its_condition_holds(refund_on: str, when: int) -> None:
    play = Play(policy=policy(refund_on=refund_on)).approved()
    seen = [len(play.all(RefundReleased))]
    steps = (examples.shipped(), examples.delivered(), examples.received(), examples.inspected())
    for step in steps:
        play.say(step)
        play.reserve()
        seen.append(len(play.all(RefundReleased)))
    assert seen == [0] * when + [1] * (5 - when)
    play.say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"


def test_a_receipt_counts_as_proof_of_sending() -> None:
    play = Play(policy=policy(refund_on="proof_of_sending")).approved()
    play.say(examples.received())
    assert play.released.amount == 22200


def test_only_counted_units_are_paid_and_the_parts_sum_to_the_whole() -> None:
    order = examples.order(quantity=3)
    play = Play(order=order, policy=policy(refund_on="receipt"))
    play.policy = Policy(
        policy="test",
        version="1",
        defaults=Settings(refund_on="receipt"),
        limits=Limits(auto_approve_up_to={}),
    )
    play.approved(quantity=3).sent_back(1, 2)
    assert [each.amount for each in play.all(RefundReleased)] == [42400]
    play.say(examples.inspected((1, 2)))
    assert play.statuses[-1] == "awaiting_physical_receipt"
    play.say(examples.received((3,)), examples.inspected((3,)))
    amounts = [each.amount for each in play.all(RefundReleased)]
    assert amounts == [42400, 22200]
    ids = {each.refund_id for each in play.all(RefundReleased)}
    assert len(ids) == 2
    for released in play.all(RefundReleased):
        play.say(examples.settled(released))
    assert play.statuses[-1] == "settled"


def test_after_a_short_inspection_the_rest_stays_outstanding_until_it_is_never_sent() -> None:
    limits = Limits(auto_approve_up_to={})
    play = Play(
        order=examples.order(quantity=3), policy=Policy(policy="t", version="1", limits=limits)
    )
    play.approved(quantity=3).sent_back(1, 2).say(examples.inspected((1, 2)))
    made = play.made
    assert made.release is not None and made.release.amount == 42400
    assert made.return_.outstanding == (CountedLine(line_id="1", quantity=1),)
    play.reserve()
    assert play.released.amount == 42400
    play.say(examples.settled(play.released))
    assert play.statuses[-1] == "awaiting_physical_receipt"
    not_sent = ReturnNotSent(
        return_id=examples.RETURN_ID,
        occurred_at=play.now,
        lines=(CountedLine(line_id="1", quantity=1),),
    )
    play.say(not_sent)
    assert play.made.sequence == made.sequence + 1
    assert play.made.refund is not None and play.made.refund.total == 42400
    play.reserve()
    assert play.statuses[-1] == "settled"
    assert len(play.all(RefundReleased)) == 1


def test_facts_older_than_fifteen_minutes_are_asked_for_again_before_money_moves() -> None:
    play = Play(policy=policy(refund_on="receipt")).approved().later(timedelta(minutes=16))
    play.sent_back()
    asked = play.last(AssessmentRequested)
    assert (asked.purpose, asked.round) == (Purpose.REFRESH, 2)
    assert play.all(RefundReleased) == []
    play.assessed()
    assert play.released.amount == 22200


def test_facts_that_have_turned_go_to_a_person() -> None:
    play = Play(policy=policy(refund_on="receipt")).approved().later(timedelta(minutes=16))
    play.sent_back().assessed(amount=100)
    assert play.all(RefundReleased) == []
    assert escalation(play) is EscalationReason.PAYMENT_NOT_REFUNDABLE


def test_a_refused_reservation_goes_to_a_person_with_the_alternatives() -> None:
    play = Play().ask().assessed()
    fields = examples.reserved(play.made).model_dump()
    refused = RefundReservationRefused(
        **fields, code="dispute_open", alternatives=(Method.STORE_CREDIT,)
    )
    play.say(refused)
    assert escalation(play) is EscalationReason.PAYMENT_NOT_REFUNDABLE
    assert play.made.escalation is not None
    assert play.made.escalation.context["alternatives"] == ["store_credit"]


def ready_to_fail(play: Play | None = None) -> Play:
    play = play or Play()
    return play.approved().sent_back().say(examples.inspected()).reserve()


@pytest.mark.parametrize("state", [FailedState.REFUSED, FailedState.SETTLEMENT_FAILED])
def test_a_failed_refund_is_settlement_failed_until_something_replaces_it(
    state: FailedState,
) -> None:
    play = ready_to_fail()
    first = play.released
    play.say(examples.settled(first)) if state is FailedState.SETTLEMENT_FAILED else play
    play.say(examples.failed(first, state))
    assert play.statuses[-1] == "settlement_failed"
    assert play.status.waiting_on is Party.CUSTOMER
    assert escalation(play) is EscalationReason.SETTLEMENT_FAILED
    play.say(chosen(play, ChosenMethod.STORE_CREDIT))
    assert play.made.decision is Outcome.APPROVED
    assert play.made.settlement.method is Method.STORE_CREDIT
    assert len(play.all(RefundReleased)) == 1
    play.reserve()
    second = play.released
    assert second.replaces_refund_id == first.refund_id
    assert (second.amount, second.method) == (first.amount, Method.STORE_CREDIT)
    play.say(examples.settled(second))
    assert play.statuses[-1] == "settled"


def test_approving_without_a_settlement_tries_the_original_again() -> None:
    play = ready_to_fail()
    first = play.released
    play.say(examples.failed(first))
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    second = play.released
    assert second.replaces_refund_id == first.refund_id
    assert (second.method, second.payment_id) == (Method.ORIGINAL_PAYMENT_METHOD, "p1")
    assert second.refund_id != first.refund_id


def test_a_bank_transfer_that_the_customer_chose_is_carried_out_by_a_person() -> None:
    play = ready_to_fail()
    play.say(examples.failed(play.released), chosen(play, ChosenMethod.BANK_TRANSFER))
    assert play.made.decision is Outcome.ESCALATED
    assert play.status.waiting_on is Party.REVIEWER
    paid = ReviewedSettlement(method=Method.BANK_TRANSFER, reference="SEPA-1")
    play.say(review(play, ReviewDecision.APPROVE, settlement=paid)).reserve()
    assert (play.released.method, play.released.reference) == (Method.BANK_TRANSFER, "SEPA-1")


def test_a_customer_who_does_not_choose_within_seven_days_is_a_persons_case() -> None:
    play = ready_to_fail()
    play.say(examples.failed(play.released))
    began = play.now
    play.wait_over()
    assert play.status.waiting_on is Party.CUSTOMER
    assert play.status.until == began + timedelta(days=7)
    play.wait_over()
    assert play.now == began + timedelta(days=7)
    assert (play.statuses[-1], play.status.waiting_on) == ("settlement_failed", Party.REVIEWER)


def test_a_dispute_before_submission_stops_and_a_won_one_goes_on_with_the_same_refund() -> None:
    play = ready_to_fail()
    play.say(disputed(play))
    assert escalation(play) is EscalationReason.PAYMENT_NOT_REFUNDABLE
    play.say(disputed(play, DisputeOutcome.WON)).reserve()
    assert play.current.state is State.APPROVED
    assert len(play.all(RefundReleased)) == 1
    play.say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"


def test_a_lost_dispute_takes_the_release_back_and_another_method_waits_for_that() -> None:
    play = ready_to_fail()
    first = play.released
    play.say(disputed(play), disputed(play, DisputeOutcome.LOST))
    assert play.last(RefundVoided).refund_id == first.refund_id
    credit = ReviewedSettlement(method=Method.STORE_CREDIT)
    play.say(review(play, ReviewDecision.APPROVE, settlement=credit)).reserve()
    assert len(play.all(RefundReleased)) == 1
    play.say(voided(first))
    assert play.released.replaces_refund_id == first.refund_id
    assert play.released.method is Method.STORE_CREDIT


def test_a_person_may_reject_what_a_lost_dispute_took_back_and_is_told_so() -> None:
    play = ready_to_fail()
    play.say(disputed(play), disputed(play, DisputeOutcome.LOST))
    assert choice(play, "reject").startswith("not allowed")
    assert case_of(play).context["dispute_outcome"] == "lost"
    before = case_of(play).case.case_sha256
    play.say(voided(play.released))
    assert case_of(play).case.case_sha256 != before
    assert choice(play, "reject") == "nothing is refunded, the return ends"
    play.say(review(play, ReviewDecision.REJECT))
    assert play.statuses[-1] == "rejected"
    assert len(play.all(RefundReleased)) == 1


def test_a_person_may_reject_a_return_whose_refund_failed_for_good() -> None:
    play = ready_to_fail()
    play.say(examples.failed(play.released))
    assert choice(play, "reject") == "nothing is refunded, the return ends"
    play.say(review(play, ReviewDecision.REJECT))
    assert play.statuses[-1] == "rejected"


def test_what_settled_although_it_was_taken_back_is_not_rejected() -> None:
    play = ready_to_fail()
    first = play.released
    play.say(disputed(play), disputed(play, DisputeOutcome.LOST), examples.settled(first))
    play.say(review(play, ReviewDecision.REJECT))
    assert play.statuses[-1] == "awaiting_review"
    assert choice(play, "reject").startswith("not allowed: money has been released")


def test_a_refund_that_settles_although_it_was_taken_back_is_never_paid_twice() -> None:
    play = ready_to_fail()
    first = play.released
    play.say(disputed(play), disputed(play, DisputeOutcome.LOST), examples.settled(first))
    credit = ReviewedSettlement(method=Method.STORE_CREDIT)
    play.say(review(play, ReviewDecision.APPROVE, settlement=credit)).reserve()
    play.say(voided(first))
    assert len(play.all(RefundReleased)) == 1
    assert play.statuses[-1] == "settled"


def test_a_dispute_on_a_settled_return_tells_a_person_of_the_double_loss() -> None:
    play = ready_to_fail()
    play.say(examples.settled(play.released), disputed(play))
    assert play.statuses[-1] == "awaiting_review"
    escalation = play.made.escalation
    assert escalation is not None
    assert escalation.context["double_loss"] is True
    assert len(play.all(RefundReleased)) == 1


@pytest.mark.parametrize("outcome", [DisputeOutcome.WON, DisputeOutcome.LOST])
def test_a_dispute_on_a_settled_return_ends_without_a_second_payment(
    outcome: DisputeOutcome,
) -> None:
    play = ready_to_fail()
    play.say(examples.settled(play.released), disputed(play), disputed(play, outcome))
    if outcome is DisputeOutcome.LOST:
        assert play.statuses[-1] == "awaiting_review"
        play.say(review(play, ReviewDecision.APPROVE))
    assert play.statuses[-1] == "settled"
    assert len(play.all(RefundReleased)) == 1


def reversal(play: Play, amount: int = 22200, *, consent: bool = True) -> ReversalRequested:
    return ReversalRequested(
        return_id=examples.RETURN_ID,
        order_id=examples.ORDER_ID,
        amount=amount,
        reason="another thing came back",
        consent=Consent(given_at=play.now, text="yes") if consent else None,
        requested_by="reviewer-1",
        requested_at=play.now,
    )


@pytest.mark.parametrize(
    ("allowed", "consent", "amount", "released"),
    [
        (Reversal.NOT_ALLOWED, True, 100, False),
        (Reversal.WITH_CONSENT, False, 100, False),
        (Reversal.WITH_CONSENT, True, 22201, False),
        (Reversal.WITH_CONSENT, True, 22200, True),
    ],
)
def test_a_reversal_needs_the_policy_and_consent_and_never_exceeds_what_was_paid(
    allowed: Reversal, consent: bool, amount: int, released: bool
) -> None:
    limits = Limits(reversal_after_settlement=allowed)
    play = ready_to_fail(Play(policy=Policy(policy="t", version="1", limits=limits)))
    play.say(examples.settled(play.released))
    before = len(play.all(ReturnStatusChanged))
    play.say(reversal(play, amount, consent=consent))
    assert bool(play.all(ReversalReleased)) is released
    told = play.all(ReturnStatusChanged)[before:]
    assert [(each.status, each.previous) for each in told] == [("settled", "settled")]
    assert told[0].explanation != play.all(ReturnStatusChanged)[before - 1].explanation


def test_settlements_that_overtake_others_never_go_back() -> None:
    play = ready_to_fail()
    done = examples.settled(play.released)
    play.say(done, RefundPending(**done.model_dump(include=set(RefundPending.model_fields))))
    assert play.statuses[-1] == "settled"
    assert play.ignored[-1] == "RefundPending while settled"


def test_a_refund_that_settles_after_another_replaced_it_is_impossible() -> None:
    play = ready_to_fail()
    first = play.released
    play.say(examples.failed(first), chosen(play, ChosenMethod.STORE_CREDIT))
    play.reserve()
    with pytest.raises(Impossible):
        play.say(examples.settled(first))
