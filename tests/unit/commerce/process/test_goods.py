"""Domain, section 1: hand-overs of goods, and of replacements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.decisions import (
    CloseOutcome,
    EscalationReason,
    Outcome,
    RefundReleased,
    ReplacementReleased,
    ReturnClosed,
    ReturnDecisionMade,
)
from contracts.fulfillment import (
    NOT_VOIDED,
    ParcelUnmatched,
    ReplacementFailed,
    ReplacementShipped,
    ReturnLabelFailed,
    ReturnLost,
    ReturnNotSent,
)
from contracts.lifecycle import Party
from contracts.requests import (
    ChosenMethod,
    CountedLine,
    Evidence,
    EvidenceAdded,
    EvidenceKind,
    Method,
)
from contracts.reviews import ReviewDecision, ReviewedSettlement
from contracts.warehouse import Grade
from services.commerce.decide.draft import WAIT
from services.commerce.judgement import History, OrdersOfTheYear, PastReturn
from services.commerce.model import State
from services.commerce.policy.model import Limits, Policy
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import chosen, escalation, policy, review


def not_sent(play: Play, quantity: int = 1) -> ReturnNotSent:
    lines = (CountedLine(line_id="1", quantity=quantity),)
    return ReturnNotSent(return_id=examples.RETURN_ID, occurred_at=play.now, lines=lines)


def test_a_receipt_without_a_scan_goes_through_two_statuses_in_order() -> None:
    play = Play().approved()
    play.say(examples.received())
    assert play.statuses[-3:] == [
        "awaiting_physical_receipt",
        "physically_received",
        "quality_check",
    ]


def test_an_inspection_without_anything_before_goes_through_all_of_them() -> None:
    play = Play().approved()
    play.say(examples.inspected())
    assert play.statuses[-3:] == ["physically_received", "quality_check", "pending_settlement"]


def test_events_that_come_late_never_move_the_goods_back() -> None:
    play = Play().approved().sent_back().say(examples.inspected())
    play.say(examples.shipped(), examples.delivered(), examples.received())
    assert play.statuses[-1] == "pending_settlement"


def test_a_return_that_was_never_sent_expires() -> None:
    play = Play().approved()
    play.say(not_sent(play))
    assert play.statuses[-1] == "expired"
    assert play.last(ReturnClosed).outcome is CloseOutcome.EXPIRED


def test_nobody_is_asked_while_fulfillment_may_still_say_that_nothing_was_sent() -> None:
    play = Play().approved()
    away = timedelta(minutes=50)  # at the very instant that all returns of the day share
    assert play.status.until is not None
    end = play.status.until + away
    while (due := play.deadlines[WAIT]).message is not None and due.at is not None and due.at < end:
        play.now = due.at
        play.say(due.message)
    play.say(not_sent(play))
    assert play.statuses[-1] == "expired"
    assert "awaiting_review" not in play.statuses


def test_a_person_is_asked_where_fulfillment_stays_silent() -> None:
    play = Play().approved().wait_over()
    assert escalation(play) is EscalationReason.ASSESSMENT_TIMEOUT


def test_a_statutory_withdrawal_never_expires_by_itself() -> None:
    play = Play(order=examples.order(country="DE", currency="EUR"))
    play.approved(reason="changed_mind", currency="EUR", statutory_withdrawal=True)
    play.say(not_sent(play))
    assert escalation(play) is EscalationReason.POLICY_GAP
    assert play.all(ReturnClosed) == []


def test_what_was_paid_and_never_sent_goes_to_a_person() -> None:
    play = Play(policy=policy(refund_on="approval")).approved()
    assert len(play.all(RefundReleased)) == 1
    play.say(not_sent(play))
    assert escalation(play) is EscalationReason.INVENTORY_CONTRADICTION


@pytest.mark.parametrize("parcel", [examples.shipped(), examples.delivered(), examples.received()])
@pytest.mark.parametrize("how", ["cancelled", "expired", "rejected"])
def test_a_parcel_after_the_end_reopens_the_return_for_a_person(how: str, parcel: Any) -> None:
    if how == "rejected":
        traits = examples.order().model_dump(mode="json")
        traits["lines"][0]["traits"] = ["perishable"]
        play = Play(order=examples.order(lines=traits["lines"])).ask().assessed()
    else:
        play = Play().approved()
        play.say(cancelled(play) if how == "cancelled" else not_sent(play))
    assert play.statuses[-1] == how
    play.say(parcel)
    assert play.statuses[-1] == "awaiting_review"
    assert escalation(play) is EscalationReason.INVENTORY_CONTRADICTION
    made = len(play.all(ReturnDecisionMade))
    play.say(review(play, ReviewDecision.REJECT), examples.received())
    assert play.statuses[-1] == "rejected"
    assert len(play.all(ReturnDecisionMade)) == made + 1


def cancelled(play: Play) -> Any:
    from contracts.requests import CancelReturn

    return CancelReturn(return_id=examples.RETURN_ID, requested_at=play.now)


def test_a_parcel_that_was_sent_before_the_decision_is_on_its_way_once_approved() -> None:
    play = Play().ask()
    play.say(examples.shipped(()))
    play.assessed()
    assert play.statuses[-1] == "in_transit"


def test_a_lost_parcel_is_a_persons_case_and_their_yes_pays() -> None:
    play = Play().approved()
    play.say(examples.shipped())
    lost = ReturnLost(return_id=examples.RETURN_ID, occurred_at=play.now, tracking_number="T1")
    play.say(lost)
    assert escalation(play) is EscalationReason.INVENTORY_CONTRADICTION
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    play.say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"


def test_a_failed_label_is_a_persons_case() -> None:
    play = Play().ask().assessed()
    play.say(
        ReturnLabelFailed(
            return_id=examples.RETURN_ID, occurred_at=play.now, code="refused", reason="address"
        )
    )
    assert escalation(play) is EscalationReason.INVENTORY_CONTRADICTION


def test_a_label_that_is_not_taken_back_concerns_no_return() -> None:
    play = Play().approved()
    play.say(
        ReturnLabelFailed(
            return_id=examples.RETURN_ID, occurred_at=play.now, code=NOT_VOIDED, reason="used"
        )
    )
    assert play.made.decision is Outcome.APPROVED


def test_unexpected_goods_are_a_persons_case() -> None:
    play = Play().approved()
    play.say(ParcelUnmatched(return_id=examples.RETURN_ID, occurred_at=play.now, reason="a brick"))
    assert escalation(play) is EscalationReason.INVENTORY_CONTRADICTION


def test_while_the_label_is_not_there_fulfillment_is_waited_for_and_then_the_customer() -> None:
    play = Play().ask().assessed()
    assert (play.statuses[-1], play.status.waiting_on) == (
        "awaiting_physical_receipt",
        Party.FULFILLMENT,
    )
    assert play.status.until == play.now + timedelta(hours=1)
    play.say(examples.labelled())
    assert play.status.waiting_on is Party.CUSTOMER
    assert play.status.previous == play.status.status
    assert play.status.until == play.made.return_.send_by


def test_a_conflicting_inspection_holds_the_money_until_a_person_decides() -> None:
    play = Play().approved(reason="defective")
    play.sent_back().say(examples.inspected(defect_confirmed=False))
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    assert play.all(RefundReleased) == []
    play.say(review(play, ReviewDecision.ADJUST, amount=10000)).reserve()
    assert play.released.amount == 10000
    play.say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"


def two_of_which_one_is_another_thing() -> Play:
    """Both are back; the second is not what was sold. Its facts are fresh again."""
    pays = Policy(policy="test", version="1", limits=Limits(release_undisputed=True))
    play = Play(order=examples.order(quantity=2), policy=pays).approved(quantity=2)
    play.later(timedelta(days=3)).sent_back(1, 2)
    well, wrong = examples.inspected((1,)), examples.inspected((2,), Grade.WRONG_ITEM)
    return play.say(well.model_copy(update={"lines": (*well.lines, *wrong.lines)}))


def test_a_part_that_nobody_doubts_is_paid_while_a_person_looks_at_the_rest() -> None:
    play = two_of_which_one_is_another_thing()
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    play.assessed()
    assert (play.released.amount, play.released.lines[0].units) == (21200, (1,))
    assert play.status.status == "awaiting_review"
    assert play.released.decision_sequence == 1
    play.say(review(play, ReviewDecision.REJECT))
    assert play.made.decision is Outcome.APPROVED and play.made.refund is not None
    assert play.made.refund.total == 21200
    play.reserve().say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"
    assert sum(each.amount for each in play.all(RefundReleased)) == 21200


def test_a_persons_yes_pays_the_rest_and_never_twice() -> None:
    play = two_of_which_one_is_another_thing().assessed()
    play.say(review(play, ReviewDecision.APPROVE)).reserve()
    amounts = [each.amount for each in play.all(RefundReleased)]
    assert amounts == [21200, 22200] and sum(amounts) == play.made.refund.total


def test_nothing_is_paid_of_the_undisputed_where_the_money_facts_have_turned() -> None:
    play = two_of_which_one_is_another_thing().assessed(amount=0)
    assert play.all(RefundReleased) == [] and play.status.status == "awaiting_review"


def test_more_evidence_does_not_stop_the_undisputed_part() -> None:
    play = two_of_which_one_is_another_thing()
    text = Evidence(evidence_id="e1", kind=EvidenceKind.TEXT, text="look")
    play.say(
        EvidenceAdded(return_id=examples.RETURN_ID, evidence=(text,), added_at=play.now)
    ).assessed()
    assert play.released.amount == 21200


def test_a_suspicious_carton_is_looked_at_before_it_is_paid_on_receipt() -> None:
    returned = tuple(
        PastReturn(requested_at=examples.NOW - timedelta(days=ago), order_id=f"h{ago}", value=9000)
        for ago in (2, 5, 8)
    )
    history = History(returns=returned, orders=OrdersOfTheYear(count=5, value=60000))
    for weight, paid in ((1000, 1), (100, 0)):
        for known, expected in ((history, paid), (History(), 1)):
            play = Play(policy=policy(refund_on="receipt"), history=known).approved()
            carton = examples.received().model_copy(
                update={"carton_weight_grams": weight, "expected_weight_grams": 1000}
            )
            play.say(examples.shipped(), carton)
            assert len(play.all(RefundReleased)) == expected, (weight, known)
            if not expected:
                assert escalation(play) is EscalationReason.FRAUD_SUSPECTED


def test_a_worse_inspection_after_payment_goes_to_a_person_and_takes_nothing_back() -> None:
    play = Play(policy=policy(refund_on="receipt")).approved().sent_back()
    play.say(examples.settled(play.released), examples.inspected(grade=Grade.DAMAGED))
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    assert len(play.all(RefundReleased)) == 1


def test_a_good_inspection_after_payment_needs_no_new_decision() -> None:
    play = Play(policy=policy(refund_on="receipt")).approved().sent_back()
    made = play.made
    play.say(examples.settled(play.released), examples.inspected())
    assert play.made is made
    assert play.statuses[-1] == "settled"


def replacing(**defaults: Any) -> Play:
    play = Play(policy=policy(**defaults)).ask(
        examples.request(resolution="replacement", reason="defective")
    )
    return play.assessed().say(examples.labelled())


def of_replacement(play: Play, kind: type[Any], **more: Any) -> Any:
    released = play.last(ReplacementReleased)
    return kind(
        return_id=released.return_id,
        occurred_at=play.now,
        replacement_id=released.replacement_id,
        sku=released.sku,
        quantity=released.quantity,
        **more,
    )


@pytest.mark.parametrize(("refund_on", "when"), [("approval", 0), ("receipt", 3)])
def test_a_replacement_reserves_nothing_and_is_sent_on_its_condition(
    refund_on: str, when: int
) -> None:
    play = replacing(refund_on=refund_on)
    assert play.made.decision is Outcome.APPROVED
    assert play.made.refund is not None and play.made.refund.total == 0
    seen = [len(play.all(ReplacementReleased))]
    for step in (examples.shipped(), examples.delivered(), examples.received()):
        play.say(step)
        seen.append(len(play.all(ReplacementReleased)))
    assert seen == [0] * when + [1] * (4 - when)
    play.say(examples.inspected(defect_confirmed=True))
    play.say(of_replacement(play, ReplacementShipped))
    assert play.statuses[-1] == "settled"
    assert play.all(RefundReleased) == []


def test_when_the_replacement_fails_the_customer_may_take_money() -> None:
    play = replacing(refund_on="receipt").sent_back()
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock"))
    assert play.status.waiting_on is Party.CUSTOMER
    assert play.status.until == play.now + timedelta(days=7)
    play.say(chosen(play, ChosenMethod.ORIGINAL_PAYMENT_METHOD))
    assert play.made.decision is Outcome.APPROVED
    play.reserve()
    assert play.released.amount == 22200


def test_when_the_replacement_fails_the_customer_may_wait_and_then_it_is_tried_again() -> None:
    play = replacing(refund_on="receipt").sent_back()
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock"))
    play.say(chosen(play, ChosenMethod.WAIT)).wait_over()
    first, second = play.all(ReplacementReleased)
    assert first.replacement_id == second.replacement_id
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock"))
    assert escalation(play) is EscalationReason.POLICY_GAP


def test_a_replacement_that_fails_before_the_goods_are_back_waits_for_them() -> None:
    play = replacing(refund_on="receipt")
    play.say(
        ReplacementFailed(
            return_id=play.current.return_id,
            occurred_at=play.now,
            replacement_id="stock:1",
            sku="JACKET-M",
            quantity=1,
            reason="out of stock",
        )
    )
    assert play.status.waiting_on is Party.CUSTOMER
    play.say(chosen(play, ChosenMethod.WAIT)).wait_over()
    assert play.all(ReplacementReleased) == []
    play.sent_back().assessed()
    assert len(play.all(ReplacementReleased)) == 1


def test_a_customer_who_does_not_choose_about_the_replacement_is_a_persons_case() -> None:
    play = replacing(refund_on="receipt").sent_back()
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock")).wait_over()
    assert escalation(play) is EscalationReason.POLICY_GAP


def test_a_return_without_goods_to_send_settles_on_money_alone() -> None:
    play = Play(policy=policy(keep_item_up_to={"USD": 30000})).ask().assessed()
    assert play.made.return_.required is False
    assert play.statuses[-1] == "pending_settlement"
    play.reserve().say(examples.settled(play.released))
    assert play.statuses[-1] == "settled"
    assert play.current.state is State.APPROVED


def test_a_person_pays_where_the_customer_says_nothing_to_a_failed_replacement() -> None:
    play = replacing(refund_on="receipt").sent_back()
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock")).wait_over()
    assert escalation(play) is EscalationReason.POLICY_GAP
    method = ReviewedSettlement(method=Method.ORIGINAL_PAYMENT_METHOD)
    play.say(review(play, ReviewDecision.APPROVE, settlement=method)).reserve().assessed()
    assert [each.amount for each in play.all(RefundReleased)] == [22200]
    assert len(play.all(ReplacementReleased)) == 1
    play.say(examples.inspected())
    assert [each.amount for each in play.all(RefundReleased)] == [22200]


def test_a_replacement_is_not_tried_again_while_a_person_looks() -> None:
    play = replacing(refund_on="receipt").sent_back()
    play.say(of_replacement(play, ReplacementFailed, reason="out of stock"))
    play.say(chosen(play, ChosenMethod.WAIT))
    play.say(examples.inspected(grade=Grade.WRONG_ITEM))
    assert escalation(play) is EscalationReason.CONFLICTING_EVIDENCE
    play.wait_over()
    assert len(play.all(ReplacementReleased)) == 1
    assert play.status.status == "awaiting_review"
