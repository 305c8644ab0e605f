"""Counters of what the business decided and paid, told by the messages that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import Counter

from contracts.base import Message
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import NOT_VOIDED, ReturnLabelFailed, ReturnLost
from contracts.lifecycle import ReturnStatusChanged
from contracts.payment import (
    DisputeOpened,
    RefundFailed,
    RefundOutcomeUnknown,
    RefundPending,
    RefundSettled,
)

DECISIONS = Counter(
    "returns_decisions", "Decisions, later ones of the same return too", ["outcome", "decided_by"]
)
ESCALATIONS = Counter("returns_escalations", "Decisions that a person has to make", ["reason"])
STATUS_CHANGES = Counter("returns_status_changes", "Changes told to customers", ["status"])
REFUNDS = Counter("returns_refunds", "States that refunds came to", ["state", "currency"])
REFUNDED = Counter("returns_refunded_minor_units", "Money that was refunded", ["currency"])
DISPUTES = Counter("returns_disputes_opened", "Disputes that banks opened")
GOODS = Counter(
    "returns_goods_troubles",
    "Labels that failed or were not taken back, and parcels lost",
    ["kind"],
)
# There from the start: the first one of its kind is an increase as well.
for _kind in ("label_failed", "label_not_voided", "lost"):
    GOODS.labels(_kind)


def count(message: Message) -> None:
    """Count a message that was just stored to be published."""
    counted = COUNTED.get(type(message))
    if counted is not None:
        counted(message)


def _decision(made: ReturnDecisionMade) -> None:
    DECISIONS.labels(made.decision, made.decided_by.kind).inc()
    if made.escalation is not None:
        ESCALATIONS.labels(made.escalation.reason).inc()


def _settled(settled: RefundSettled) -> None:
    REFUNDS.labels("settled", settled.currency).inc()
    REFUNDED.labels(settled.currency).inc(settled.amount)


COUNTED: dict[type[Message], Callable[[Any], None]] = {
    ReturnDecisionMade: _decision,
    ReturnStatusChanged: lambda change: STATUS_CHANGES.labels(change.status).inc(),
    RefundPending: lambda refund: REFUNDS.labels("pending_settlement", refund.currency).inc(),
    RefundSettled: _settled,
    RefundFailed: lambda failed: REFUNDS.labels(failed.state, failed.currency).inc(),
    RefundOutcomeUnknown: lambda refund: REFUNDS.labels("outcome_unknown", refund.currency).inc(),
    DisputeOpened: lambda dispute: DISPUTES.inc(),
    ReturnLabelFailed: lambda failed: GOODS.labels(
        "label_not_voided" if failed.code == NOT_VOIDED else "label_failed"
    ).inc(),
    ReturnLost: lambda lost: GOODS.labels("lost").inc(),
}
