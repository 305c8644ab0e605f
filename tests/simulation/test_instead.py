"""R5 has one excuse: a refund that was never taken, however often it was asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from contracts.decisions import RefundReleased
from contracts.payment import RefundFailed
from services.payment.model import REFUND_ATTEMPTS_MAX
from tests.simulation.instead import EXHAUSTED, Instead, alike
from tests.simulation.orders import Json

AT = datetime(2026, 3, 2, tzinfo=UTC)
ONE, OTHER = "b5a3c9d2-0f0e-4a51-9b1f-4f6a2f6f0a01", "b5a3c9d2-0f0e-4a51-9b1f-4f6a2f6f0a02"
CARDS = ["card-0", "card-1"]
RETURN = "f5fcc8b3-602d-4d80-a2b0-9d9f9958901e"


def _failed(**changes: Any) -> RefundFailed:
    return RefundFailed.model_validate(
        {
            "return_id": RETURN,
            "order_id": "order-1",
            "refund_id": ONE,
            "payment_id": "card-1",
            "method": "original_payment_method",
            "amount": 10600,
            "currency": "USD",
            "attempt": REFUND_ATTEMPTS_MAX,
            "idempotency_key": f"refund:{ONE}:5",
            "occurred_at": AT,
            "state": "refused",
            "failure_code": EXHAUSTED,
            "failure_message": "5 attempts came to nothing",
            "retryable": True,
        }
        | changes
    )


def _released(**changes: Any) -> RefundReleased:
    return RefundReleased.model_validate(
        {
            "return_id": RETURN,
            "order_id": "order-1",
            "refund_id": OTHER,
            "method": "store_credit",
            "amount": 10600,
            "currency": "USD",
            "decision_sequence": 4,
            "replaces_refund_id": ONE,
            "release_reason": "another way to pay",
            "released_at": AT,
        }
        | changes
    )


def _end(**changes: Any) -> Json:
    end: Json = {"status": "settled", "approved": 10600, "paid": [0, 10600], "credited": 0}
    end |= {"transferred": 0, "charged": 0, "sent": 0, "units": ["restocked"], "instead": []}
    return end | changes


def _instead(
    failed: RefundFailed | None, released: RefundReleased, attempts: int = REFUND_ATTEMPTS_MAX
) -> list[Json]:
    seen = Instead()
    if failed is not None:
        seen.failed(failed, attempts)
    seen.released(released)
    return seen.of(RETURN, CARDS)


def _forgiven(paid_instead: list[Json], **changes: Any) -> bool:
    """Whether an end with store credit is as good as the one with the card."""
    credited: Json = {"paid": [0, 0], "credited": 10600, "instead": paid_instead}
    return alike([_end(**(credited | changes))], [_end()], sort=False)


def test_store_credit_for_a_refund_that_was_never_taken_is_forgiven() -> None:
    assert _forgiven(_instead(_failed(), _released()))


def test_a_transfer_for_a_refund_that_was_never_taken_is_forgiven() -> None:
    by_hand = _instead(_failed(), _released(method="bank_transfer", reference="SEPA-1"))
    assert _forgiven(by_hand, credited=0, transferred=10600)


def test_without_such_a_failure_another_way_is_not_forgiven() -> None:
    assert not _forgiven(_instead(None, _released()))


def test_another_reason_is_not_forgiven() -> None:
    assert not _forgiven(_instead(_failed(failure_code="declined"), _released()))
    assert not _forgiven(_instead(_failed(retryable=False), _released()))


def test_attempts_that_were_not_made_are_not_forgiven() -> None:
    assert not _forgiven(_instead(_failed(), _released(), REFUND_ATTEMPTS_MAX - 1))
    assert not _forgiven(_instead(_failed(attempt=2), _released()))


def test_a_failure_that_comes_after_the_other_way_is_not_forgiven() -> None:
    seen = Instead()
    seen.released(_released())
    seen.failed(_failed(), REFUND_ATTEMPTS_MAX)
    assert not _forgiven(seen.of(RETURN, CARDS))


def test_another_amount_is_not_forgiven() -> None:
    less = _instead(_failed(), _released(amount=10500))
    assert not _forgiven(less, credited=10500)
    assert not _forgiven(_instead(_failed(), _released()), credited=10700)


def test_another_refund_is_not_forgiven() -> None:
    assert not _forgiven(_instead(_failed(), _released(replaces_refund_id=OTHER)))


def test_everything_else_about_the_end_still_counts() -> None:
    paid_instead = _instead(_failed(), _released())
    others: list[Json] = [{"status": "rejected"}, {"approved": 1}, {"charged": 1}, {"sent": 1}]
    for other in [*others, {"units": []}]:
        assert not _forgiven(paid_instead, **other), other


def test_an_end_that_is_the_same_anyway_needs_no_excuse() -> None:
    declined = _end(paid=[0, 0], credited=10600)
    assert alike([declined | {"instead": _instead(_failed(), _released())}], [declined], sort=False)


def test_of_two_that_race_either_may_have_come_first() -> None:
    first, second = _end(), _end(approved=11600, paid=[0, 11600])
    credited = _end(paid=[0, 0], credited=10600, instead=_instead(_failed(), _released()))
    assert alike([second, credited], [first, second], sort=True)
    assert not alike([second, credited], [first, second], sort=False)
