"""Returnability: what is known of the goods before commerce decides. Facts only, no policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from contracts.assessments import (
    AssessedLine,
    AssessmentRequested,
    Contradiction,
    DeliveredUnits,
    LabelOffer,
    LineReturnability,
    ReplacementOffer,
    ReturnabilityAssessed,
    SentInPlace,
)
from contracts.orders import Trait
from contracts.requests import Resolution
from services.chassis.decision import Decision, Effect
from services.fulfillment.decide.draft import Draft
from services.fulfillment.messages import CheckStock, StockChecked
from services.fulfillment.model import (
    OUTBOUND_TRANSIT_DAYS_MAX,
    REPLACEMENT_BUSINESS_DAYS,
    Goods,
    Replacement,
    RequestedLine,
    ReturnGoods,
    Standing,
)
from services.fulfillment.orders import LONG_AGO, LineFacts, OrderFacts
from services.fulfillment.sites import Sites
from services.fulfillment.transitions import IN_HAND, ON_THE_WAY

SATURDAY = 5
SENDS_SOMETHING = frozenset({Resolution.REPLACEMENT, Resolution.EXCHANGE})


def on_assessment_requested(
    goods: Goods, message: AssessmentRequested, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """Remember the return, and answer; a wish for a replacement asks the inventory first."""
    draft = Draft(goods=goods, now=now)
    draft.put(_registered(goods.returns.get(message.return_id), message))
    sku = _wanted_sku(message)
    if sku is None:
        draft.events.append(answer(draft.goods, message, None, sites=sites, now=now))
        return draft.done()
    draft.effects.append(
        Effect(
            id=f"stock:{message.return_id}:{message.round}",
            payload=CheckStock(
                order_id=message.order_id,
                return_id=message.return_id,
                test=message.test,
                sku=sku,
                quantity=max(1, sum(line.quantity for line in message.lines)),
                request=message,
            ),
        )
    )
    return draft.done()


def on_stock_checked(
    goods: Goods, message: StockChecked, *, sites: Sites, now: datetime
) -> Decision[Goods]:
    """The assessment's answer, now that the stock is known."""
    wanted = sum(line.quantity for line in message.request.lines)
    offer = ReplacementOffer(
        sku=message.sku,
        available=message.available >= max(1, wanted),
        ship_by=business_days_after(now, REPLACEMENT_BUSINESS_DAYS),
    )
    draft = Draft(goods=goods, now=now)
    draft.events.append(answer(goods, message.request, offer, sites=sites, now=now))
    return draft.done()


def business_days_after(instant: datetime, days: int) -> datetime:
    """`instant` moved by whole days, Saturdays and Sundays (UTC) not counted."""
    while days > 0:
        instant += timedelta(days=1)
        days -= instant.weekday() < SATURDAY
    return instant


def _registered(known: ReturnGoods | None, message: AssessmentRequested) -> ReturnGoods:
    lines = tuple(
        RequestedLine(line_id=line.line_id, sku=line.sku, quantity=line.quantity)
        for line in message.lines
    )
    if known is None:
        return ReturnGoods(
            return_id=message.return_id,
            order_id=message.order_id,
            test=message.test,
            resolution=message.resolution,
            requested=lines,
        )
    return known if known.requested == lines else known.but(requested=lines)


def _wanted_sku(message: AssessmentRequested) -> str | None:
    if message.resolution not in SENDS_SOMETHING or not message.lines:
        return None
    return message.replacement_sku or message.lines[0].sku


def answer(
    goods: Goods,
    message: AssessmentRequested,
    replacement: ReplacementOffer | None,
    *,
    sites: Sites,
    now: datetime,
) -> ReturnabilityAssessed:
    """The facts as the agent who asks may use them: this return's own goods are left out."""
    order = goods.order
    assert order is not None
    return ReturnabilityAssessed(
        return_id=message.return_id,
        order_id=message.order_id,
        order_version=message.order_version,
        round=message.round,
        as_of=now,
        lines=tuple(_line(goods, order, line, message, sites) for line in message.lines),
        return_address=sites.address(message.country),
        label=LabelOffer(
            provided=sites.provides_label(message.country),
            fee=sites.label_fee(message.country, order.currency),
        ),
        contradictions=tuple(
            found for line in message.lines for found in _contradictions(goods, order, line,
                                                                        message, now)
        ),
        replacement=replacement,
        test=message.test,
    )  # fmt: skip


def _line(
    goods: Goods, order: OrderFacts, line: AssessedLine, message: AssessmentRequested, sites: Sites
) -> LineReturnability:
    facts = order.line(line.line_id)
    if facts is None:
        return LineReturnability(
            line_id=line.line_id,
            returnable=False,
            refusal=f"the order has no line {line.line_id}",
        )
    received = _in_hand(goods, facts, message.return_id)
    refusal = None
    if Trait.HAZARDOUS in facts.traits:
        refusal = "hazardous goods cannot be carried back"
    elif received >= facts.quantity:
        refusal = f"all that was sold ({_pieces(facts.quantity)}) is in the warehouse already"
    return LineReturnability(
        line_id=line.line_id,
        returnable=refusal is None,
        refusal=refusal,
        restocking_fee_bps=sites.handling_fee_bps(facts.category),
        delivered_at=_delivered_at(order, line.line_id),
        received_quantity=received,
        deliveries=_deliveries(order, line.line_id),
        on_the_way_quantity=_on_the_way(goods, facts, message.return_id),
        replacements=tuple(_replacements(goods, facts, message.return_id)),
    )


def _deliveries(order: OrderFacts, line_id: str) -> tuple[DeliveredUnits, ...]:
    found = [
        DeliveredUnits(quantity=quantity, delivered_at=delivery.delivered_at)
        for delivery in order.deliveries
        for id_, quantity in delivery.lines
        if delivery.delivered_at is not None and id_ == line_id
    ]
    return tuple(sorted(found, key=lambda each: each.delivered_at))


def _replacements(goods: Goods, line: LineFacts, return_id: str) -> Iterator[SentInPlace]:
    """Parcels with what stands for units of the line, earliest first."""
    found = _sent_in_place(goods, line.line_id, return_id)
    for sent, quantity, other in sorted(found, key=lambda each: each[0].shipped_at or LONG_AGO):
        yield SentInPlace(
            quantity=quantity,
            sku=sent.sku,
            shipped_at=sent.shipped_at or LONG_AGO,
            delivered_at=other.delivered_to_customer(sent.tracking_number),
        )


def _sent_in_place(
    goods: Goods, line_id: str, return_id: str
) -> list[tuple[Replacement, int, ReturnGoods]]:
    """(replacement, units of the line that it stands for, the return that brought them)"""
    return [
        (sent, quantity, other)
        for other in goods.others(return_id)
        for sent, quantity in _sent_of_line(other, line_id)
    ]


def _sent_of_line(other: ReturnGoods, line_id: str) -> list[tuple[Replacement, int]]:
    of_line = [sent for (id_, _), sent in other.replaced.items() if id_ == line_id]
    return [(sent, of_line.count(sent)) for sent in dict.fromkeys(of_line)]


def _delivered_at(order: OrderFacts, line_id: str) -> datetime | None:
    """Of the last parcel with units of the line."""
    instants = [
        delivery.delivered_at
        for delivery in order.deliveries
        if delivery.delivered_at and any(id_ == line_id for id_, _ in delivery.lines)
    ]
    return max(instants, default=None)


def _in_hand(goods: Goods, line: LineFacts, return_id: str) -> int:
    return sum(_in_hand_of(other, line) for other in goods.others(return_id))


def _on_the_way(goods: Goods, line: LineFacts, return_id: str) -> int:
    return sum(
        unit.line_id == line.line_id and unit.state in ON_THE_WAY
        for other in goods.others(return_id)
        for unit in other.units
    )


def _in_hand_of(other: ReturnGoods, line: LineFacts) -> int:
    """Without what was replaced: the customer has another in its place."""
    replaced = other.replaced
    units = sum(
        unit.line_id == line.line_id and unit.state in IN_HAND and unit.key not in replaced
        for unit in other.units
    )
    return units + max(0, other.count_of(line.sku).unassigned)


def _contradictions(
    goods: Goods, order: OrderFacts, line: AssessedLine, message: AssessmentRequested, now: datetime
) -> Iterator[Contradiction]:
    facts = order.line(line.line_id)
    if facts is None:
        return
    sent = _sent_in_place(goods, line.line_id, message.return_id)
    if line.sku not in (facts.sku, *(parcel.sku for parcel, *_ in sent)):
        yield Contradiction(
            code="sku_mismatch",
            system_state=f"line {line.line_id} was sold as {facts.sku}",
            physical_state=f"the customer names {line.sku}",
        )
    yield from _already_received(goods, facts, line, message.return_id)
    if Trait.DIGITAL not in facts.traits:
        yield from _never_delivered(order, facts, line, now)
        for parcel, quantity, other in sent:
            yield from _never_replaced(parcel, quantity, other, now)
    if any(
        delivery.elsewhere and any(id_ == line.line_id for id_, _ in delivery.lines)
        for delivery in order.deliveries
    ):
        yield Contradiction(
            code="delivered_elsewhere",
            system_state="the order was to be delivered to its shipping address",
            physical_state="the carrier handed the parcel over at another address",
        )


def _already_received(
    goods: Goods, facts: LineFacts, line: AssessedLine, return_id: str
) -> Iterator[Contradiction]:
    """Goods in the warehouse through a return that does not stand: commerce cannot know of them."""
    standing = unannounced = held = 0
    for other in goods.others(return_id):
        in_hand = _in_hand_of(other, facts)
        if other.standing is Standing.APPROVED:
            standing += in_hand
            replaced = other.replaced
            held += sum(
                unit.line_id == facts.line_id and unit.key not in replaced for unit in other.units
            )
        else:
            unannounced += in_hand
    if standing + unannounced > facts.quantity:
        yield Contradiction(
            code="more_units_than_sold",
            system_state=f"{_pieces(facts.quantity)} of {facts.sku} sold",
            physical_state=f"{_pieces(standing + unannounced)} counted in the warehouse",
        )
    free = max(0, facts.quantity - held)
    wanted = min(line.quantity, free)
    if unannounced and wanted and wanted + unannounced > free:
        yield Contradiction(
            code="already_received",
            system_state=f"{_pieces(free)} of {facts.sku} with the customer",
            physical_state=f"{_pieces(unannounced)} of it counted in the warehouse already",
        )


def _never_replaced(
    sent: Replacement, quantity: int, other: ReturnGoods, now: datetime
) -> Iterator[Contradiction]:
    """A replacement that no carrier has handed over in a month: the customer cannot have it."""
    if sent.tracking_number is None or sent.shipped_at is None:
        return
    overdue = sent.shipped_at + timedelta(days=OUTBOUND_TRANSIT_DAYS_MAX) < now
    if overdue and other.delivered_to_customer(sent.tracking_number) is None:
        yield Contradiction(
            code="never_delivered",
            system_state=f"{_pieces(quantity)} of {sent.sku} sent as a replacement",
            physical_state=f"parcel {sent.tracking_number} was never delivered",
        )


def _pieces(number: int) -> str:
    return "1 unit" if number == 1 else f"{number or 'no'} units"


def _never_delivered(
    order: OrderFacts, facts: LineFacts, line: AssessedLine, now: datetime
) -> Iterator[Contradiction]:
    """Only where deliveries are recorded at all, and this line's are not among them."""
    if not order.deliveries:
        return
    overdue = now - timedelta(days=OUTBOUND_TRANSIT_DAYS_MAX)
    sent = sum(
        quantity
        for delivery in order.deliveries
        if delivery.delivered_at or (delivery.shipped_at and delivery.shipped_at > overdue)
        for id_, quantity in delivery.lines
        if id_ == facts.line_id
    )
    if sent < min(line.quantity, facts.quantity):
        yield Contradiction(
            code="never_delivered",
            system_state=f"{_pieces(line.quantity)} of {facts.sku} to come back",
            physical_state=f"{_pieces(sent)} of it ever delivered",
        )
