"""Every message that the gateway reads either moves a view or is left out on purpose."""

from __future__ import annotations

from contracts import topics
from contracts.base import Message
from services.gateway.handlers import HANDLERS

SHOWN_NOWHERE = {
    "CancelReturn",
    "DisputeClosed",
    "DisputeOpened",
    "EvidenceAdded",
    "LoyaltyReversed",
    "ParcelUnmatched",
    "RecordQuarantined",
    "RefundReservationRefused",
    "RefundabilityAssessed",
    "ReplacementScheduled",
    "ReturnClosed",
    "ReturnLabelFailed",
    "ReturnabilityAssessed",
    "ReversalRefused",
    "ReversalReleased",
    "ReversalRequested",
    "ReversalSettled",
    "SettlementChosen",
    "StoreCreditIssued",
    "TaxReversalRecorded",
}


def test_handlers_and_what_is_left_out_partition_what_is_read() -> None:
    read: set[type[Message]] = {
        message
        for name in topics.topics_read_by("gateway")
        for message in topics.BY_NAME[name].messages
    }
    handled = {message.__name__ for message in HANDLERS}
    assert handled | SHOWN_NOWHERE == {message.__name__ for message in read}
    assert not handled & SHOWN_NOWHERE
