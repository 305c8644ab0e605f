"""Deadline arithmetic: when a statutory period ends, and when a refund is due."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache

import holidays

from contracts.orders import OrderSnapshot, Trait
from services.commerce.law import zones
from services.commerce.law.rows import RefundClock, Withdrawal

SATURDAY = 5


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()


def next_working_day(day: date, country: str) -> date:
    """`day` itself unless it is a weekend or a public holiday (Regulation 1182/71 art. 3(4))."""
    while day.weekday() >= SATURDAY or day in _holidays(country, day.year):
        day += timedelta(days=1)
    return day


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month, min(last, day.day))
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def possession(order: OrderSnapshot) -> datetime | None:
    """When the last parcel reached the buyer; None while one has not, or nobody knows.

    CRD art. 9(2)(b): goods delivered separately count from the last one. Digital lines without a
    delivery don't hold the period open.
    """
    last: datetime | None = None
    delivered: dict[str, int] = {}
    for delivery in order.deliveries:
        if delivery.delivered_at is None:
            return None
        last = max(last or delivery.delivered_at, delivery.delivered_at)
        for line in delivery.lines:
            delivered[line.line_id] = delivered.get(line.line_id, 0) + line.quantity
    for line in order.lines:
        if Trait.DIGITAL in line.traits:
            continue
        if delivered.get(line.line_id, 0) < line.quantity:
            return None
    if last is None and all(Trait.DIGITAL in line.traits for line in order.lines):
        return order.placed_at
    return last


def last_day(
    order: OrderSnapshot, row: Withdrawal, country: str, region: str | None
) -> date | None:
    """The last calendar day of the period where the buyer is; None: it is not running yet."""
    received = possession(order)
    if received is None:
        return None
    start = zones.local_date(received, country, region)
    initial = _rolled(start + timedelta(days=row.window_days), row, country)
    if not row.months_without_information:
        return initial
    longest = add_months(initial, row.months_without_information)
    informed = order.withdrawal_information
    if informed is None:
        return longest
    told = zones.local_date(informed.provided_at, country, region)
    if told <= start:
        return initial
    late = _rolled(told + timedelta(days=row.window_days), row, country)
    return max(initial, min(late, longest))


def _rolled(day: date, row: Withdrawal, country: str) -> date:
    return next_working_day(day, country) if row.rolls_over else day


def open_at(
    order: OrderSnapshot, row: Withdrawal, country: str, region: str | None, at: datetime
) -> bool:
    """Whether a statement sent at `at` is in time (CRD art. 11: sending it is enough)."""
    last = last_day(order, row, country, region)
    return last is None or at <= zones.end_of_day(last, country, region)


def refund_due(
    row: Withdrawal, notice: datetime, *, sent: datetime | None, received: datetime | None
) -> datetime | None:
    """When the refund must have been made; None while its clock has not started.

    EU: notice + 14 d, but not before the goods or a proof of sending are there. UK: 14 d after
    the goods or the proof.
    """
    back = min((at for at in (sent, received) if at is not None), default=None)
    if row.refund_clock is RefundClock.GOODS_OR_PROOF:
        return None if back is None else back + timedelta(days=row.refund_days)
    due = notice + timedelta(days=row.refund_days)
    return due if back is None else max(due, back)
