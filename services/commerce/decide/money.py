"""What payment says of the money, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.decisions import EscalationReason, RefundVoided
from contracts.orders import OrderSnapshot
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    DisputeOutcome,
    RefundFailed,
    RefundMessage,
    RefundOutcomeUnknown,
    RefundPending,
    RefundReservationRefused,
    RefundReservationVoided,
    RefundReserved,
    RefundSettled,
    ReversalRefused,
    ReversalSettled,
)
from services.commerce import judgement
from services.commerce.decide import asking, release
from services.commerce.decide.draft import Draft
from services.commerce.model import REPLACEABLE, Money, Refund, Return, State
from services.commerce.transitions import Impossible

MOVES: dict[type[RefundMessage], Money] = {
    RefundPending: Money.UNDER_WAY,
    RefundOutcomeUnknown: Money.UNDER_WAY,
    RefundSettled: Money.SETTLED,
    RefundFailed: Money.FAILED,
}
OVERTAKEN = {
    (Money.SETTLED, Money.UNDER_WAY),
    (Money.VOIDED, Money.UNDER_WAY),
    (Money.FAILED, Money.UNDER_WAY),
    (Money.VOIDING, Money.UNDER_WAY),
}
"""(where a refund is, what a late message says): it does not go back."""
PAYS = frozenset({State.APPROVED, State.AWAITING_REVIEW})
"""Where something that was approved may still be paid."""
NOT_RECEIVED = frozenset({"product_not_received", "not_received", "goods_not_received"})
"""What processors call a dispute about goods that never came."""


def reserved(draft: Draft, message: RefundReserved) -> None:
    terms = draft.current.terms
    if terms is None or message.decision_sequence != terms.sequence:
        draft.ignored = "reserved for another sequence"
        return
    draft.change(reserved_sequence=message.decision_sequence)
    release.carry_out(draft)
    draft.show()


def reservation_refused(draft: Draft, message: RefundReservationRefused) -> None:
    terms = draft.current.terms
    if terms is None or message.decision_sequence != terms.sequence:
        draft.ignored = "refused for another sequence"
        return
    if draft.current.state is not State.APPROVED:
        draft.ignored = "nothing waits for the reservation"
        return
    told = {"code": message.code, "alternatives": [str(each) for each in message.alternatives]}
    draft.escalate(EscalationReason.PAYMENT_NOT_REFUNDABLE, told)
    draft.show()


def reservation_voided(draft: Draft, message: RefundReservationVoided) -> None:
    """The answer to a RefundVoided: what was released is ours again."""
    for refund in draft.current.refunds:
        if refund.money is Money.VOIDING and _is_of(refund, message):
            draft.refund_changed(refund.model_copy(update={"money": Money.VOIDED}))
            _tell_again(draft)
            release.carry_out(draft)
            draft.show()
            return
    draft.ignored = "no release was taken back"


def _is_of(refund: Refund, message: RefundReservationVoided) -> bool:
    """An earlier payment named no refund: parts of one size then differ in their payment alone."""
    if message.refund_id is not None:
        return refund.refund_id == message.refund_id
    freed = sum(each.amount for each in message.allocations)
    payments = {each.payment_id for each in message.allocations}
    same_payment = refund.payment_id is None or refund.payment_id in payments
    named = (refund.sequence, refund.amount) == (message.decision_sequence, freed)
    return named and same_payment


def moved(draft: Draft, message: RefundMessage) -> None:
    """Under way, settled, or failed. Raises Impossible where it would be paid twice."""
    refund = draft.current.refund(message.refund_id)
    if refund is None:
        draft.ignored = "refund is not of this return"
        return
    money = MOVES[type(message)]
    if (refund.money, money) in OVERTAKEN:
        draft.ignored = f"{type(message).__name__} while {refund.money}"
        return
    if money is Money.SETTLED and _is_given_up(draft.current, refund):
        raise Impossible(f"refund {refund.refund_id} settled after it was proven failed")
    changed = refund.model_copy(update={"money": money})
    if isinstance(message, RefundFailed):
        changed = changed.model_copy(update={"alternatives": message.alternatives})
        draft.refund_changed(changed)
        _failed(draft, message)
    else:
        draft.refund_changed(changed)
        release.carry_out(draft)
    draft.show()


def _is_given_up(current: Return, refund: Refund) -> bool:
    """Proven failed or taken back, and paid another way or, by a person's word, not at all."""
    assert current.terms is not None
    rest = current.terms.total - current.live_amount
    return refund.replaced or (refund.money in REPLACEABLE and refund.amount > rest)


def _failed(draft: Draft, message: RefundFailed) -> None:
    told = {
        "alternatives": [str(each) for each in message.alternatives],
        "failure_code": message.failure_code,
        "failure_message": message.failure_message,
        "refund_id": message.refund_id,
        "amount": message.amount,
    }
    if draft.current.state in (State.APPROVED, State.AWAITING_REVIEW):
        draft.change(chose=None)
        draft.escalate(EscalationReason.SETTLEMENT_FAILED, told)


def dispute_opened(draft: Draft, message: DisputeOpened) -> None:
    """Nothing more is paid on a disputed payment until a person or the bank has decided.

    Where everything was paid already the merchant may lose the money twice: a person hears at once.
    """
    if not _concerns(draft, message.payment_id):
        draft.ignored = "nothing of this return is open on that payment"
        return
    disputes = tuple(dict.fromkeys((*draft.current.disputes, message.payment_id)))
    draft.change(disputes=disputes)
    told = {
        "dispute_id": message.dispute_id,
        "reason": message.reason,
        "double_loss": draft.current.all_settled,
        **release.alternatives(draft),
    }
    if draft.current.state is State.AWAITING_REVIEW:
        _tell_again(draft, told)
    else:
        draft.escalate(EscalationReason.PAYMENT_NOT_REFUNDABLE, told)
    draft.show()


def says_not_received(message: DisputeOpened, order: OrderSnapshot) -> bool:
    """Whether the buyer claims that nothing came although a carrier has scanned a delivery."""
    reason = (message.reason or "").lower().replace(" ", "_")
    scanned = any(each.delivered_at is not None for each in order.deliveries)
    return reason in NOT_RECEIVED and scanned


def _concerns(draft: Draft, payment_id: str) -> bool:
    current = draft.current
    if current.state not in PAYS or current.terms is None or current.terms.total == 0:
        return False
    standing = draft.standing
    assert standing is not None
    named = {each.payment_id for each in standing.settlement.allocations}
    return payment_id in named


def dispute_closed(draft: Draft, message: DisputeClosed) -> None:
    """The last one won: payment goes on with the same refund. Lost: the release is taken back."""
    current = draft.current
    held = message.payment_id in current.disputes
    others = tuple(each for each in current.disputes if each != message.payment_id)
    draft.change(disputes=others)
    stopped = current.escalation is EscalationReason.PAYMENT_NOT_REFUNDABLE
    won = message.outcome is DisputeOutcome.WON
    news = {"dispute_outcome": str(message.outcome)}
    if current.state is State.APPROVED and not won and _is_open_on(current, message.payment_id):
        draft.escalate(
            EscalationReason.PAYMENT_NOT_REFUNDABLE, {**news, **release.alternatives(draft)}
        )
        void_open(draft, f"the dispute {message.dispute_id} was lost")
    elif current.state is not State.AWAITING_REVIEW or not (stopped or held):
        draft.ignored = "nothing waits for this dispute"
    elif stopped and not others and (current.terms is None or won):
        _go_on(draft)
    else:
        if held and not won:
            void_open(draft, f"the dispute {message.dispute_id} was lost")
        _tell_again(draft, news)
    draft.show()


def _is_open_on(current: Return, payment_id: str) -> bool:
    """Whether payment holds a release over this payment: approved by a person in spite of it."""
    return any(
        each.payment_id == payment_id
        and each.money in (Money.RELEASED, Money.UNDER_WAY)
        and not each.replaced
        for each in current.refunds
    )


def _tell_again(draft: Draft, news: Mapping[str, object] | None = None) -> None:
    """The case that a person looks at, with what has become of the money since: what they may do
    depends on it, and a decision is bound to what was shown."""
    reason = draft.current.escalation
    if draft.current.state is State.AWAITING_REVIEW and reason is not None:
        draft.escalate(reason, {**draft.standing_context(), **(news or {})})


def _go_on(draft: Draft) -> None:
    """What was approved stands again; what never was is judged anew."""
    standing, terms = draft.standing, draft.current.terms
    if terms is None or standing is None:
        asking.order_found(draft)
        return
    made = judgement.settle_by(draft.case(), standing, terms.method)
    draft.decided(made)
    release.carry_out(draft)


def void_open(draft: Draft, reason: str) -> None:
    """Take back every release that payment may still be holding."""
    current = draft.current
    assert current.order_id is not None or not current.refunds
    for refund in current.refunds:
        if refund.money in (Money.RELEASED, Money.UNDER_WAY) and not refund.replaced:
            draft.refund_changed(refund.model_copy(update={"money": Money.VOIDING}))
            draft.events.append(
                RefundVoided(
                    return_id=current.return_id,
                    order_id=current.order_id or "",
                    refund_id=refund.refund_id,
                    reason=reason,
                    test=current.test,
                )
            )


def held(current_refunds: tuple[Refund, ...]) -> bool:
    """Whether a release is still open that another method would have to replace."""
    return any(
        each.money in (Money.RELEASED, Money.UNDER_WAY) and not each.replaced
        for each in current_refunds
    )


def reversal_settled(draft: Draft, message: ReversalSettled) -> None:
    _reversal(draft, message, settled=True)
    draft.change(notice="The amount that we agreed on was taken back.")
    draft.show()


def reversal_refused(draft: Draft, message: ReversalRefused) -> None:
    _reversal(draft, message, settled=False)
    draft.change(notice=f"Taking the refund back was not possible: {message.explanation}.")
    draft.show()


def _reversal(draft: Draft, message: ReversalSettled, *, settled: bool) -> None:
    draft.change(
        reversals=tuple(
            each.model_copy(update={"settled": settled})
            if each.reversal_id == message.reversal_id
            else each
            for each in draft.current.reversals
        )
    )
