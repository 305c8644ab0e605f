"""What happens when nothing happens: every wait that ran out, and records that came to nothing."""

from __future__ import annotations

from collections.abc import Callable

from contracts.decisions import EscalationReason
from contracts.lifecycle import Party, Status
from contracts.quarantine import RecordQuarantined
from services.commerce.decide import asking, intake, release
from services.commerce.decide.draft import Draft
from services.commerce.messages import WaitOver
from services.commerce.model import (
    CHOICE_WAIT,
    GRACE,
    NOT_SENT_WAIT,
    REVIEW_WAIT,
    ReplacementState,
    State,
)


def over(draft: Draft, message: WaitOver) -> None:
    """State decides whether the wait still matters: its status must be the one shown last."""
    shown = draft.current.shown
    if shown is None or shown.number != message.number:
        draft.ignored = "the return has moved on"
        return
    exchange, decided = draft.current.exchange, draft.current.state is State.APPROVED
    if decided and exchange is not None and exchange.state is ReplacementState.WAITING:
        _try_replacement_again(draft)
        return
    act = ACTS.get((shown.status, shown.party), _timed_out)
    if not message.again and act in (_timed_out, _nobody_sent):
        draft.watch_again(GRACE)
        return
    act(draft)


def _order_missing(draft: Draft) -> None:
    intake.order_missing(draft)


def _facts_missing(draft: Draft) -> None:
    asking.out_of_time(draft)


def _remind(draft: Draft) -> None:
    """Reminded and raised to the escalation address; never decided by itself."""
    draft.notify("still waits for a person")
    draft.show(anew=True)


def _customer_silent(draft: Draft) -> None:
    draft.change(asked_customer=False)
    draft.show()


def _no_choice(draft: Draft) -> None:
    """The customer has seven days to choose; people are told after the first."""
    shown = draft.current.shown
    assert shown is not None
    if shown.overdue:
        draft.change(shown=shown.model_copy(update={"party": Party.REVIEWER, "overdue": 0}))
        draft.show(anew=True)
        return
    draft.notify("waits for the customer's choice of another way to pay")
    draft.change(shown=shown.model_copy(update={"overdue": 1}))
    draft.wait_longer(CHOICE_WAIT - REVIEW_WAIT)


def _no_replacement_choice(draft: Draft) -> None:
    told = "the customer did not choose; an approval with a settlement pays instead"
    draft.escalate(EscalationReason.POLICY_GAP, {"replacement": told})
    draft.show()


def _try_replacement_again(draft: Draft) -> None:
    exchange = draft.current.exchange
    assert exchange is not None
    if release.may_ship(draft.current, exchange):
        release.send(draft, exchange)
    else:  # it failed before the goods came back: they come first
        draft.change(exchange=exchange.model_copy(update={"state": ReplacementState.NONE}))
    draft.show(anew=True)


def _timed_out(draft: Draft) -> None:
    """Whoever was waited for has not said anything: a person."""
    shown = draft.current.shown
    assert shown is not None
    waited = {"status": str(shown.status), "waiting_on": str(shown.party)}
    draft.escalate(EscalationReason.ASSESSMENT_TIMEOUT, {"waited": waited})
    draft.show()


def _nobody_sent(draft: Draft) -> None:
    """Fulfillment says whether anything was sent; a person is asked only if it stays silent."""
    exchange, shown = draft.current.exchange, draft.current.shown
    assert shown is not None
    if exchange is not None and exchange.state is ReplacementState.FAILED:
        _no_replacement_choice(draft)
    elif not shown.overdue:
        draft.change(shown=shown.model_copy(update={"overdue": 1}))
        draft.watch_again(NOT_SENT_WAIT)
    else:
        _timed_out(draft)


ACTS: dict[tuple[Status, Party], Callable[[Draft], None]] = {
    (Status.REQUESTED, Party.COMMERCE): _order_missing,
    (Status.ASSESSING, Party.COMMERCE): _facts_missing,
    (Status.AWAITING_REVIEW, Party.REVIEWER): _remind,
    (Status.AWAITING_REVIEW, Party.CUSTOMER): _customer_silent,
    (Status.SETTLEMENT_FAILED, Party.REVIEWER): _remind,
    (Status.SETTLEMENT_FAILED, Party.CUSTOMER): _no_choice,
    (Status.AWAITING_PHYSICAL_RECEIPT, Party.CUSTOMER): _nobody_sent,
    (Status.IN_TRANSIT, Party.CUSTOMER): _no_replacement_choice,
    (Status.PHYSICALLY_RECEIVED, Party.CUSTOMER): _no_replacement_choice,
    (Status.QUALITY_CHECK, Party.CUSTOMER): _no_replacement_choice,
    (Status.PENDING_SETTLEMENT, Party.CUSTOMER): _no_replacement_choice,
}
"""What to do when the wait of a status is over; all others: a person, as timed out."""


def quarantined(draft: Draft, message: RecordQuarantined) -> None:
    """A record about this return cannot be read: a person looks at both."""
    if draft.current.closed:
        draft.ignored = "the return is over"
        return
    record = {
        "service": message.service,
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "reason": message.reason,
    }
    draft.escalate(EscalationReason.QUARANTINED_MESSAGE, {"record": record})
    draft.show()
