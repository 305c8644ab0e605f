"""Topic `warehouse.events`: what carriers and warehouses saw."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from contracts.base import (
    Count,
    Flag,
    Identifier,
    Instant,
    Message,
    MinorUnits,
    OpenEnum,
    Part,
    Quantity,
    ReturnId,
    Text,
)
from contracts.requests import Evidence


class Scan(OpenEnum):
    ACCEPTED = "accepted"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"


class Grade(OpenEnum):
    AS_NEW = "as_new"
    OPENED = "opened"
    WORN = "worn"
    DAMAGED = "damaged"
    WRONG_ITEM = "wrong_item"
    MISSING = "missing"
    UNKNOWN = "unknown"


class WarehouseEvent(Message):
    event_id: Identifier
    return_id: ReturnId | None = None
    tracking_number: Identifier | None = None
    order_id: Identifier | None = None
    occurred_at: Instant

    @model_validator(mode="after")
    def _names_a_parcel(self) -> Self:
        if self.return_id is None and self.tracking_number is None:
            raise ValueError("return_id or tracking_number is required")
        return self


class ParcelScanned(WarehouseEvent):
    scan: Scan
    location: Text | None = None


class CountedItem(Part):
    sku: Identifier
    quantity: Count


class ItemReceived(WarehouseEvent):
    lines: tuple[CountedItem, ...]
    carton_weight_grams: MinorUnits | None = None


class InspectedItem(Part):
    sku: Identifier
    quantity: Quantity
    grade: Grade
    defect_confirmed: Flag | None = None
    note: Text | None = None
    evidence: tuple[Evidence, ...] = ()


class ItemInspected(WarehouseEvent):
    lines: tuple[InspectedItem, ...]
    inspector: Text
