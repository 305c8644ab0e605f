"""What came of a submission or a look-up, and what follows from it."""

from __future__ import annotations

from datetime import timedelta

from contracts.assessments import DisputeState
from contracts.payment import StoreCreditIssued
from services.payment import messages
from services.payment.decide import credit, heard, legs, reversal, standing, voiding
from services.payment.decide.draft import Draft, Facts, MoneyDecision
from services.payment.decide.rows import STORE_CREDIT, Posting, StoreCredit
from services.payment.messages import Result
from services.payment.model import (
    ABSENCE_SECONDS_MIN,
    FAILED_STATES,
    KEY_TRUSTED_HOURS_MAX,
    REFUND_ATTEMPTS_MAX,
    SUBMISSION_TRIES_MAX,
    OrderMoney,
    Refund,
    RefundState,
    SeenRefund,
    SeenStatus,
)
from services.payment.transitions import Event, Impossible

CANCELED = "canceled"
RETRY_SECONDS_MIN = 1
RETRY_SECONDS_MAX = 60
WISHED_SECONDS_MAX = 3600
"""A processor that wants to be left alone longer than that is asked all the same (Retry-After)."""
EVENT_OF = {
    SeenStatus.PENDING: Event.TAKEN,
    SeenStatus.SUCCEEDED: Event.SUCCEEDED,
    SeenStatus.FAILED: Event.FAILED,
}
REFUND_TEXTS = {
    "lost_or_stolen_card": "the card was reported lost or stolen",
    "expired_or_canceled_card": "the card has expired or was cancelled",
    "charge_for_pending_refund_disputed": "the customer disputed the payment meanwhile",
    "insufficient_funds": "the balance at the processor does not suffice",
    "declined": "the bank declined the refund",
    "merchant_request": "the refund was cancelled at the processor",
}


def submitted(order: OrderMoney, message: messages.RefundSubmitted, facts: Facts) -> MoneyDecision:
    """Accepted, refused, held, not sent, or unknown."""
    draft = Draft(order=order, facts=facts)
    refund = order.refunds[message.refund_id]
    standing.take_up(draft, message.looks, test=refund.test)
    refund = draft.order.refunds[message.refund_id]
    if (message.attempt, message.tries) != (refund.attempt, refund.tries):
        if message.seen is not None:  # an earlier attempt turned up after all
            see(draft, refund, message.seen)
        else:
            draft.ignored = "answer to an earlier attempt"
        return draft.decision()
    match message.result:
        case Result.SEEN if message.seen is not None:
            see(draft, refund, message.seen)
        case Result.CLEARED:
            _issue_credit(draft, refund)
        case Result.HELD:
            _hold(draft, refund)
        case Result.DECLINED:
            _decline(draft, refund, message)
        case Result.NOT_SENT:
            _try_again(draft, refund, message)
        case _:
            _lose_sight(draft, refund, message.explanation)
    heard.answered(draft, refund.refund_id)
    return draft.decision()


def seen(order: OrderMoney, message: messages.RefundSeen, facts: Facts) -> MoneyDecision:
    """The answer of a look-up: what the processor has, or that it has nothing."""
    draft = Draft(order=order, facts=facts)
    refund = order.refunds[message.refund_id]
    if refund.heard and refund.state is not RefundState.SUBMITTING:
        refund = draft.keep(refund.model_copy(update={"heard": ()}))
    if message.seen is not None:
        see(draft, refund, message.seen)
    elif refund.state is not RefundState.OUTCOME_UNKNOWN:
        draft.advance(refund, Event.ABSENT)
    elif _too_early(refund, message):
        draft.ignored = "too early to prove absence"
    else:
        _absent(draft, refund)
    return draft.decision()


def _too_early(refund: Refund, message: messages.RefundSeen) -> bool:
    """A request that is still on its way could be carried out after the look-up."""
    assert refund.unknown_since is not None
    proof_from = refund.unknown_since + timedelta(seconds=ABSENCE_SECONDS_MIN)
    return message.looked_at < proof_from


def see(draft: Draft, refund: Refund, seen: SeenRefund) -> None:
    """Believe the processor's object. Raises Impossible where it cannot be this refund's."""
    if (seen.amount, seen.currency) != (refund.amount, refund.currency):
        raise Impossible(
            f"{seen.reference} is over {seen.amount} {seen.currency}, "
            f"not {refund.amount} {refund.currency}"
        )
    if refund.processor_reference not in (None, seen.reference):
        if seen.status is SeenStatus.FAILED:
            draft.ignored = "another object that came to nothing"
            return
        raise Impossible(f"{seen.reference} beside {refund.processor_reference}: refunded twice")
    if refund.state in FAILED_STATES and refund.processor_reference == seen.reference:
        draft.ignored = "seen before it failed"  # failed is final at the processor
        return
    was_settled = refund.state is RefundState.SETTLED
    moved = draft.advance(
        refund,
        EVENT_OF[seen.status],
        seen.failure_code or "",
        processor_reference=seen.reference,
        held=False,
    )
    if moved is refund:
        return
    match moved.state:
        case RefundState.PENDING_SETTLEMENT:
            draft.tell_pending(moved)
            draft.poll_later(moved)
        case RefundState.SETTLED:
            _settle(draft, moved, seen)
        case RefundState.SETTLEMENT_FAILED | RefundState.REFUSED:
            charged = 0
            if was_settled:
                moved = legs.take_back(draft, moved)
                charged = reversal.overtaken(draft, moved.return_id)
            _fail(draft, moved, seen.failure_code or "unknown", charged=charged)


def _settle(draft: Draft, refund: Refund, seen: SeenRefund) -> None:
    draft.stop_polling(refund)
    draft.tell_settled(
        refund,
        arn=seen.arn,
        settlement_currency=seen.settlement_currency,
        settlement_amount=seen.settlement_amount,
    )
    legs.book(draft, refund)


def _fail(draft: Draft, refund: Refund, code: str, *, charged: int) -> None:
    """`charged`: what reversals took back of it, or may still, minor units."""
    draft.stop_polling(refund)
    if refund.void_requested and code == CANCELED:
        _answer_void(draft, refund)  # as commerce wished: nothing has failed
        return
    text = REFUND_TEXTS.get(code, "the processor could not deliver the refund")
    if charged:
        text += f"; give back what was charged again of it, up to {charged} {refund.currency}"
    draft.tell_failed(refund, code=code, text=text, retryable=False)
    _answer_void(draft, refund)


def _answer_void(draft: Draft, refund: Refund) -> None:
    """Commerce asked for this refund back while nobody knew what would become of it."""
    if refund.void_requested:
        draft.keep(refund.model_copy(update={"void_requested": False}))
        voiding.tell(draft, refund)


def paid_by_a_person(draft: Draft, refund: Refund, reference: str) -> None:
    """A person paid by bank transfer or otherwise, and says under which reference."""
    moved = draft.advance(refund, Event.REFERENCED, processor_reference=reference)
    if moved is not refund:
        draft.tell_settled(moved)
        legs.book(draft, moved)


def _issue_credit(draft: Draft, refund: Refund) -> None:
    """Store credit: paid from our own ledger, so it is settled at once."""
    credit_id = f"credit-{refund.refund_id}"
    moved = draft.advance(refund, Event.SUCCEEDED, processor_reference=credit_id)
    if moved is refund:
        return
    order = draft.order
    issued = StoreCredit(
        credit_id=credit_id,
        customer_id=order.customer_id,
        return_id=moved.return_id,
        refund_id=moved.refund_id,
        amount=moved.amount,
        currency=moved.currency,
        expires_at=credit.expires_at(draft.now, draft.facts.credit_days),
        test=moved.test,
    )
    draft.credits.append(issued)
    ends = credit.expiry(issued, order.order_id)
    if ends is not None:
        draft.deadline(ends)
    draft.postings.append(
        Posting(
            book=STORE_CREDIT,
            holder=order.customer_id,
            source="merchant",
            target="customer",
            amount=moved.amount,
            unit=moved.currency,
            return_id=moved.return_id,
            refund_id=moved.refund_id,
            test=moved.test,
        )
    )
    draft.events.append(
        StoreCreditIssued(
            return_id=moved.return_id,
            order_id=order.order_id,
            refund_id=moved.refund_id,
            credit_id=credit_id,
            amount=moved.amount,
            currency=moved.currency,
            expires_at=issued.expires_at,
            test=moved.test,
        )
    )
    draft.tell_settled(moved)
    legs.book(draft, moved)


def _hold(draft: Draft, refund: Refund) -> None:
    moved = draft.advance(refund, Event.HOLD, "a dispute is open", held=True)
    if moved is refund:
        return
    if moved.void_requested:
        voiding.void(draft, moved)
    else:
        draft.poll_later(moved)


def resume(draft: Draft, refund: Refund) -> None:
    """The dispute is over and won: the same refund goes on."""
    fresh = draft.now - refund.key_at < timedelta(hours=KEY_TRUSTED_HOURS_MAX)
    changes: dict[str, object] = {"tries": refund.tries + 1}
    if not fresh:
        changes = {"attempt": refund.attempt + 1, "tries": 1, "key_at": draft.now}
    moved = draft.advance(refund, Event.SUBMIT, "the dispute is over", held=False, **changes)
    draft.stop_polling(moved)
    draft.submit(moved)


def _decline(draft: Draft, refund: Refund, message: messages.RefundSubmitted) -> None:
    moved = draft.advance(refund, Event.DECLINED, message.code)
    if moved is refund:
        return
    draft.stop_polling(moved)
    draft.tell_failed(
        moved, code=message.code, text=message.explanation, retryable=message.retryable
    )
    _answer_void(draft, moved)


def _try_again(draft: Draft, refund: Refund, message: messages.RefundSubmitted) -> None:
    """Nothing was done: the same key again, later; a key that is too old is not trusted."""
    if refund.state is not RefundState.SUBMITTING:
        draft.ignored = f"not sent while {refund.state}"
        return
    if refund.tries >= SUBMISSION_TRIES_MAX:
        moved = draft.advance(refund, Event.GIVEN_UP, message.explanation)
        draft.tell_failed(
            moved, code=message.code or "unavailable", text=message.explanation, retryable=True
        )
        _answer_void(draft, moved)
        return
    trusted = draft.now - refund.key_at < timedelta(hours=KEY_TRUSTED_HOURS_MAX)
    changes: dict[str, object] = {"tries": refund.tries + 1}
    if not trusted:
        changes = {"attempt": refund.attempt + 1, "tries": 1, "key_at": draft.now}
    again = draft.keep(refund.model_copy(update=changes))
    own = min(RETRY_SECONDS_MIN << refund.tries, RETRY_SECONDS_MAX)
    wished = min(message.retry_seconds or 0, WISHED_SECONDS_MAX)
    wait = max(wished or own, RETRY_SECONDS_MIN)
    jitter = timedelta(milliseconds=int(refund.refund_id.encode().hex()[-3:], 16) % 500)
    draft.submit(again, not_before=draft.now + timedelta(seconds=wait) + jitter)


def _lose_sight(draft: Draft, refund: Refund, reason: str) -> None:
    """A time-out, a 5xx, a crash: only a look-up tells."""
    moved = draft.advance(
        refund, Event.NO_ANSWER, reason, unknown_since=draft.now, reason=reason[:500]
    )
    if moved is refund:
        return
    draft.tell_unknown(moved)
    moved = draft.look_up(moved)
    draft.poll_later(moved)


def _absent(draft: Draft, refund: Refund) -> None:
    """The processor has nothing: the next attempt under a new key, or the end."""
    if refund.attempt >= REFUND_ATTEMPTS_MAX:
        moved = draft.advance(refund, Event.GIVEN_UP, refund.reason)
        draft.stop_polling(moved)
        draft.tell_failed(
            moved,
            code="attempts_exhausted",
            text=f"{REFUND_ATTEMPTS_MAX} attempts came to nothing: {refund.reason}",
            retryable=True,
        )
        _answer_void(draft, moved)
        return
    moved = draft.advance(refund, Event.ABSENT, unknown_since=None)
    draft.stop_polling(moved)
    if moved.void_requested:
        voiding.void(draft, moved)
        return
    moved = draft.advance(moved, Event.SUBMIT, attempt=moved.attempt + 1, tries=1, key_at=draft.now)
    draft.submit(moved)


def blocked(draft: Draft, refund: Refund) -> bool:
    """Whether an open dispute still stands in a refund's way."""
    for source in refund.sources:
        dispute = draft.order.dispute_on(source.payment_id, test=refund.test)
        if dispute is not None and dispute.state is not DisputeState.WON:
            return True
    return False
