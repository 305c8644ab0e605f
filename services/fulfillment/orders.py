"""The part of an order that goods depend on."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from contracts.base import Instant
from contracts.orders import Address, OrderSnapshot, Trait

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""For what an earlier version stored without its time: nothing that only the time allows."""


class Kept(BaseModel):
    """A stored value: frozen, and nothing in it that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class LineFacts(Kept):
    line_id: str
    sku: str
    title: str
    category: str
    quantity: int
    unit_price: int
    """Minor units; for customs forms."""
    discount_total: int = 0
    """Of the whole line."""
    weight_grams: int | None = None
    hs_code: str | None = None
    origin_country: str | None = None
    traits: tuple[Trait, ...] = ()


class DeliveryFacts(Kept):
    shipped_at: Instant | None = None
    delivered_at: Instant | None = None
    lines: tuple[tuple[str, int], ...] = ()
    """(line id, quantity)"""
    elsewhere: bool = False
    """Handed over at another address than the order's."""


class OrderFacts(Kept):
    """The part of an order snapshot that goods depend on."""

    order_id: str
    version: int
    currency: str
    country: str
    ship_to: Address | None = None
    lines: tuple[LineFacts, ...]
    deliveries: tuple[DeliveryFacts, ...] = ()

    def line(self, line_id: str) -> LineFacts | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


def order_facts(snapshot: OrderSnapshot) -> OrderFacts:
    """What fulfillment keeps of a snapshot: no e-mail address, no payment."""
    country = snapshot.ship_to.country if snapshot.ship_to else snapshot.buyer.country
    return OrderFacts(
        order_id=snapshot.order_id,
        version=snapshot.version,
        currency=snapshot.currency,
        country=country,
        ship_to=snapshot.ship_to,
        lines=tuple(
            LineFacts(
                line_id=line.line_id,
                sku=line.sku,
                title=line.title,
                category=line.category,
                quantity=line.quantity,
                unit_price=line.unit_price,
                discount_total=line.discount_total,
                weight_grams=line.weight_grams,
                hs_code=line.hs_code,
                origin_country=line.origin_country,
                traits=line.traits,
            )
            for line in snapshot.lines
        ),
        deliveries=tuple(
            DeliveryFacts(
                shipped_at=delivery.shipped_at,
                delivered_at=delivery.delivered_at,
                lines=tuple((line.line_id, line.quantity) for line in delivery.lines),
                elsewhere=_elsewhere(delivery.address, snapshot.ship_to),
            )
            for delivery in snapshot.deliveries
        ),
    )


def _elsewhere(delivered: Address | None, ordered: Address | None) -> bool:
    if delivered is None or ordered is None:
        return False
    return (delivered.country, delivered.postal_code) != (ordered.country, ordered.postal_code)
