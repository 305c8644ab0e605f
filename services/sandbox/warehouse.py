"""A warehouse: stock, reservations, and replacements that ship."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from contracts.base import FreeObject, Identifier, Quantity, Text
from services.sandbox.book import Book
from services.sandbox.carrier import CARRIER, free_number, refusals, rfc3339
from services.sandbox.pages import Json, Pages

STOCK_DEFAULT = 100
SHIP_DAYS = 2
SELLABLE = "restocked"
OUT_OF_STOCK = refusals(409)


class Reservation(BaseModel):
    reference: Identifier
    sku: Identifier
    quantity: Quantity
    expires_at: Text | None = None


class Restock(BaseModel):
    reference: Identifier
    sku: Identifier
    quantity: Quantity
    disposition: Text = "restocked"


class ShippedLine(BaseModel):
    sku: Identifier
    quantity: Quantity


class Shipment(BaseModel):
    """One parcel to the customer."""

    reference: Identifier
    reservation: Identifier | None = None
    """What is shipped was held under this reference."""
    lines: Annotated[list[ShippedLine], Field(min_length=1)]
    ship_to: FreeObject | None = None
    test: bool = False
    from_stock: bool = True
    """False for goods that go back to the customer they came from."""


def _stock(pages: Pages, sku: str) -> int:
    return int((pages.get("stock", sku) or {"available": STOCK_DEFAULT})["available"])


def _available(pages: Pages, sku: str) -> int:
    """What is on the shelf and not held by a reservation that still counts."""
    now = rfc3339(time.time())
    held = (
        each["quantity"]
        for each in pages.of("reservation", sku)
        if not each.get("expires_at") or each["expires_at"] > now
    )
    return _stock(pages, sku) - int(sum(held))


def _reserve(pages: Pages, wanted: Reservation) -> Json | None:
    """The reservation, the same for the same reference; None where too little is there."""
    known = pages.get("reservation", wanted.reference)
    if known is None and _available(pages, wanted.sku) < wanted.quantity:
        return None
    made = known or wanted.model_dump()
    pages.put("reservation", wanted.reference, made, parent=wanted.sku)
    return made


def _restock(pages: Pages, wanted: Restock) -> None:
    """Only what can be sold as it is comes back on the shelf."""
    if pages.get("restock", wanted.reference) is not None:
        return
    pages.put("restock", wanted.reference, wanted.model_dump())
    if wanted.disposition == SELLABLE:
        left = _stock(pages, wanted.sku) + wanted.quantity
        pages.put("stock", wanted.sku, {"available": left})


def _ship(pages: Pages, wanted: Shipment) -> Json | None:
    """The shipment, the same for the same reference; None where the shelf is empty."""
    if (known := pages.get("shipment", wanted.reference)) is not None:
        return known
    if wanted.from_stock:
        left = {line.sku: _stock(pages, line.sku) - line.quantity for line in wanted.lines}
        if min(left.values()) < 0:
            return None
        pages.delete("reservation", wanted.reservation or wanted.reference)
        for sku, available in left.items():
            pages.put("stock", sku, {"available": available})
    tracking = free_number(pages, f"out:{wanted.reference}")
    pages.put("tracking", tracking, {"reference": wanted.reference})
    made: Json = {
        "reference": wanted.reference,
        "lines": [line.model_dump() for line in wanted.lines],
        "carrier": CARRIER,
        "tracking_number": tracking,
        "shipped_at": rfc3339(time.time()),
    }
    pages.put("shipment", wanted.reference, made)
    return made


def _made_or_out_of_stock(made: Json | None) -> JSONResponse:
    if made is None:
        return JSONResponse({"code": "out_of_stock", "message": "not enough is there"}, 409)
    return JSONResponse(made, 201)


def routes(book: Book) -> APIRouter:
    router = APIRouter(tags=["warehouse"])

    @router.get("/inventory/{sku:path}")
    async def stock(sku: str) -> Json:
        """`available`: pieces on the shelf that nobody holds. 404 counts as none."""
        available = max(_available(book.pages, sku), 0)
        return {"sku": sku, "available": available, "ship_days": SHIP_DAYS}

    @router.post("/inventory/reservations", status_code=201, responses=OUT_OF_STOCK)
    async def reserve(wanted: Reservation) -> JSONResponse:
        """Hold pieces until `expires_at`. 409 `out_of_stock` where too few are there."""
        return _made_or_out_of_stock(await book.write(lambda pages: _reserve(pages, wanted)))

    @router.delete("/inventory/reservations/{reference}", status_code=204)
    async def release(reference: str) -> Response:
        """Give a reservation back; one that is not known is given back already."""
        await book.write(lambda pages: pages.delete("reservation", reference))
        return Response(status_code=204)

    @router.post("/inventory/restocks")
    async def restock(wanted: Restock) -> Json:
        """Take inspected pieces over; `disposition` says what becomes of them."""
        await book.write(lambda pages: _restock(pages, wanted))
        return wanted.model_dump()

    @router.post("/warehouse/shipments", status_code=201, responses=OUT_OF_STOCK)
    async def ship(wanted: Shipment) -> JSONResponse:
        """One parcel to the customer. Answers `carrier`, `tracking_number` and `shipped_at`."""
        return _made_or_out_of_stock(await book.write(lambda pages: _ship(pages, wanted)))

    @router.get("/warehouse/shipments")
    async def shipments(reference: Identifier) -> Json:
        """The parcel that was sent under this reference, if there is one."""
        known = book.pages.get("shipment", reference)
        return {"shipments": [known] if known else []}

    return router
