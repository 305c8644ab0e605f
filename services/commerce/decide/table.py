"""Message -> what to do with the return that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.assessments import RefundabilityAssessed, ReturnabilityAssessed
from contracts.base import Message
from contracts.fulfillment import (
    ParcelUnmatched,
    ReplacementFailed,
    ReplacementScheduled,
    ReplacementShipped,
    ReturnDelivered,
    ReturnInspected,
    ReturnLabelFailed,
    ReturnLabelIssued,
    ReturnLost,
    ReturnNotSent,
    ReturnReceived,
    ReturnSentBack,
    ReturnShipped,
)
from contracts.orders import OrderSnapshot
from contracts.payment import (
    DisputeClosed,
    DisputeOpened,
    RefundFailed,
    RefundOutcomeUnknown,
    RefundPending,
    RefundReservationRefused,
    RefundReservationVoided,
    RefundReserved,
    RefundSettled,
    ReversalRefused,
    ReversalSettled,
)
from contracts.quarantine import RecordQuarantined
from contracts.requests import CancelReturn, EvidenceAdded, ReversalRequested, SettlementChosen
from contracts.reviews import ReviewDecided
from services.chassis.decision import Decision
from services.commerce import messages
from services.commerce.decide import asking, goods, intake, money, people, waits
from services.commerce.decide.draft import Desk, Draft
from services.commerce.papers import Dossier

DECIDERS: Mapping[type[Message], Callable[[Draft, Any], None]] = {
    OrderSnapshot: intake.order_turned_up,
    ReturnabilityAssessed: asking.returnability_assessed,
    RefundabilityAssessed: asking.refundability_assessed,
    ReturnLabelIssued: goods.label_issued,
    ReturnLabelFailed: goods.label_failed,
    ReturnShipped: goods.shipped,
    ReturnDelivered: goods.delivered,
    ReturnReceived: goods.received,
    ReturnInspected: goods.inspected,
    ReturnNotSent: goods.not_sent,
    ReturnLost: goods.lost,
    ReturnSentBack: goods.sent_back,
    ParcelUnmatched: goods.unmatched,
    ReplacementScheduled: goods.replacement_scheduled,
    ReplacementShipped: goods.replacement_shipped,
    ReplacementFailed: goods.replacement_failed,
    RefundReserved: money.reserved,
    RefundReservationRefused: money.reservation_refused,
    RefundReservationVoided: money.reservation_voided,
    RefundPending: money.moved,
    RefundOutcomeUnknown: money.moved,
    RefundSettled: money.moved,
    RefundFailed: money.moved,
    DisputeOpened: money.dispute_opened,
    DisputeClosed: money.dispute_closed,
    ReversalSettled: money.reversal_settled,
    ReversalRefused: money.reversal_refused,
    CancelReturn: people.cancel,
    EvidenceAdded: people.evidence,
    SettlementChosen: people.settlement_chosen,
    ReversalRequested: people.reversal,
    ReviewDecided: people.review,
    RecordQuarantined: waits.quarantined,
    messages.WaitOver: waits.over,
    messages.FactsOverdue: asking.facts_overdue,
}


def decide(dossier: Dossier, message: Message, desk: Desk) -> Decision[Dossier]:
    """The return after a message, and what follows. Raises Impossible."""
    draft = Draft.of(dossier, desk)
    DECIDERS[type(message)](draft, message)
    return draft.decision()
