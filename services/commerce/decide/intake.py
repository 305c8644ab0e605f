"""A request comes in; its order is known, turns up, or does not."""

from __future__ import annotations

from contracts.decisions import EscalationReason
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from services.chassis.decision import Decision
from services.commerce import judgement
from services.commerce.decide import asking
from services.commerce.decide.draft import Desk, Draft
from services.commerce.model import Return, State
from services.commerce.papers import Dossier, Facts, Paper
from services.commerce.promise import Promise


def requested(message: ReturnRequest, desk: Desk, promise: Promise | None) -> Decision[Dossier]:
    """A new return. Its status is told before anything is asked."""
    claim = message.claim
    named = claim.order_number if claim is not None and message.order_id is None else None
    current = Return(
        return_id=message.return_id,
        order_key=message.order_id or message.return_id,
        test=message.channel.test,
        requested_at=message.requested_at,
        claim=(named.lower(), (claim.email or "").lower()) if claim is not None and named else None,
        promise=promise,
    )
    dossier = Dossier(current, Paper.of(message), Paper.of(Facts()))
    draft = Draft.of(dossier, desk)
    draft.show()
    if desk.order is not None:
        asking.order_found(draft)
    return draft.decision()


def order_turned_up(draft: Draft, message: OrderSnapshot) -> None:
    """What waits for this order goes on; a case that went to a person for it is judged anew.

    A case that went to a person for another reason stays with them, and is shown with its order.
    """
    current = draft.current
    asked_because = current.escalation
    in_review = current.state is State.AWAITING_REVIEW
    looked_for = in_review and asked_because is EscalationReason.ORDER_NOT_FOUND
    if looked_for or current.state is State.REQUESTED:
        asking.order_found(draft)
    elif in_review and asked_because is not None and current.order_id is None:
        asking.know(draft, message)
        draft.escalate(asked_because, draft.standing_context(), anew=True)
        draft.show()
    else:
        draft.ignored = "not waiting for its order"


def order_missing(draft: Draft) -> None:
    """The order has not turned up in time: a person, with everything the customer said."""
    draft.decided(judgement.judge(draft.case()))
    draft.show()


def matches(claim: tuple[str, str] | None, order: OrderSnapshot) -> bool:
    """Whether a claim names this order: by its number and the buyer's e-mail, both."""
    return claim == (order.order_number.lower(), order.buyer.email.lower())
