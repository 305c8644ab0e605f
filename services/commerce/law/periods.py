"""Deadline arithmetic: when a statutory period ends, and when a refund is due."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache

from services.commerce.law import zones
from services.commerce.law.rows import Clock, Deadline, Withdrawal

SATURDAY = 5
CALENDARS_MAX = 1024


@lru_cache(maxsize=CALENDARS_MAX)
def holidays_of(country: str, year: int) -> frozenset[date]:
    """The nationwide public holidays of a year; empty where no calendar is known."""
    import holidays  # loads for a third of a second; only some places and days need it

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()


def is_working_day(day: date, country: str) -> bool:
    return day.weekday() < SATURDAY and day not in holidays_of(country, day.year)


def next_working_day(day: date, country: str) -> date:
    """`day` itself unless it is a weekend or a public holiday (Regulation 1182/71 art. 3(4))."""
    while not is_working_day(day, country) and day < date.max:
        day += timedelta(days=1)
    return day


def working_days_after(day: date, count: int, country: str) -> date:
    for _ in range(count):
        day = next_working_day(zones.days_after(day, 1), country)
    return day


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day (Regulation 1182/71 art. 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def last_day(start: date, row: Withdrawal, country: str, *, informed_on: date | None) -> date:
    """The last day of a withdrawal period whose day 0 is `start`.

    `informed_on` is the day the buyer was told of the right, None if never: without information
    the period is longer (row EU-WD-NOINFO); late information starts it anew from then, and never
    lengthens it beyond that.
    """
    initial = _rolled(zones.days_after(start, row.window_days), row, country)
    if not row.months_without_information or (informed_on is not None and informed_on <= start):
        return initial
    longest = _rolled(months_after(initial, row.months_without_information), row, country)
    if informed_on is None:
        return longest
    late = _rolled(zones.days_after(informed_on, row.window_days), row, country)
    return min(max(initial, late), longest)


def send_back_by(notice: date, row: Withdrawal, country: str) -> date | None:
    """The last day to send goods back after a withdrawal; None: the law sets none."""
    if row.send_within_days is None:
        return None
    return _rolled(zones.days_after(notice, row.send_within_days), row, country)


def _rolled(day: date, row: Withdrawal, country: str) -> date:
    return next_working_day(day, country) if row.rolls_over else day


def refund_due(
    deadline: Deadline,
    country: str,
    region: str | None,
    *,
    notice: datetime,
    agreed: datetime | None = None,
    sent: datetime | None = None,
    received: datetime | None = None,
    goods_go_back: bool = True,
) -> datetime | None:
    """The end of the last day on which the refund is in time; None while no clock runs.

    Not rolled over a weekend: that would favour the merchant, and rests on a row marked L.
    """
    back = min((at for at in (sent, received) if at is not None), default=None)
    if deadline.clock is Clock.NOTICE:
        start: datetime | None = notice
    elif deadline.clock is Clock.AGREEMENT:
        start = agreed
    elif not goods_go_back:
        start = notice
    else:
        start = received if deadline.clock is Clock.GOODS else back
    if start is None:
        return None
    day = zones.local_date(start, country, region)
    if deadline.working_days:
        day = working_days_after(day, deadline.days, country)
    else:
        day = zones.days_after(day, deadline.days)
    if deadline.clock is Clock.NOTICE and back is not None and deadline.days:
        day = max(day, zones.local_date(back, country, region))
    return zones.end_of_day(day, country, region)
