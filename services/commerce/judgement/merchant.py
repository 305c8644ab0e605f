"""Step 3: the merchant's policy: window, exclusions, condition, resolution, settlement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from contracts.decisions import Verdict
from contracts.orders import Delivery, OrderLine, OrderSnapshot
from contracts.requests import Method, Resolution
from services.commerce.judgement import floor, inplace
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.notes import Note, note
from services.commerce.law import zones
from services.commerce.law.protection import Protection
from services.commerce.policy import rules
from services.commerce.policy.model import BUILT_IN, Settings, WindowAnchor

IN_GOODS = frozenset({Resolution.REPLACEMENT, Resolution.EXCHANGE})


def method_of(case: Case) -> Method:
    """How the money would go back: `settlement` wins over `resolution`; goods ignore both."""
    request = case.request
    if request.resolution in IN_GOODS:
        return Method.ORIGINAL_PAYMENT_METHOD
    if request.settlement is not None:
        return request.settlement.method
    if request.resolution is Resolution.STORE_CREDIT:
        return Method.STORE_CREDIT
    return Method.ORIGINAL_PAYMENT_METHOD


_PAYS = {
    Method.ORIGINAL_PAYMENT_METHOD: Resolution.REFUND,
    Method.STORE_CREDIT: Resolution.STORE_CREDIT,
}


def _wanted(case: Case) -> Resolution:
    """What has to be on offer: the resolution, as the settlement shapes it."""
    if case.request.resolution in IN_GOODS or case.request.settlement is None:
        return case.request.resolution
    return _PAYS.get(method_of(case), case.request.resolution)


def apply(case: Case, order: OrderSnapshot, found: list[Entry], law: Protection) -> list[Entry]:
    """The lines with the settings that hold for them, late or not, rejected or not."""
    at = Placed(case=case, order=order, delivered=floor.delivered_by_line(case))
    return [
        entry if entry.bought is None else _settled(at, entry, entry.bought, law) for entry in found
    ]


class Placed(NamedTuple):
    """A case with its order, and what fulfillment knows beside it of when its lines arrived."""

    case: Case
    order: OrderSnapshot
    delivered: Mapping[str, datetime]


def _settled(at: Placed, entry: Entry, bought: OrderLine, law: Protection) -> Entry:
    case = at.case
    applied = rules.apply(
        case.policy,
        rules.Subject(
            category=bought.category,
            sku=bought.sku,
            traits=bought.traits,
            country=law.place.country,
            region=law.place.region,
            condition=entry.condition,
            reason=entry.reason,
            resolution=case.request.resolution,
            buyer_type=at.order.buyer.type,
            channel=case.request.channel.type,
        ),
    )
    if not entry.stands:
        return entry._replace(applied=applied)
    if _is_excluded(applied.settings, entry, law):
        return entry._replace(applied=applied, verdict=Verdict.REJECTED, units=())
    fee = 0
    if not entry.fault and entry.withdrawal is None:
        fee = max(applied.settings.restocking_fee_bps, _handling_fee(case, bought.line_id))
    late = _days_late(at, entry, bought, applied.settings, law)
    return entry._replace(applied=applied, days_late=late, fee_bps=fee)


def is_excluded(entry: Entry, law: Protection) -> bool:
    """The closed list: policy takes nothing of this kind back, no law and no fault gives it."""
    return _is_excluded(entry.settings, entry, law)


def _is_excluded(settings: Settings, entry: Entry, law: Protection) -> bool:
    return (
        not settings.returnable
        and entry.withdrawal is None
        and entry.right is None
        and not entry.fault
        and law.known
    )


def _handling_fee(case: Case, line_id: str) -> int:
    if case.returnability is None:
        return 0
    return max(
        (line.restocking_fee_bps for line in case.returnability.lines if line.line_id == line_id),
        default=0,
    )


def window_start(settings: Settings, at: Placed, line_id: str) -> datetime:
    """Day 0 of the merchant's window: the last parcel with units of the line, or what stands in.

    A missing delivery date falls back to shipped + transit_days, a missing one of these to
    placed + transit_days.
    """
    order = at.order
    if settings.window_anchor is WindowAnchor.ORDERED:
        return order.placed_at
    if settings.window_anchor is WindowAnchor.DELIVERED and line_id in at.delivered:
        return at.delivered[line_id]
    parcels = [
        each for each in order.deliveries if any(part.line_id == line_id for part in each.lines)
    ]
    transit = timedelta(days=settings.transit_days)
    if settings.window_anchor is WindowAnchor.SHIPPED:
        shipped = [each.shipped_at or inplace.later(order.placed_at, transit) for each in parcels]
        return max(shipped, default=inplace.later(order.placed_at, transit))
    arrived = [_arrival(each, order.placed_at, transit) for each in parcels]
    return max(arrived, default=inplace.later(order.placed_at, transit))


def _arrival(parcel: Delivery, placed_at: datetime, transit: timedelta) -> datetime:
    if parcel.delivered_at is not None:
        return parcel.delivered_at
    return inplace.later(parcel.shipped_at or placed_at, transit)


def last_day(
    at: Placed, entry: Entry, line_id: str, settings: Settings, law: Protection
) -> date | None:
    """The last day in time, by policy or by law, whichever is later; None: it has no end yet.

    The merchant's window counts a replacement's parcel as one of the line's; the law's periods run
    from what was bought.
    """
    start = window_start(settings, at, line_id)
    sent = inplace.of_line(at.case, line_id)
    if sent and settings.window_anchor is not WindowAnchor.ORDERED:
        transit = timedelta(days=settings.transit_days)
        start = max((start, *(each.counts_from(settings.window_anchor, transit) for each in sent)))
    last = zones.days_after(law.place.date_of(start), settings.window_days)
    if law.withdrawal is not None and entry.excluded is None:
        statutory = floor.last_day(entry, law)
        if statutory is None:
            return None
        last = max(last, statutory)
    if entry.conformity is not None:
        arrived = window_start(BUILT_IN.defaults, at, line_id)
        last = max(last, floor.conformity_until(law, arrived) or last)
    return last


def _days_late(
    at: Placed, entry: Entry, bought: OrderLine, settings: Settings, law: Protection
) -> int:
    """Calendar days where the buyer is since the last day in time."""
    last = last_day(at, entry, bought.line_id, settings, law)
    if last is None or law.judged_on <= last:
        return 0
    return (law.judged_on - last).days


def notes(case: Case, order: OrderSnapshot, found: list[Entry], law: Protection) -> Iterator[Note]:
    yield from _rules_read(tuple(entry.applied for entry in found))
    for position, entry in enumerate(found):
        if entry.bought is None or entry.applied is None:
            continue
        if entry.stands:
            yield from _line(case, entry, position)
        elif entry.verdict is Verdict.REJECTED and is_excluded(entry, law):
            yield note(
                "not_returnable",
                f"{entry.name} is not taken back under the policy",
                entry.applied.rule_of("returnable"),
                case.policy.policy,
                line=position,
            )
    yield from _whole(case, order, [each for each in found if each.stands])


def _line(case: Case, entry: Entry, position: int) -> Iterator[Note]:
    applied, settings = entry.applied, entry.settings
    assert applied is not None
    if not settings.returnable:
        given_by = entry.right or entry.conformity
        if given_by is not None:
            yield note(
                "law_overrules_policy",
                f"the policy takes no {entry.name} back, the law does",
                given_by.id,
                given_by.citation,
                line=position,
            )
        else:
            yield note(
                "not_returnable_but_owed",
                f"the policy takes no {entry.name} back, but a fault is claimed or the law of"
                " the place is not known",
                applied.rule_of("returnable"),
                line=position,
            )
    if entry.days_late:
        yield note(
            "outside_window",
            f"{entry.days_late} days after the last day in time",
            applied.rule_of("window_days"),
            line=position,
        )
    else:
        yield note("inside_window", "asked in time", applied.rule_of("window_days"), line=position)
    if not entry.fault and entry.condition not in settings.conditions:
        yield note(
            "condition_not_accepted",
            f"{entry.name} is {entry.condition}; accepted without a person:"
            f" {', '.join(settings.conditions) or 'nothing'}",
            applied.rule_of("conditions"),
            line=position,
        )
    wanted = _wanted(case)
    owed = wanted is Resolution.REFUND and (entry.withdrawal or entry.conformity)
    if wanted not in settings.resolutions and not owed:
        yield note(
            "resolution_not_offered",
            f"{wanted.replace('_', ' ')} is not offered for {entry.name}",
            applied.rule_of("resolutions"),
            line=position,
        )


def _whole(case: Case, order: OrderSnapshot, standing: list[Entry]) -> Iterator[Note]:
    if case.request.resolution in IN_GOODS and standing:
        if replacement_price(case, order, standing) is None:
            yield note(
                "replacement_without_price",
                "what would be sent has no known equal price, or is not one product",
                "policy.exchange",
            )
    elif method_of(case) not in _PAYS:
        yield note(
            "settlement_by_a_person",
            f"{method_of(case).replace('_', ' ')} is carried out by a person",
            "policy.settlement",
        )


def replacement_sku(case: Case, standing: list[Entry]) -> str:
    """What would be sent: what was asked for, else the same again."""
    if case.request.replacement_sku is not None:
        return case.request.replacement_sku
    return standing[0].asked.sku


def replacement_price(case: Case, order: OrderSnapshot, standing: list[Entry]) -> int | None:
    """The price of one, in minor units; None where a person has to find out.

    The same product again has its own price. Another one must be in the order at the same price:
    exchanges are for the same price only.
    """
    bought = [each.bought for each in standing if each.bought is not None]
    prices = {each.unit_price for each in bought}
    sku = replacement_sku(case, standing)
    if case.request.resolution is Resolution.EXCHANGE and case.request.replacement_sku is None:
        return None
    if len(prices) != 1:
        return None
    skus = {each.sku for each in bought}
    if case.request.replacement_sku is None and len(skus) > 1:
        return None
    same = skus == {sku}
    listed = {line.unit_price for line in order.lines if line.sku == sku}
    if not same and listed != prices:
        return None
    return prices.pop()


@lru_cache(maxsize=rules.REMEMBERED_MAX)
def _rules_read(applied: tuple[rules.Applied | None, ...]) -> tuple[Note, ...]:
    """Each rule of the policy once: whether it applied to a line, and why (not)."""
    tried: dict[str, list[tuple[int, rules.Tried]]] = {}
    for position, lines in enumerate(applied):
        for each in lines.tried if lines is not None else ():
            tried.setdefault(each.rule_id, []).append((position, each))
    return tuple(_rule_read(rule_id, attempts) for rule_id, attempts in tried.items())


def _rule_read(rule_id: str, attempts: list[tuple[int, rules.Tried]]) -> Note:
    fired = [attempt for attempt in attempts if attempt[1].fired]
    _, shown = (fired or attempts)[0]
    if not fired:
        return note("rule_not_fired", f"does not apply: {shown.why}", rule_id)
    lines = ", ".join(str(number + 1) for number, _ in fired)
    return note("rule_fired", f"applies to line {lines}: {shown.why}", rule_id)
