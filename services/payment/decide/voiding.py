"""A release that is taken back: its reservation is answered for."""

from __future__ import annotations

from contracts.payment import RefundReservationVoided
from services.payment.decide.draft import Draft
from services.payment.model import Refund
from services.payment.transitions import Event


def void(draft: Draft, refund: Refund) -> None:
    """Take back a refund that nobody has submitted."""
    refund = draft.advance(refund, Event.VOID, held=False, void_requested=False)
    draft.stop_polling(refund)
    tell(draft, refund)


def tell(draft: Draft, refund: Refund) -> None:
    """The amount is no longer meant for the customer by this refund."""
    draft.events.append(
        RefundReservationVoided(
            return_id=refund.return_id,
            order_id=draft.order.order_id,
            refund_id=refund.refund_id,
            decision_sequence=refund.decision_sequence,
            allocations=refund.sources,
            currency=refund.currency,
            test=refund.test,
        )
    )
