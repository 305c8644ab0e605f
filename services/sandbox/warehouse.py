"""A warehouse: stock, reservations, replacements that ship, and a robot that plays a parcel."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from uuid import uuid4

import httpx
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from services.chassis.http import Problem
from services.sandbox.book import Book, Json
from services.sandbox.carrier import CARRIER, rfc3339, tracking_number

STOCK_DEFAULT = 100
SHIP_DAYS = 2
CALL_SECONDS_MAX = 10.0
Step = Literal["accepted", "in_transit", "delivered", "received", "inspected"]
STEPS: tuple[Step, ...] = ("accepted", "in_transit", "delivered", "received", "inspected")


class Reservation(BaseModel):
    reference: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]
    expires_at: str | None = None


class Restock(BaseModel):
    reference: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]
    disposition: str = "restocked"


class Shipment(BaseModel):
    reference: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]
    ship_to: dict[str, Any] | None = None
    test: bool = False
    from_stock: bool = True
    """False for goods that go back to the customer they came from."""


class Play(BaseModel):
    """What the robot does with a parcel, in this order."""

    steps: tuple[Step, ...] = STEPS
    lines: list[dict[str, Any]]
    """{sku, quantity, grade?, defect_confirmed?} of what is in the box."""
    order_id: str | None = None


def routes(book: Book) -> APIRouter:
    router = APIRouter(tags=["warehouse"])

    def available(sku: str) -> int:
        stock = book.get("stock", sku) or {"available": STOCK_DEFAULT}
        held: int = sum(each["quantity"] for each in book.of("reservation", sku))
        return int(stock["available"]) - held

    @router.get("/inventory/{sku}")
    async def stock(sku: str) -> Json:
        return {"sku": sku, "available": max(available(sku), 0), "ship_days": SHIP_DAYS}

    @router.post("/inventory/reservations", status_code=201)
    async def reserve(wanted: Reservation) -> JSONResponse:
        with book.transaction():
            known = book.get("reservation", wanted.reference)
            if known is None and available(wanted.sku) < wanted.quantity:
                return JSONResponse({"code": "out_of_stock", "message": "not enough"}, 409)
            made = known or wanted.model_dump()
            book.put("reservation", wanted.reference, made, parent=wanted.sku)
        return JSONResponse(made, 201)

    @router.delete("/inventory/reservations/{reference}", status_code=204)
    async def release(reference: str) -> Response:
        with book.transaction():
            book.delete("reservation", reference)
        return Response(status_code=204)

    @router.post("/inventory/restocks")
    async def restock(wanted: Restock) -> Json:
        with book.transaction():
            if book.get("restock", wanted.reference) is None:
                book.put("restock", wanted.reference, wanted.model_dump())
                left = book.get("stock", wanted.sku) or {"available": STOCK_DEFAULT}
                book.put("stock", wanted.sku, {"available": left["available"] + wanted.quantity})
        return wanted.model_dump()

    @router.post("/warehouse/shipments", status_code=201)
    async def ship(wanted: Shipment) -> Json:
        with book.transaction():
            known = book.get("shipment", wanted.reference)
            made = known or {
                "reference": wanted.reference,
                "sku": wanted.sku,
                "quantity": wanted.quantity,
                "carrier": CARRIER,
                "tracking_number": tracking_number(f"out:{wanted.reference}"),
                "shipped_at": rfc3339(time.time()),
            }
            book.put("shipment", wanted.reference, made)
            if known is None and wanted.from_stock:
                book.delete("reservation", wanted.reference)
                left = book.get("stock", wanted.sku) or {"available": STOCK_DEFAULT}
                book.put("stock", wanted.sku, {"available": left["available"] - wanted.quantity})
        return made

    @router.get("/warehouse/shipments")
    async def shipments(reference: str) -> Json:
        known = book.get("shipment", reference)
        return {"shipments": [known] if known else []}

    return router


def robot(gateway_url: str) -> APIRouter:
    """Plays a parcel's life by calling the gateway as a warehouse would."""
    router = APIRouter(prefix="/sandbox", tags=["control"])

    @router.post("/parcels/{return_id}/play", status_code=202)
    async def play(return_id: str, wanted: Play) -> Json:
        async with httpx.AsyncClient(timeout=CALL_SECONDS_MAX) as client:
            for step in wanted.steps:
                path, body = _event(step, return_id, wanted)
                try:
                    answer = await client.post(f"{gateway_url}/warehouse/{path}", json=body)
                except httpx.HTTPError as error:
                    raise Problem(503, f"the gateway does not answer: {error}") from error
                if answer.status_code != 202:
                    raise Problem(answer.status_code, f"{path}: {answer.text[:500]}")
        return {"return_id": return_id, "played": list(wanted.steps)}

    return router


def _event(step: str, return_id: str, wanted: Play) -> tuple[str, Json]:
    body: Json = {
        "event_id": str(uuid4()),
        "return_id": return_id,
        "occurred_at": rfc3339(time.time()),
    }
    if wanted.order_id:
        body["order_id"] = wanted.order_id
    if step == "received":
        counted = [{"sku": each["sku"], "quantity": each["quantity"]} for each in wanted.lines]
        return "receipts", body | {"lines": counted}
    if step == "inspected":
        graded = [{"grade": "as_new", "evidence": [], **each} for each in wanted.lines]
        return "inspections", body | {"lines": graded, "inspector": "robot"}
    return "scans", body | {"scan": step}
