"""Who is protected by what: the statutory rows that hold for one order, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from contracts.orders import BuyerType, OrderLine, OrderSnapshot, Trait
from contracts.requests import Condition
from services.commerce.law import periods, zones
from services.commerce.law.provisions import NATIONAL, ROWS
from services.commerce.law.rows import (
    CONFORMITIES,
    WITHDRAWALS,
    Conformity,
    Row,
    Withdrawal,
)

FEE_TAX_IN_FULL = ROWS["US-CA-FEE-TAX"]
CARD_CREDIT = ROWS["US-FCBA-CREDIT"]


class Place(NamedTuple):
    """Where the buyer is protected: the country of delivery, else of the buyer."""

    country: str
    region: str | None

    def date_of(self, instant: datetime) -> date:
        return zones.local_date(instant, self.country, self.region)

    def end_of(self, day: date) -> datetime:
        return zones.end_of_day(day, self.country, self.region)


class Protection(NamedTuple):
    place: Place
    known: bool
    """Whether any row covers the place."""
    withdrawal: Withdrawal | None
    conformity: Conformity | None
    informed: bool
    """Told of the right before it was used; always True where no row asks for it."""
    fee_tax_in_full: bool
    goods_until: date | None
    """The last day of the withdrawal period for goods; None: it is still open, without an end."""
    digital_until: date | None
    judged_on: date
    """The calendar day, where the buyer is, on which periods are judged."""

    @property
    def right(self) -> Row | None:
        """The row to cite for the withdrawal: the national provision where there is one."""
        if self.withdrawal is None:
            return None
        if self.withdrawal.id == "EU-WD-GOODS":
            return ROWS[NATIONAL.get(self.place.country, "EU-WD-GOODS")]
        return self.withdrawal


def place_of(order: OrderSnapshot) -> Place:
    where = order.ship_to or order.buyer
    country, region = where.country, where.region
    if region is None and order.buyer.country == country:
        region = order.buyer.region
    if region is not None:
        region = region.strip().upper().removeprefix(f"{country}-") or None
    return Place(country=country, region=region)


def withdrawal_in(country: str) -> Withdrawal | None:
    """The right to return without a reason that consumers have there; None: no such row."""
    return _WITHDRAWALS.get(country)


def conformity_in(country: str) -> Conformity | None:
    return _CONFORMITIES.get(country)


_WITHDRAWALS = {country: row for row in WITHDRAWALS for country in row.countries}
_CONFORMITIES = {country: row for row in CONFORMITIES for country in row.countries}
_EVERYWHERE = frozenset().union(*(row.countries for row in ROWS.values() if not row.regions))
_SOMEWHERE = frozenset(
    (country, region)
    for row in ROWS.values()
    for country in row.countries
    for region in row.regions
)


def is_known(place: Place) -> bool:
    return place.country in _EVERYWHERE or (place.country, place.region) in _SOMEWHERE


def protection_of(
    order: OrderSnapshot, at: datetime, delivered: Mapping[str, datetime]
) -> Protection:
    """The law of an order as it stands at `at`.

    `delivered` (line_id -> instant) are delivery dates known to fulfillment beside the order's.
    """
    place = place_of(order)
    consumer = order.buyer.type is not BuyerType.BUSINESS
    row = withdrawal_in(place.country) if consumer else None
    information = order.withdrawal_information
    told = None if information is None else place.date_of(information.provided_at)
    goods_until = digital_until = None
    if row is not None:
        received = possession(order, delivered)
        if received is not None:
            start = place.date_of(received)
            goods_until = periods.last_day(start, row, place.country, informed_on=told)
        digital_until = periods.last_day(
            place.date_of(order.placed_at), row, place.country, informed_on=told
        )
    return Protection(
        place=place,
        known=is_known(place),
        withdrawal=row,
        conformity=conformity_in(place.country) if consumer else None,
        informed=row is None
        or not row.information_duty
        or (information is not None and information.provided_at <= at),
        fee_tax_in_full=place.country in FEE_TAX_IN_FULL.countries
        and place.region in FEE_TAX_IN_FULL.regions,
        goods_until=goods_until,
        digital_until=digital_until,
        judged_on=place.date_of(at),
    )


def possession(order: OrderSnapshot, delivered: Mapping[str, datetime]) -> datetime | None:
    """When the last thing of the order reached the buyer; None while one has not, or nobody knows.

    Row EU-WD-MULTI: goods delivered separately count from the last one. Digital lines are not
    possessed, so they do not hold the period open.
    """
    last: datetime | None = None
    counts: dict[str, int] = {}
    digital = {line.line_id for line in order.lines if Trait.DIGITAL in line.traits}
    for delivery in order.deliveries:
        if delivery.delivered_at is None:
            goods = [line for line in delivery.lines if line.line_id not in digital]
            if any(line.line_id not in delivered for line in goods):
                return None
            continue
        if last is None or delivery.delivered_at > last:
            last = delivery.delivered_at
        for line in delivery.lines:
            counts[line.line_id] = counts.get(line.line_id, 0) + line.quantity
    for bought in order.lines:
        if bought.line_id in digital:
            continue
        known = delivered.get(bought.line_id)
        if known is not None:
            last = known if last is None else max(last, known)
        elif counts.get(bought.line_id, 0) < bought.quantity:
            return None
    return last


def exclusion(
    protection: Protection, line: OrderLine, condition: Condition, *, is_delivered: bool
) -> Trait | None:
    """The trait that takes a line out of the right of withdrawal (row EU-ART16 and the like)."""
    row = protection.withdrawal
    if row is None:
        return None
    for trait in line.traits:
        if trait is Trait.DIGITAL and not is_delivered:
            continue
        if trait in row.excluded:
            return trait
        if trait in row.excluded_when_unsealed and condition is not Condition.UNOPENED:
            return trait
    return None
