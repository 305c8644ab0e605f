"""A refund over two payments of which a lost dispute took one back: what is live stands, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.assessments import AssessmentRequested, DisputeState, PaymentRefundability
from contracts.base import Message
from contracts.decisions import Outcome, RefundReleased, RefundVoided
from contracts.lifecycle import Party
from contracts.orders import OrderSnapshot, PaymentMethod
from contracts.payment import DisputeOutcome, RefundReservationVoided
from contracts.requests import Method
from contracts.reviews import ReviewDecision, ReviewedSettlement
from contracts.warehouse import Grade
from services.commerce import status
from services.commerce.model import LIVE, Money
from services.commerce.policy.model import Policy, Settings
from services.commerce.transitions import Impossible
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import case_of, choice, disputed, review

CARD, GIFT = 12_200, 10_000
"""What the jacket was paid with: `p1`, which is disputed, and `p2`."""
WHOLE = CARD + GIFT
CREDIT = ReviewedSettlement(method=Method.STORE_CREDIT)


def order(**changes: Any) -> OrderSnapshot:
    whole = examples.order(quantity=changes.pop("quantity", 1), **changes)
    first = whole.payments[0]
    parts = (("p1", first.captured - GIFT), ("p2", GIFT))
    payments = tuple(
        first.model_copy(
            update={"payment_id": name, "processor_reference": f"pi_{name}", "captured": captured}
        )
        for name, captured in parts
    )
    return whole.model_copy(update={"payments": payments})


def known(play: Play, *, lost: bool = False) -> Play:
    """Both answers to the last question."""
    assert play.order is not None
    payments = tuple(
        PaymentRefundability(
            payment_id=each.payment_id,
            method=PaymentMethod.CARD,
            processed_at=each.captured_at,
            captured=each.captured,
            refundable=0 if lost else each.captured,
            dispute=DisputeState.LOST if lost and each.payment_id == "p1" else DisputeState.NONE,
        )
        for each in play.order.payments
    )
    return play.assessed(payments=payments)


def released(
    bought: OrderSnapshot | None = None, request: Any = None, refund_on: str = "receipt"
) -> Play:
    """Both parts of the refund are released; the goods are back and as new."""
    rules = Settings.model_validate({"refund_on": refund_on})
    policy = Policy(policy="test", version="1", defaults=rules)
    play = Play(order=bought or order(), policy=policy)
    known(play.ask(request)).reserve().say(examples.labelled())
    play.sent_back().say(examples.inspected())
    assert [each.payment_id for each in play.all(RefundReleased)] == ["p2", "p1"]
    return play


def voided(play: Play, *, of: RefundReleased) -> RefundReservationVoided:
    return RefundReservationVoided(
        return_id=of.return_id,
        order_id=of.order_id,
        decision_sequence=of.decision_sequence,
        refund_id=of.refund_id,
        allocations=({"payment_id": of.payment_id or "p1", "amount": of.amount},),
        currency="USD",
    )


def half_lost(play: Play | None = None) -> Play:
    """The part on the gift card has settled; the card's bank took the other one."""
    play = play or released()
    gift, card = play.all(RefundReleased)
    play.say(examples.settled(gift), disputed(play), disputed(play, DisputeOutcome.LOST))
    assert play.last(RefundVoided).refund_id == card.refund_id
    play.say(voided(play, of=card))
    assert play.statuses[-1] == "awaiting_review"
    return play


def test_rejecting_lets_stand_what_is_live_and_pays_nothing_more() -> None:
    play = half_lost()
    play.say(review(play, ReviewDecision.REJECT))
    made = play.made
    assert (made.decision, made.refund and made.refund.total) == (Outcome.APPROVED, GIFT)
    assert made.refund is not None and made.refund.diminished_value == CARD
    assert [(each.payment_id, each.amount) for each in made.settlement.allocations] == [
        ("p2", GIFT)
    ]
    play.reserve()
    assert len(play.all(RefundReleased)) == 2
    assert play.statuses[-1] == "settled"
    assert "100.00 USD" in play.status.explanation


def test_rejecting_while_the_live_part_is_under_way_waits_for_it_alone() -> None:
    play = released()
    gift, card = play.all(RefundReleased)
    play.say(disputed(play), disputed(play, DisputeOutcome.LOST))
    first = play.all(RefundVoided)
    assert {each.refund_id for each in first} == {gift.refund_id, card.refund_id}
    play.say(voided(play, of=card), examples.settled(gift))
    play.say(review(play, ReviewDecision.REJECT)).reserve()
    assert len(play.all(RefundReleased)) == 2
    assert play.statuses[-1] == "settled"


def test_the_case_says_what_stands_and_what_would_be_refused() -> None:
    play = half_lost()
    assert choice(play, "reject") == (
        "100.00 USD stand because they are paid or on their way, 122.00 USD are refused"
    )
    assert choice(play, "approve").startswith(
        "222.00 USD are refunded, 100.00 USD of it are paid or on their way already"
    )
    assert choice(play, "adjust").startswith("between 100.00 USD and 222.00 USD")
    told = {each.name: each.value for each in case_of(play).case.facts}
    assert told["paid_or_on_its_way"] == GIFT
    assert told["taken_back_or_failed"] == CARD


@pytest.mark.parametrize(("amount", "more"), [(GIFT, 0), (GIFT + 1, 1), (15_000, 5_000)])
def test_an_adjustment_goes_down_to_what_is_live_and_pays_only_the_difference(
    amount: int, more: int
) -> None:
    play = half_lost()
    card = play.all(RefundReleased)[1]
    play.say(review(play, ReviewDecision.ADJUST, amount=amount, settlement=CREDIT)).reserve()
    paid = play.all(RefundReleased)[2:]
    assert [(each.amount, each.replaces_refund_id) for each in paid] == (
        [(more, card.refund_id)] if more else []
    )
    play.say(*(examples.settled(each) for each in paid))
    assert play.statuses[-1] == "settled"
    assert sum(each.amount for each in play.made.settlement.allocations) == amount


def test_an_adjustment_below_what_is_live_is_not_carried_out() -> None:
    play = half_lost()
    play.say(review(play, ReviewDecision.ADJUST, amount=GIFT - 1))
    assert play.statuses[-1] == "awaiting_review"
    assert "100.00 USD are paid or on their way already" in play.made.findings[-1].explanation


@pytest.mark.parametrize("position", [0, 1])
def test_what_replaces_a_bank_transfer_goes_back_by_the_payment_that_has_room(
    position: int,
) -> None:
    play = released()
    parts = play.all(RefundReleased)
    failing, settling = parts[position], parts[1 - position]
    play.say(examples.settled(settling), examples.failed(failing))
    by_hand = ReviewedSettlement(method=Method.BANK_TRANSFER)
    play.say(review(play, ReviewDecision.APPROVE, settlement=by_hand)).reserve()
    transfer = play.released
    assert (transfer.payment_id, transfer.amount) == (None, failing.amount)
    play.wait_over()
    original = ReviewedSettlement(method=Method.ORIGINAL_PAYMENT_METHOD)
    play.say(review(play, ReviewDecision.APPROVE, settlement=original)).reserve()
    play.say(voided(play, of=transfer))
    known(play)
    again = play.all(RefundReleased)[3:]
    assert [(each.payment_id, each.amount) for each in again] == [
        (failing.payment_id, failing.amount)
    ]


def test_what_was_refused_is_not_paid_when_the_part_that_stood_fails_later() -> None:
    play = half_lost()
    gift = play.all(RefundReleased)[0]
    play.say(review(play, ReviewDecision.REJECT)).reserve()
    play.say(examples.failed(gift))
    assert play.statuses[-1] == "settlement_failed"
    play.say(review(play, ReviewDecision.APPROVE, settlement=CREDIT)).reserve()
    assert sum(each.amount for each in play.all(RefundReleased)[2:]) == GIFT
    play.say(*(examples.settled(each) for each in play.all(RefundReleased)[2:]))
    assert play.statuses[-1] == "settled"


def test_an_old_fact_about_the_lost_payment_does_not_send_the_rest_round() -> None:
    play = half_lost()
    play.later(timedelta(hours=1))
    play.say(review(play, ReviewDecision.ADJUST, amount=15_000, settlement=CREDIT)).reserve()
    assert play.all(AssessmentRequested)[-1].round == 2
    known(play, lost=True)
    assert play.released.amount == 5_000


def withdrawn() -> Play:
    bought = order(country="DE")
    asked = examples.request(reason="changed_mind", statutory_withdrawal=True)
    return half_lost(released(bought, asked))


def test_a_withdrawal_in_its_period_is_neither_rejected_nor_paid_less() -> None:
    play = withdrawn()
    assert choice(play, "reject").startswith("not allowed: a withdrawal in its period")
    play.say(review(play, ReviewDecision.REJECT))
    assert play.statuses[-1] == "awaiting_review"
    play.say(review(play, ReviewDecision.ADJUST, amount=GIFT))
    assert play.statuses[-1] == "awaiting_review"
    assert len(play.all(RefundReleased)) == 2


def test_of_two_units_the_one_that_is_not_paid_yet_is_refused_as_a_whole() -> None:
    bought = order(quantity=2)
    play = Play(order=bought, policy=Policy(policy="test", version="1"))
    known(play.ask(examples.request(quantity=2))).reserve().say(examples.labelled())
    play.sent_back(1).say(examples.inspected((1,))).reserve()
    gift, card = play.all(RefundReleased)
    play.say(examples.settled(gift), disputed(play), disputed(play, DisputeOutcome.LOST))
    play.say(voided(play, of=card))
    play.say(review(play, ReviewDecision.REJECT)).reserve()
    made = play.made
    assert made.refund is not None and made.refund.total == gift.amount
    assert sum(line.quantity for line in made.lines if line.verdict == "rejected") == 1
    assert len(play.all(RefundReleased)) == 2
    assert play.statuses[-1] == "settled"


Step = Callable[[Play], list[Message]]


def _verdict(decision: ReviewDecision, **more: Any) -> Step:
    def step(play: Play) -> list[Message]:
        waits = play.made.escalation is not None
        return [review(play, decision, **more)] if waits else []

    return step


def _each(position: int, said: Callable[[RefundReleased], Message]) -> Step:
    """Of a refund that payment has not answered for good: it answers once."""

    def step(play: Play) -> list[Message]:
        made = play.all(RefundReleased)[position : position + 1]
        taken = {each.refund_id for each in play.all(RefundVoided)}
        return [said(each) for each in made if each.refund_id not in taken]

    return step


def _voided(play: Play) -> list[Message]:
    taken = {each.refund_id for each in play.all(RefundVoided)}
    return [voided(play, of=each) for each in play.all(RefundReleased) if each.refund_id in taken]


STEPS: dict[str, Step] = {
    **{f"settled {n}": _each(n, examples.settled) for n in range(4)},
    **{f"failed {n}": _each(n, examples.failed) for n in range(4)},
    "dispute": lambda play: [disputed(play)],
    "lost": lambda play: [disputed(play, DisputeOutcome.LOST)],
    "voided": _voided,
    "reserved": lambda play: (
        [examples.reserved(play.made)] if play.made.decision is Outcome.APPROVED else []
    ),
    "reject": _verdict(ReviewDecision.REJECT),
    "approve": _verdict(ReviewDecision.APPROVE, settlement=CREDIT),
    "adjust up": _verdict(ReviewDecision.ADJUST, amount=WHOLE, settlement=CREDIT),
    "adjust": _verdict(ReviewDecision.ADJUST, amount=15_000, settlement=CREDIT),
    "adjust down": _verdict(ReviewDecision.ADJUST, amount=GIFT),
}


def check(play: Play) -> None:
    """Nothing twice, never more than was approved, and somebody is named or it is over."""
    current = play.current
    assert current.terms is not None
    assert current.live_amount <= current.terms.total
    settled_amount = sum(each.amount for each in current.refunds if each.money is Money.SETTLED)
    assert settled_amount <= WHOLE
    replaced = [each.replaces_refund_id for each in play.all(RefundReleased)]
    named = [each for each in replaced if each is not None]
    assert len(set(named)) == len(named)
    shown = status.of(current)
    assert (shown.party is Party.NONE) is (shown.status in status.FINAL)


def to_the_end(play: Play) -> None:
    """Everybody does their part: payment answers, the reviewer says yes by another way."""
    for _ in range(6):
        for name in ("reserved", "lost", "voided", *(f"settled {n}" for n in range(9)), "approve"):
            step = STEPS.get(name) or _each(int(name.split()[-1]), examples.settled)
            open_ = {each.refund_id for each in play.current.refunds if each.money in LIVE}
            for message in step(play):
                if name.startswith("settled") and message.refund_id not in open_:
                    continue
                play.say(message)
                check(play)


@given(names=st.lists(st.sampled_from(sorted(STEPS)), min_size=4, max_size=14))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
def test_whatever_settles_is_lost_or_decided_nothing_is_paid_twice_and_it_ends(
    names: list[str],
) -> None:
    play = released()
    for name in names:
        for message in STEPS[name](play):
            with suppress(Impossible):  # set aside by the chassis; a person looks
                play.say(message)
            check(play)
    to_the_end(play)
    shown = status.of(play.current)
    assert shown.status in status.FINAL, (shown, play.current.refunds, play.current.terms)


def test_worn_goods_are_a_reason_to_adjust_down_to_what_is_live() -> None:
    play = half_lost()
    play.say(examples.inspected(grade=Grade.DAMAGED))
    play.say(review(play, ReviewDecision.ADJUST, amount=GIFT)).reserve()
    assert play.statuses[-1] == "settled"
