"""What of a return's reservation is still held, and what was given back unused. Pure.

Payment reserves the whole of a decision; each release takes its amount out of that. What is not
released is given back when the return is closed or rejected.
"""

from __future__ import annotations

from contracts.decisions import Allocation
from services.gateway.model import GIVES_BACK, Refund, RefundState, Reservation, View


def given_back(view: View) -> tuple[Allocation, ...]:
    """Per payment what was reserved and will not be released, in minor units.

    The answer to a release that was taken back is shown by its refund already.
    """
    if view.reservation is None:
        return ()
    taken_back = [each for each in view.refunds if each.state is RefundState.VOIDED]
    found = []
    for voided in view.reservation.voided:
        twin = next((each for each in taken_back if _is_of(each, voided)), None)
        if twin is None:
            found.append(voided)
        else:
            taken_back.remove(twin)
    return tuple(found)


def _is_of(refund: Refund, voided: Allocation) -> bool:
    return refund.amount == voided.amount and refund.payment_id in (None, voided.payment_id)


def still_held(view: View) -> tuple[Allocation, ...]:
    """Per payment what stands reserved and is not released yet, in minor units."""
    if view.reservation is None:
        return ()
    left = {each.payment_id: each.amount for each in view.reservation.allocations}
    for voided in given_back(view):
        _take(left, voided.payment_id, voided.amount)
    for refund in view.refunds:
        if not _replaced(refund, view.reservation):
            _take(left, refund.payment_id, refund.amount)
    return tuple(
        Allocation(payment_id=payment_id, amount=amount)
        for payment_id, amount in left.items()
        if amount > 0
    )


def _replaced(refund: Refund, standing: Reservation) -> bool:
    """A refund that holds nothing and whose amount a later decision has reserved anew."""
    return refund.state in GIVES_BACK and (refund.sequence or 0) < standing.sequence


def _take(left: dict[str, int], payment_id: str | None, amount: int) -> None:
    """Out of that payment; store credit and transfers name none and use up whatever is held."""
    for held in [payment_id] if payment_id in left else list(left):
        if held is not None:
            part = min(amount, left[held])
            left[held] -= part
            amount -= part
