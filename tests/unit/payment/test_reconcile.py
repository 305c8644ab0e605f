"""Two books side by side: every difference has its name, also behind a refund that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.payment.audit import reconcile, reversals
from services.payment.audit.difference import Kind
from services.payment.audit.reconcile import Comparison, Ours
from services.payment.model import RefundState, Reversal, ReversalState, SeenRefund, SeenStatus
from services.payment.processors.port import Listed, SeenCharge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTLED, FAILED = RefundState.SETTLED, RefundState.SETTLEMENT_FAILED


def ours(state: RefundState, reference: str | None = "re_1") -> Ours:
    return Ours(
        refund_id="rf",
        order_id="o",
        state=state,
        amount=5000,
        currency="USD",
        reference=reference,
        processor="sandbox",
        settling=False,
    )


def theirs(
    reference: str = "re_1",
    status: SeenStatus = SeenStatus.SUCCEEDED,
    *,
    refund_id: str | None = "rf",
    amount: int = 5000,
    currency: str = "USD",
) -> Listed:
    refund = SeenRefund(
        reference=reference, refund_id=refund_id, status=status, amount=amount, currency=currency
    )
    return Listed(refund=refund, payment_reference="pi_1", created_at=NOW)


FAILED_THERE = theirs(status=SeenStatus.FAILED)
DIFFERENCES: dict[str, tuple[list[Ours], list[Listed], list[Kind]]] = {
    "both agree": ([ours(SETTLED)], [theirs()], []),
    "both know that it failed": ([ours(FAILED)], [FAILED_THERE], []),
    "nobody here knows it": ([], [theirs(refund_id=None)], [Kind.MISSING_HERE]),
    "nothing is there": ([ours(SETTLED)], [], [Kind.MISSING_THERE]),
    "only an earlier attempt that failed is there": (
        [ours(SETTLED)], [theirs("re_0", SeenStatus.FAILED)], [Kind.MISSING_THERE]),
    "another amount": ([ours(SETTLED)], [theirs(amount=4999)], [Kind.AMOUNT]),
    "another currency": ([ours(SETTLED)], [theirs(currency="EUR")], [Kind.CURRENCY]),
    "it failed there": ([ours(SETTLED)], [FAILED_THERE], [Kind.STATE]),
    "paid twice": ([ours(SETTLED)], [theirs(), theirs("re_2")], [Kind.DUPLICATE]),
    "one failed, another that we do not know of paid": (
        [ours(FAILED)], [FAILED_THERE, theirs("re_2")], [Kind.STATE]),
}  # fmt: skip


def compared(*windows: tuple[list[Ours], list[Listed]]) -> list[Kind]:
    books = Comparison()
    for here, there in windows:
        books.add(here, {"sandbox": there}, {"pi_1"})
    report = books.report(since=NOW, until=NOW)
    assert all(each.action for each in report.differences)
    return [each.kind for each in report.differences]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_difference_has_its_name(name: str) -> None:
    here, there, kinds = DIFFERENCES[name]
    assert compared((here, there)) == kinds


def test_what_two_windows_share_is_compared_as_if_it_were_one() -> None:
    own = ours(SETTLED)
    assert compared(([own], []), ([own], [theirs()])) == [], "made just after midnight there"
    assert compared(([own], [theirs()]), ([own], [])) == [], "just before midnight there"
    assert compared(([own], [theirs()]), ([own], [theirs("re_2")])) == [Kind.DUPLICATE]
    assert compared(([own], []), ([], [])) == [Kind.MISSING_THERE]


def charge(reference: str = "pi_9", **changes: Any) -> SeenCharge:
    fields: dict[str, Any] = {
        "reference": reference,
        "reversal_id": "rv",
        "order_id": "o",
        "status": SeenStatus.SUCCEEDED,
        "amount": 700,
        "currency": "USD",
    }
    return SeenCharge(**fields | changes)


def a_reversal(state: ReversalState, *, hours: int = 30, paid: int = 700) -> reversals.Ours:
    reversal = Reversal(
        reversal_id="rv",
        return_id="r",
        amount=700,
        state=state,
        method="charge",
        processor="stripe",
        asked_at=NOW - timedelta(hours=hours),
    )
    return reversals.Ours(order_id="o", currency="USD", reversal=reversal, paid=paid, taken=700)


TAKEN, UNDER_WAY, REFUSED = ReversalState.SETTLED, ReversalState.CHARGING, ReversalState.REFUSED
PENDING_THERE = charge(status=SeenStatus.PENDING)
CHARGES: dict[str, tuple[list[reversals.Ours], list[SeenCharge], list[Kind]]] = {
    "both agree": ([a_reversal(TAKEN)], [charge()], []),
    "a bank debit is under way": ([a_reversal(UNDER_WAY)], [PENDING_THERE], []),
    "it was charged a moment ago": ([a_reversal(UNDER_WAY, hours=1)], [charge()], []),
    "nobody here asked for it": ([], [charge()], [Kind.MISSING_HERE]),
    "nothing was charged": ([a_reversal(TAKEN)], [], [Kind.MISSING_THERE]),
    "what failed there is nothing": (
        [a_reversal(TAKEN)], [charge(status=SeenStatus.FAILED)], [Kind.MISSING_THERE]),
    "refused here, charged there": ([a_reversal(REFUSED)], [charge()], [Kind.STATE]),
    "charged there long ago": ([a_reversal(UNDER_WAY)], [charge()], [Kind.STATE]),
    "booked here, under way there": ([a_reversal(TAKEN)], [PENDING_THERE], [Kind.STATE]),
    "another amount": ([a_reversal(TAKEN)], [charge(amount=701)], [Kind.AMOUNT]),
    "another currency": ([a_reversal(TAKEN)], [charge(currency="EUR")], [Kind.CURRENCY]),
    "charged twice": ([a_reversal(TAKEN)], [charge(), charge("pi_8")], [Kind.DUPLICATE]),
    "its refund has failed since": ([a_reversal(TAKEN, paid=699)], [charge()], [Kind.STATE]),
    "asked before what is compared": ([a_reversal(TAKEN, hours=99)], [], []),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARGES)
def test_every_difference_between_charges_has_its_name(name: str) -> None:
    here, there, kinds = CHARGES[name]
    found = reversals.compare(here, there, "stripe", since=NOW - timedelta(hours=48), now=NOW)
    assert [each.kind for each in found] == kinds
    assert all(each.action and each.reversal_id == "rv" for each in found)


def test_a_look_far_back_asks_a_bounded_number_of_times_and_leaves_no_gap() -> None:
    end = datetime(2026, 11, 25, tzinfo=UTC)
    for begin in (end - timedelta(days=35), datetime(1, 1, 2, tzinfo=UTC)):
        windows = list(reconcile._windows(begin, end))
        assert len(windows) <= reconcile.WINDOWS_MAX + 1
        assert (windows[0][0], windows[-1][1]) == (begin, end)
        assert all(left[1] == right[0] for left, right in pairwise(windows))
