"""Our ledger against the processor's own list: every difference named, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.base import Part
from contracts.orders import Processor
from services.payment.audit import reversals, store
from services.payment.audit.difference import ACTIONS, Difference, Kind
from services.payment.model import PaymentFacts, RefundState, SeenStatus
from services.payment.processors.choice import Processors
from services.payment.processors.port import Listed

SINCE_DAYS = 2
"""How far back it is looked unless somebody says so."""
CLOCK_SKEW = timedelta(hours=1)
WINDOW = timedelta(days=1)
WINDOWS_MAX = 120
IN_FLIGHT = timedelta(minutes=10)
"""A refund that moved so recently may differ without anything being wrong."""


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


async def reconcile(
    pool: Any,
    processors: Processors,
    since: datetime,
    now: datetime,
    *,
    charges_since: datetime | None = None,
) -> Report:
    """Compare everything since an instant, a day at a time, so that memory does not grow with it.

    New charges are found among all payments of a processor, which are many: they may be compared
    over a shorter time. Raises ProcessorError where a processor does not answer.
    """
    books = Comparison()
    for begin, end in _windows(since - CLOCK_SKEW, now + CLOCK_SKEW):
        theirs = {
            processor.name: [each async for each in processor.refunds_between(begin, end)]
            for processor in processors.all()
        }
        listed = [each for part in theirs.values() for each in part]
        named = {each.refund.refund_id for each in listed if each.refund.refund_id is not None}
        rows = await pool.fetch(store.REFUNDS, max(begin, since), end, sorted(named))
        references = sorted({each.payment_reference for each in listed})
        known = await pool.fetch(store.KNOWN_PAYMENTS, references)
        ours = [_ours(row, now) for row in rows]
        books.add(ours, theirs, {row["processor_reference"] for row in known})
    begin = charges_since or since
    for processor in processors.all():
        charges = [each async for each in processor.charges_since(begin - CLOCK_SKEW)]
        orders = sorted({each.order_id for each in charges})
        rows = await pool.fetch(store.REVERSALS, begin, orders)
        books.charges += reversals.compare(
            [reversals.ours(row) for row in rows], charges, processor.name, since=begin, now=now
        )
    return books.report(since=since, until=now)


def _windows(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Days; longer where there would be too many of them, for each costs a listing."""
    window = max(WINDOW, (end - begin) // WINDOWS_MAX)
    while begin < end:
        yield begin, min(begin + window, end)
        begin += window


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


class Comparison:
    """Two books, compared window after window, oldest first."""

    def __init__(self) -> None:
        self._found: list[Difference] = []
        self.charges: list[Difference] = []
        """Differences about reversals."""
        self._compared: set[str] = set()
        self._unrelated = 0
        self._missing: dict[str, Ours] = {}
        """Of our book and not listed yet: the next window may show it."""
        self._seen: set[str] = set()
        """Listed in the window before: our own date of it may fall into the next one."""

    def add(
        self, ours: Sequence[Ours], theirs: Mapping[str, Sequence[Listed]], known: set[str]
    ) -> None:
        """One window. `known`: references of payments of our orders."""
        by_id = {each.refund_id: each for each in ours}
        self._compared |= by_id.keys()
        before, self._seen = self._seen, set()
        for processor, listed in theirs.items():
            together: dict[str, list[Listed]] = {}
            for each in listed:
                if each.refund.refund_id in by_id:
                    together.setdefault(each.refund.refund_id or "", []).append(each)
                elif each.payment_reference in known:
                    self._found += _foreign(processor, each)
                else:
                    self._unrelated += 1
            for refund_id, group in together.items():
                own = by_id[refund_id]
                self._found += _duplicates(own, group)
                for each in group:
                    if own.reference in (None, each.refund.reference):
                        self._seen.add(refund_id)
                    self._found += _compared(own, each)
        for own in ours:
            if own.state in AT_THE_PROCESSOR and own.refund_id not in before:
                self._missing[own.refund_id] = own
        for refund_id in self._seen:
            self._missing.pop(refund_id, None)

    def report(self, *, since: datetime, until: datetime) -> Report:
        missing = [_missing(own) for own in self._missing.values()]
        return Report(
            since=since,
            until=until,
            compared=len(self._compared),
            unrelated=self._unrelated,
            differences=(*self._found, *missing, *self.charges),
        )


def _duplicates(own: Ours, group: Sequence[Listed]) -> list[Difference]:
    """More than one effective object of one refund; ours may lie in another window."""
    effective = {e.refund.reference: e for e in group if e.refund.status is not SeenStatus.FAILED}
    paid = set(effective)
    if own.state in AT_THE_PROCESSOR and own.reference is not None:
        failed = {each.refund.reference for each in group} - paid
        paid |= {own.reference} - failed
    if len(paid) < 2 or not effective:
        return []
    last = next(iter(effective.values()))
    return [_difference(Kind.DUPLICATE, own, last, theirs=" and ".join(sorted(paid)))]


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
