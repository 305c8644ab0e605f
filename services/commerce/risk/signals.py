"""What the history of a customer shows, measured: counts, rates, years. No judgement here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.requests import MERCHANT_FAULT, Reason

PRIOR_RATE = 0.2
PRIOR_ORDERS = 3
"""The return rate is shrunk as if three average orders with a rate of 20 % came before."""
NEW_ACCOUNT_DAYS = 14
YEAR_DAYS = 365
SAME_REASON_SHARE = 0.8
SAME_REASON_RETURNS_MIN = 3
NOT_RETURNED = frozenset({"cancelled", "expired", "rejected", "test"})
"""Statuses of requests in which nothing was returned."""


class Past(NamedTuple):
    """A return: of the history, or the one being judged. `value` in minor units."""

    at: datetime
    order_id: str | None
    skus: tuple[str, ...]
    value: int
    reason: Reason | None


class Known(NamedTuple):
    """What else is known of the customer. Values in minor units of the order's currency."""

    orders: int
    orders_value: int
    customer_since: datetime | None = None
    lifetime_value: int | None = None
    confirmed_abuse: int = 0
    disputes: int = 0
    linked_accounts: int = 0
    not_received_claims: int = 0
    weight_deviation_bps: int = 0
    serial_mismatch: bool = False


class Behaviour(NamedTuple):
    """The measures that the scorecard weighs; this return counts in all of them."""

    returns_14_days: int = 1
    returns_30_days: int = 1
    returns_365_days: int = 1
    return_rate: float = PRIOR_RATE
    distinct_skus_30_days: int = 1
    new_account_value_ratio: float = 0.0
    confirmed_abuse: int = 0
    disputes: int = 0
    linked_accounts: int = 0
    not_received_claims: int = 0
    weight_deviation: float = 0.0
    serial_mismatch: int = 0
    unconfirmed_fault_claims: int = 0
    tenure_years: float = 0.0
    lifetime_value_ratio: float = 0.0


def behaviour(past: Sequence[Past], this: Past, known: Known) -> Behaviour:
    """Measures a customer at the moment of this return; nothing after it is looked at."""
    year = [*_within(past, this.at, YEAR_DAYS), this] if past else [this]
    month = _within(year, this.at, 30) if len(year) > 1 else year
    value = sum([max(each.value, 0) for each in year])
    bought = max(known.orders_value, this.value, 0)
    average = bought / max(known.orders, 1)
    prior = average * PRIOR_ORDERS
    episodes = _episodes(month)
    return Behaviour(
        returns_14_days=_episodes(_within(month, this.at, 14)) if len(month) > 1 else 1,
        returns_30_days=episodes,
        returns_365_days=_episodes(year),
        return_rate=(value + PRIOR_RATE * prior) / (bought + prior) if bought else PRIOR_RATE,
        distinct_skus_30_days=min(len({sku for each in month for sku in each.skus}), episodes),
        new_account_value_ratio=_new_account(this, known, average),
        confirmed_abuse=known.confirmed_abuse,
        disputes=known.disputes,
        linked_accounts=known.linked_accounts,
        not_received_claims=known.not_received_claims,
        weight_deviation=known.weight_deviation_bps / 10_000,
        serial_mismatch=int(known.serial_mismatch),
        unconfirmed_fault_claims=_same_fault(year),
        tenure_years=_years(known.customer_since, this.at),
        lifetime_value_ratio=(
            max(known.lifetime_value or 0, 0) / this.value if this.value > 0 else 0.0
        ),
    )


def _within(returns: Iterable[Past], at: datetime, days: int) -> Sequence[Past]:
    """Those of the last `days` days before `at`, with it."""
    try:
        since = at - timedelta(days=days)
    except OverflowError:
        since = datetime.min.replace(tzinfo=at.tzinfo)
    return [each for each in returns if since <= each.at <= at]


def _episodes(returns: Sequence[Past]) -> int:
    """Several returns of one order are one: who orders three sizes keeps one."""
    if len(returns) == 1:
        return 1
    orders = set()
    alone = 0
    for each in returns:
        if each.order_id is None:
            alone += 1
        else:
            orders.add(each.order_id)
    return len(orders) + alone


def _new_account(this: Past, known: Known, average: float) -> float:
    if known.customer_since is None or average <= 0:
        return 0.0
    if this.at - known.customer_since > timedelta(days=NEW_ACCOUNT_DAYS):
        return 0.0
    return this.value / average


def _same_fault(year: Sequence[Past]) -> int:
    """The number of returns if nearly all claim one and the same fault, else 0."""
    if len(year) < SAME_REASON_RETURNS_MIN:
        return 0
    reasons = Counter(each.reason for each in year)
    reason, count = reasons.most_common(1)[0]
    if reason not in MERCHANT_FAULT or count < SAME_REASON_SHARE * len(year):
        return 0
    return count


def _years(since: datetime | None, at: datetime) -> float:
    if since is None or since > at:
        return 0.0
    return (at - since).days / YEAR_DAYS
