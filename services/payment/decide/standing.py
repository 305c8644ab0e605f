"""What the processor shows of a payment, taken into the order's money; disputes open and close."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from contracts.assessments import DisputeState
from contracts.payment import DisputeClosed, DisputeOpened, DisputeOutcome
from services.chassis.decision import Deadline
from services.payment import messages
from services.payment.decide.draft import Draft
from services.payment.model import (
    FAILED_STATES,
    Account,
    Dispute,
    PaymentLook,
    SeenDispute,
    SeenStatus,
    Standing,
)

WATCH = "watch"
WATCH_SECONDS = (30, 60, 300, 900, 3600)
"""Waits between looks at an open dispute, should the webhook of its end be lost."""
CLOSED = {DisputeState.WON: DisputeOutcome.WON, DisputeState.LOST: DisputeOutcome.LOST}


def take_up(draft: Draft, looks: Iterable[PaymentLook], *, test: bool) -> None:
    """Remember what was seen; tell of disputes that opened or closed."""
    for look in looks:
        _remember(draft, look, test=test)
        for seen in look.disputes:
            _dispute(draft, look.payment_id, seen, test=test)


def _remember(draft: Draft, look: PaymentLook, *, test: bool) -> None:
    order = draft.order
    before = order.standing(look.payment_id, test=test)
    if before is not None and before.as_of > look.as_of:
        return  # a slower look that began earlier
    elsewhere = before.elsewhere if before is not None else 0
    if look.refunds_read:
        elsewhere = sum(
            each.amount
            for each in look.refunds
            if each.refund_id not in order.refunds and each.status is not SeenStatus.FAILED
        )
    standing = Standing(
        known=look.known,
        captured=look.captured,
        elsewhere=elsewhere,
        refusal=look.refusal,
        as_of=look.as_of,
    )
    name = "test_standings" if test else "standings"
    standings = {**getattr(order, name), look.payment_id: standing}
    draft.order = order.model_copy(update={name: standings})


def affected_returns(draft: Draft, payment_id: str, *, test: bool) -> tuple[str, ...]:
    """Returns that hold, move or moved money of a payment."""
    order = draft.order
    holding = [
        each.return_id
        for each in order.returns.values()
        if each.test == test and each.reserve.get(payment_id, 0) > 0
    ]
    moving = [
        each.return_id
        for each in order.refunds.values()
        if each.test == test
        and each.state not in FAILED_STATES
        and any(source.payment_id == payment_id for source in each.sources)
    ]
    return tuple(dict.fromkeys([*holding, *moving]))


def _dispute(draft: Draft, payment_id: str, seen: SeenDispute, *, test: bool) -> None:
    key = f"test:{seen.dispute_id}" if test else seen.dispute_id
    before = draft.order.disputes.get(key)
    if before is not None and before.state is not DisputeState.OPEN:
        return  # closed disputes do not open again
    dispute = Dispute(
        dispute_id=seen.dispute_id,
        payment_id=payment_id,
        state=seen.state,
        amount=seen.amount,
        currency=seen.currency,
        reason=seen.reason,
        test=test,
        told=before.told if before is not None else (),
    )
    affected = affected_returns(draft, payment_id, test=test)
    if before is None and (seen.state is DisputeState.OPEN or affected):
        draft.post(payment_id, Account.BANK, Account.DISPUTED, seen.amount, test=test)
        dispute = _tell_opened(draft, dispute, affected)
    elif before is not None:
        dispute = _tell_opened(draft, dispute, [r for r in affected if r not in before.told], new=0)
    draft.order = draft.order.model_copy(
        update={"disputes": {**draft.order.disputes, key: dispute}}
    )
    if seen.state is DisputeState.OPEN:
        if before is None:
            watch(draft, payment_id, test=test, nth=0)
    elif before is not None or affected:
        _tell_closed(draft, dispute)


def _tell_opened(
    draft: Draft, dispute: Dispute, returns: Iterable[str], *, new: int = 1
) -> Dispute:
    named = tuple(returns)
    for return_id in named or (None,) * new:
        draft.events.append(
            DisputeOpened(
                order_id=draft.order.order_id,
                payment_id=dispute.payment_id,
                dispute_id=dispute.dispute_id,
                amount=dispute.amount,
                currency=dispute.currency,
                reason=dispute.reason,
                return_id=return_id,
                test=dispute.test,
            )
        )
    return dispute.model_copy(update={"told": (*dispute.told, *named)})


def _tell_closed(draft: Draft, dispute: Dispute) -> None:
    if dispute.state is DisputeState.WON:
        draft.post(
            dispute.payment_id, Account.DISPUTED, Account.BANK, dispute.amount, test=dispute.test
        )
    for return_id in dispute.told or (None,):
        draft.events.append(
            DisputeClosed(
                order_id=draft.order.order_id,
                payment_id=dispute.payment_id,
                dispute_id=dispute.dispute_id,
                amount=dispute.amount,
                currency=dispute.currency,
                reason=dispute.reason,
                return_id=return_id,
                outcome=CLOSED.get(dispute.state, DisputeOutcome.LOST),
                test=dispute.test,
            )
        )


def watch(draft: Draft, payment_id: str, *, test: bool, nth: int) -> None:
    """Look at a payment again after a while; the wait grows with `nth`."""
    seconds = WATCH_SECONDS[min(nth, len(WATCH_SECONDS) - 1)]
    draft.deadline(
        Deadline(
            name=WATCH,
            subject=f"{draft.order.order_id}:{payment_id}:{'test' if test else 'live'}",
            at=draft.now + timedelta(seconds=seconds),
            message=messages.WatchDue(
                order_id=draft.order.order_id, payment_id=payment_id, test=test, nth=nth + 1
            ),
        )
    )
