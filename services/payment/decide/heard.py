"""What webhooks say of a refund: looked up once, and only where no answer is under way anyhow."""

from __future__ import annotations

from services.payment.decide.draft import Draft
from services.payment.model import Refund, RefundState

AS_CLAIMED = {
    RefundState.SETTLED: frozenset({"succeeded", "pending"}),
    RefundState.PENDING_SETTLEMENT: frozenset({"pending"}),
    RefundState.SETTLEMENT_FAILED: frozenset({"failed", "canceled", "succeeded", "pending"}),
    RefundState.REFUSED: frozenset({"failed", "canceled"}),
}
"""What an event may say of a refund without adding anything to what we know.

A `pending` that comes after `succeeded` is only late.
"""


def hear(draft: Draft, refund: Refund, status: str) -> None:
    """An event says that a refund is `status`: ask the processor, unless that adds nothing.

    While a submission is under way its answer is waited for; a look-up that began after the first
    event of a status is at least as new as every other event of it.
    """
    if status in AS_CLAIMED.get(refund.state, ()):
        draft.ignored = "nothing new"
    elif status in refund.heard:
        draft.ignored = "looked up already"
    else:
        refund = draft.keep(refund.model_copy(update={"heard": (*refund.heard, status)}))
        if refund.state is RefundState.SUBMITTING:
            draft.ignored = "its answer is under way"
        else:
            draft.look_up(refund)


def answered(draft: Draft, refund_id: str) -> None:
    """A submission has its answer: whatever was heard meanwhile and it does not explain is asked.

    An unknown outcome is looked up without this.
    """
    refund = draft.order.refunds[refund_id]
    if refund.state is RefundState.SUBMITTING or not refund.heard:
        return
    unexplained = set(refund.heard) - AS_CLAIMED.get(refund.state, frozenset())
    refund = draft.keep(refund.model_copy(update={"heard": ()}))
    if unexplained and refund.state is not RefundState.OUTCOME_UNKNOWN:
        draft.look_up(refund)
