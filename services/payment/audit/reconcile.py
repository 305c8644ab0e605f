"""Our ledger against the processor's own list: every difference named, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from contracts.base import Part
from contracts.orders import Processor
from services.payment.audit import store
from services.payment.model import PaymentFacts, RefundState, SeenStatus
from services.payment.processors.choice import Processors
from services.payment.processors.port import Listed

SINCE_DAYS = 2
"""How far back the nightly run looks."""
CLOCK_SKEW = timedelta(hours=1)
IN_FLIGHT = timedelta(minutes=10)
"""A refund that moved so recently may differ without anything being wrong."""


class Kind(StrEnum):
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    CURRENCY = "currency"
    STATE = "state"
    DUPLICATE = "duplicate"


ACTIONS = {
    Kind.MISSING_HERE: "made outside this system: find out who made it; it lowers what is left",
    Kind.MISSING_THERE: "look it up at the processor; if it is truly absent, release it anew",
    Kind.AMOUNT: "stop, ask the processor, correct with a new entry",
    Kind.CURRENCY: "stop, ask the processor, correct with a new entry",
    Kind.STATE: "look it up again; the processor's state will be taken over",
    Kind.DUPLICATE: "recover the second one from the customer or the processor at once",
}


class Ours(Part):
    """A refund as our books show it now."""

    refund_id: str
    order_id: str
    state: RefundState
    amount: int
    currency: str
    reference: str | None
    processor: str
    settling: bool
    """It moved a moment ago."""


class Difference(Part):
    kind: Kind
    processor: str
    refund_id: str | None = None
    order_id: str | None = None
    reference: str | None = None
    ours: str
    theirs: str
    action: str


class Report(Part):
    since: datetime
    until: datetime
    compared: int
    unrelated: int
    """Refunds at the processor of payments that no order of ours names."""
    differences: tuple[Difference, ...]


AGREE = {
    SeenStatus.SUCCEEDED: {RefundState.SETTLED},
    SeenStatus.PENDING: {RefundState.PENDING_SETTLEMENT},
    SeenStatus.FAILED: {RefundState.SETTLEMENT_FAILED, RefundState.REFUSED},
}
AT_THE_PROCESSOR = {RefundState.SETTLED, RefundState.PENDING_SETTLEMENT}


async def reconcile(pool: Any, processors: Processors, since: datetime, now: datetime) -> Report:
    """Compare everything since an instant. Raises ProcessorError where one does not answer."""
    theirs: dict[str, list[Listed]] = {}
    for processor in processors.all():
        begin = since - CLOCK_SKEW
        theirs[processor.name] = [each async for each in processor.refunds_since(begin)]
    named = {
        each.refund.refund_id
        for listed in theirs.values()
        for each in listed
        if each.refund.refund_id is not None
    }
    rows = await pool.fetch(store.REFUNDS, since, sorted(named))
    references = {each.payment_reference for listed in theirs.values() for each in listed}
    known = {
        row["processor_reference"]
        for row in await pool.fetch(store.KNOWN_PAYMENTS, sorted(references))
    }
    ours = [_ours(row, now) for row in rows]
    return compare(ours, theirs, known, since=since, until=now)


def _ours(row: Any, now: datetime) -> Ours:
    sandbox = row["test"] or row["processor"] == Processor.SANDBOX
    return Ours(
        refund_id=row["refund_id"],
        order_id=row["order_id"],
        state=RefundState(row["state"]),
        amount=row["amount"],
        currency=row["currency"],
        reference=row["processor_reference"],
        processor="sandbox" if sandbox else "stripe",
        settling=now - row["moved_at"] < IN_FLIGHT,
    )


def compare(
    ours: Sequence[Ours],
    theirs: dict[str, list[Listed]],
    known: set[str],
    *,
    since: datetime,
    until: datetime,
) -> Report:
    """Pure: the differences between two books. `known`: references of payments of our orders."""
    by_id = {each.refund_id: each for each in ours}
    found: list[Difference] = []
    seen: set[str] = set()
    unrelated = 0
    for processor, listed in theirs.items():
        effective: dict[str, str] = {}
        for each in listed:
            own = by_id.get(each.refund.refund_id or "")
            if own is None:
                if each.payment_reference in known:
                    found += _foreign(processor, each)
                else:
                    unrelated += 1
                continue
            if own.reference in (None, each.refund.reference):
                seen.add(own.refund_id)
            if each.refund.status is not SeenStatus.FAILED:
                if own.refund_id in effective:
                    also = f"{effective[own.refund_id]} and {each.refund.reference}"
                    found.append(_difference(Kind.DUPLICATE, own, each, theirs=also))
                effective[own.refund_id] = each.refund.reference
            found += _compared(own, each)
    for own in ours:
        if own.refund_id not in seen and own.state in AT_THE_PROCESSOR:
            found.append(_missing(own))
    return Report(
        since=since, until=until, compared=len(ours), unrelated=unrelated, differences=tuple(found)
    )


def _compared(own: Ours, each: Listed) -> list[Difference]:
    refund = each.refund
    if own.reference not in (None, refund.reference):
        if refund.status is SeenStatus.FAILED or own.state in AT_THE_PROCESSOR:
            return []  # an attempt that came to nothing, or a duplicate named above
        return [_difference(Kind.STATE, own, each, theirs=refund.status)]
    found = []
    if own.currency != refund.currency:
        found.append(_difference(Kind.CURRENCY, own, each, theirs=refund.currency))
    elif own.amount != refund.amount:
        found.append(_difference(Kind.AMOUNT, own, each, theirs=str(refund.amount)))
    if own.state not in AGREE[refund.status] and not own.settling:
        found.append(_difference(Kind.STATE, own, each, theirs=refund.status))
    return found


def _difference(kind: Kind, own: Ours, each: Listed, *, theirs: str) -> Difference:
    values = {Kind.CURRENCY: own.currency, Kind.AMOUNT: str(own.amount)}
    return Difference(
        kind=kind,
        processor=own.processor,
        refund_id=own.refund_id,
        order_id=own.order_id,
        reference=each.refund.reference,
        ours=values.get(kind, own.state),
        theirs=theirs,
        action=ACTIONS[kind],
    )


def _missing(own: Ours) -> Difference:
    return Difference(
        kind=Kind.MISSING_THERE,
        processor=own.processor,
        refund_id=own.refund_id,
        order_id=own.order_id,
        reference=own.reference,
        ours=own.state,
        theirs="nothing",
        action=ACTIONS[Kind.MISSING_THERE],
    )


def _foreign(processor: str, each: Listed) -> list[Difference]:
    if each.refund.status is SeenStatus.FAILED:
        return []
    return [
        Difference(
            kind=Kind.MISSING_HERE,
            processor=processor,
            refund_id=each.refund.refund_id,
            reference=each.refund.reference,
            ours="nothing",
            theirs=f"{each.refund.amount} {each.refund.currency} of {each.payment_reference}",
            action=ACTIONS[Kind.MISSING_HERE],
        )
    ]


def doubts(report: Report) -> tuple[tuple[str, str], ...]:
    """(order, refund) of every difference that another look at the processor can mend."""
    kinds = {Kind.STATE, Kind.MISSING_THERE}
    return tuple(
        (each.order_id, each.refund_id)
        for each in report.differences
        if each.kind in kinds and each.order_id is not None and each.refund_id is not None
    )


def payment_of(payments: Sequence[dict[str, Any]], payment_id: str) -> PaymentFacts | None:
    """A payment out of an order's stored document."""
    for each in payments:
        if each["payment_id"] == payment_id:
            return PaymentFacts.model_validate(each)
    return None
