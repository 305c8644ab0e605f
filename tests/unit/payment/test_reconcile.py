"""Two books side by side: every difference has its name, also behind a refund that failed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.payment.audit.reconcile import Kind, Ours, compare
from services.payment.model import RefundState, SeenRefund, SeenStatus
from services.payment.processors.port import Listed

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


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_difference_has_its_name(name: str) -> None:
    here, there, kinds = DIFFERENCES[name]
    report = compare(here, {"sandbox": there}, {"pi_1"}, since=NOW, until=NOW)
    assert [each.kind for each in report.differences] == kinds
    assert all(each.action for each in report.differences)
