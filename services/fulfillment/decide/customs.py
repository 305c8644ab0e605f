"""Customs data of a parcel that crosses a border: what a CN22 or CN23 form asks for."""

from __future__ import annotations

from contracts.money import allocate
from contracts.orders import Address
from services.fulfillment.messages import CustomsItem
from services.fulfillment.model import ReturnGoods
from services.fulfillment.orders import LineFacts, OrderFacts


def items(
    goods: ReturnGoods, order: OrderFacts | None, recipient: Address
) -> tuple[CustomsItem, ...]:
    """One item per order line of which something comes back; none within a country."""
    if order is None or order.country == recipient.country:
        return ()
    found = []
    for line in order.lines:
        ordinals = [unit.ordinal for unit in goods.units if unit.line_id == line.line_id]
        if ordinals:
            pieces = len(ordinals)
            found.append(
                CustomsItem(
                    description=line.title,
                    quantity=pieces,
                    value=_sold_for(line, ordinals),
                    currency=order.currency,
                    weight_grams=line.weight_grams and line.weight_grams * pieces,
                    hs_code=line.hs_code,
                    origin_country=line.origin_country,
                )
            )
    return tuple(found)


def _sold_for(line: LineFacts, ordinals: list[int]) -> int:
    """Minor units that were paid for these units: customs wants the price after discount."""
    total = max(0, line.unit_price * line.quantity - line.discount_total)
    parts = allocate(total, [1] * line.quantity)
    return sum(parts[ordinal - 1] for ordinal in ordinals)
