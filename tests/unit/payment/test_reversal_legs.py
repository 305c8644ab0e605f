"""A reversal takes back no more than was paid, and the points and the tax that went with it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.payment import (
    LoyaltyReversed,
    ReversalRefused,
    ReversalSettled,
    TaxReversalRecorded,
)
from services.payment import messages
from services.payment.decide import orders, outcome, release, reservation, reversal
from services.payment.decide.draft import Facts, MoneyDecision
from services.payment.messages import RefundSubmitted, Result
from services.payment.model import PaymentLook, SeenRefund, SeenStatus
from tests.payments import a_decision, a_release, a_reversal, an_order

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
RETURN_ID, REFUND_ID, PAID = "11111111-1111-4111-8111-111111111111", "refund-1", 22200


class Book:
    """A return whose refund of 22200 with 1200 tax, 200 points back and 50 restored has settled."""

    def __init__(self) -> None:
        self.notes: dict[str, int] = {}
        self.told: list[object] = []
        self.order = orders.know(None, an_order(), self.facts()).state
        self.keep(reservation.decided(self.order, a_decision(RETURN_ID), self.facts()))
        self.keep(release.released(self.order, a_release(RETURN_ID, REFUND_ID), self.facts()))
        self.keep(outcome.submitted(self.order, _settled(), self.facts()))

    def facts(self) -> Facts:
        return Facts(now=NOW, last_notes=dict(self.notes))

    def keep(self, decision: MoneyDecision) -> MoneyDecision:
        self.order = decision.state
        self.told += decision.events
        for note in decision.notes:
            assert note.ordinal == self.notes.get(note.series, 0) + 1
            self.notes[note.series] = note.ordinal
        return decision

    def take_back(self, number: int, amount: int, *, charged: bool = True) -> None:
        wanted = a_reversal(RETURN_ID, f"rv-{number}", amount=amount, consent=True)
        decision = self.keep(reversal.released(self.order, wanted, self.facts()))
        if decision.effects and charged:
            answer = messages.ReversalCharged(
                order_id="order-1", reversal_id=f"rv-{number}", settled=True, reference="pi_new"
            )
            self.keep(reversal.charged(self.order, answer, self.facts()))

    def of(self, kind: type) -> list[object]:
        return [each for each in self.told if type(each) is kind]

    @property
    def tax(self) -> int:
        return sum(each.tax for each in self.of(TaxReversalRecorded))  # type: ignore[attr-defined]

    @property
    def points(self) -> tuple[int, int]:
        found = self.of(LoyaltyReversed)
        return (
            sum(each.points_reversed for each in found),  # type: ignore[attr-defined]
            sum(each.points_restored for each in found),  # type: ignore[attr-defined]
        )


def _settled() -> RefundSubmitted:
    return RefundSubmitted(
        order_id="order-1",
        refund_id=REFUND_ID,
        attempt=1,
        tries=1,
        result=Result.SEEN,
        seen=SeenRefund(
            reference="re_1",
            refund_id=REFUND_ID,
            status=SeenStatus.SUCCEEDED,
            amount=PAID,
            currency="USD",
        ),
        looks=(PaymentLook(payment_id="p1", captured=PAID, as_of=NOW),),
    )


def test_a_reversal_of_half_takes_half_of_the_tax_and_the_points_back() -> None:
    book = Book()
    assert (book.tax, book.points) == (1200, (200, 50))
    book.take_back(1, PAID // 2)
    assert (book.tax, book.points) == (600, (100, 25))
    assert book.notes == {"CN-2026": 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=6))
def test_many_reversals_never_take_more_than_was_paid_and_leave_nothing_of_the_legs(
    amounts: list[int],
) -> None:
    book = Book()
    for number, amount in enumerate(amounts):
        book.take_back(number, amount)
    taken = sum(each.amount for each in book.of(ReversalSettled))  # type: ignore[attr-defined]
    assert taken <= PAID
    book.take_back(99, PAID - taken)
    assert (book.tax, book.points) == (0, (0, 0))


def test_what_may_still_be_charged_counts_as_taken() -> None:
    book = Book()
    book.take_back(1, 20000, charged=False)
    book.take_back(2, 20000)
    [refused] = book.of(ReversalRefused)
    assert refused.code == "exceeds_refund"  # type: ignore[attr-defined]


def test_a_refund_that_fails_after_a_part_was_taken_back_gives_back_only_the_rest() -> None:
    book = Book()
    book.take_back(1, 5000)
    failed = _settled().seen.model_copy(  # type: ignore[union-attr]
        update={"status": SeenStatus.FAILED, "failure_code": "declined"}
    )
    found = messages.RefundSeen(order_id="order-1", refund_id=REFUND_ID, seen=failed, looked_at=NOW)
    book.keep(outcome.seen(book.order, found, book.facts()))
    assert book.tax == 0
    assert book.points == (0, 0)
