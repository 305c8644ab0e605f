"""The table of topics: who writes, who reads, for how long. Feeds ACLs, topic creation and docs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from contracts import (
    assessments,
    decisions,
    fulfillment,
    lifecycle,
    orders,
    payment,
    quarantine,
    requests,
    reviews,
    warehouse,
)
from contracts.base import Message

PARTITIONS = 6


@dataclass(frozen=True, kw_only=True)
class Topic:
    """`retention` None: compacted. `open`: systems outside this project may write it too."""

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    messages: tuple[type[Message], ...]
    retention: timedelta | None
    open: bool = False
    partitions: int = PARTITIONS


TOPICS = (
    Topic(
        name="orders",
        writers=("gateway",),
        readers=("commerce", "fulfillment", "payment", "gateway"),
        messages=(orders.OrderSnapshot,),
        retention=None,
        open=True,
    ),
    Topic(
        name="returns.requests",
        writers=("gateway", "chat"),
        readers=("commerce", "gateway"),
        messages=(
            requests.ReturnRequest,
            requests.CancelReturn,
            requests.EvidenceAdded,
            requests.SettlementChosen,
            requests.ReversalRequested,
        ),
        retention=timedelta(days=30),
        open=True,
    ),
    Topic(
        name="returns.assessments",
        writers=("commerce",),
        readers=("fulfillment", "payment"),
        messages=(assessments.AssessmentRequested,),
        retention=timedelta(days=7),
    ),
    Topic(
        name="returns.decisions",
        writers=("commerce",),
        readers=("fulfillment", "payment", "gateway", "chat"),
        messages=(
            decisions.ReturnDecisionMade,
            decisions.RefundReleased,
            decisions.RefundVoided,
            decisions.ReplacementReleased,
            decisions.ReversalReleased,
            decisions.ReturnClosed,
        ),
        retention=timedelta(days=30),
    ),
    Topic(
        name="returns.lifecycle",
        writers=("commerce",),
        readers=("gateway", "chat"),
        messages=(lifecycle.ReturnStatusChanged,),
        retention=timedelta(days=30),
    ),
    Topic(
        name="returns.reviews",
        writers=("gateway",),
        readers=("commerce",),
        messages=(reviews.ReviewDecided,),
        retention=timedelta(days=30),
    ),
    Topic(
        name="warehouse.events",
        writers=("gateway",),
        readers=("fulfillment",),
        messages=(warehouse.ParcelScanned, warehouse.ItemReceived, warehouse.ItemInspected),
        retention=timedelta(days=30),
        open=True,
    ),
    Topic(
        name="fulfillment.events",
        writers=("fulfillment",),
        readers=("commerce", "gateway", "chat"),
        messages=(
            assessments.ReturnabilityAssessed,
            fulfillment.ReturnLabelIssued,
            fulfillment.ReturnLabelFailed,
            fulfillment.ReturnShipped,
            fulfillment.ReturnDelivered,
            fulfillment.ReturnReceived,
            fulfillment.ReturnInspected,
            fulfillment.ReturnNotSent,
            fulfillment.ReturnLost,
            fulfillment.ReturnSentBack,
            fulfillment.ParcelUnmatched,
            fulfillment.ItemDisposed,
            fulfillment.ReplacementScheduled,
            fulfillment.ReplacementShipped,
            fulfillment.ReplacementFailed,
            quarantine.RecordQuarantined,
        ),
        retention=timedelta(days=30),
    ),
    Topic(
        name="payment.events",
        writers=("payment",),
        readers=("commerce", "gateway", "chat"),
        messages=(
            assessments.RefundabilityAssessed,
            payment.RefundReserved,
            payment.RefundReservationRefused,
            payment.RefundReservationVoided,
            payment.RefundPending,
            payment.RefundSettled,
            payment.RefundFailed,
            payment.RefundOutcomeUnknown,
            payment.StoreCreditIssued,
            payment.LoyaltyReversed,
            payment.TaxReversalRecorded,
            payment.DisputeOpened,
            payment.DisputeClosed,
            payment.ReversalSettled,
            payment.ReversalRefused,
            quarantine.RecordQuarantined,
        ),
        retention=timedelta(days=30),
    ),
)

BY_NAME = {topic.name: topic for topic in TOPICS}
MESSAGES: dict[str, type[Message]] = {
    message.__name__: message for topic in TOPICS for message in topic.messages
}


def topic_of(message: type[Message], writer: str) -> Topic:
    """The topic on which `writer` publishes this message. Raises LookupError."""
    for topic in TOPICS:
        if message in topic.messages and writer in topic.writers:
            return topic
    raise LookupError(f"{writer} writes no topic with {message.__name__}")


def topics_read_by(service: str) -> tuple[str, ...]:
    return tuple(topic.name for topic in TOPICS if service in topic.readers)
