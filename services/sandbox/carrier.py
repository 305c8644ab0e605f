"""A carrier: one label per reference, with a tracking number, a PDF and a QR code."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from contracts.base import (
    CountryCode,
    Currency,
    FreeObject,
    Identifier,
    MinorUnits,
    Quantity,
    Text,
)
from services.chassis.http import PROBLEM, Problem, problems
from services.sandbox import label as drawing
from services.sandbox.book import Book
from services.sandbox.pages import Json, Pages

CARRIER = "Sandbox Parcel"
LABEL_VALID_SECONDS = 30 * 24 * 3600
HOLD_SECONDS = 30
ITEMS_MAX = 200
CARRIER_BEHAVIOURS = (
    "ok",
    "refused",
    "timeout_before",
    "timeout_after_success",
    "error_500_stored",
    "error_500_after_success",
)
S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
LABEL: dict[int | str, Json] = problems(404) | {
    200: {"description": "To print", "content": {"application/pdf": {}}}
}
CODE: dict[int | str, Json] = problems(404) | {
    200: {"description": "To show at the counter", "content": {"image/png": {}}}
}


def refusals(*statuses: int) -> dict[int | str, Json]:
    """`responses` of a call whose refusals look as carriers' and inventories' do: a code."""
    content: Json = {"application/json": {}, PROBLEM: {}}
    return {status: {"description": "Refused", "content": content} for status in statuses}


class DeclaredItem(BaseModel):
    """One line of the customs declaration."""

    description: Text
    quantity: Quantity
    value: MinorUnits
    """Of all pieces together."""
    currency: Currency
    weight_grams: MinorUnits | None = None
    hs_code: Identifier | None = None
    origin_country: CountryCode | None = None


class Declared(BaseModel):
    contents_type: Text = "returned_goods"
    items: Annotated[tuple[DeclaredItem, ...], Field(max_length=ITEMS_MAX)] = ()


class LabelOrder(BaseModel):
    reference: Annotated[str, Field(min_length=1, max_length=200)]
    return_id: Identifier
    order_id: Identifier
    test: bool = False
    sender: Annotated[FreeObject | None, Field(alias="from")] = None
    to: FreeObject | None = None
    weight_grams: MinorUnits | None = None
    customs: Declared | None = None
    metadata: FreeObject = {}


def tracking_number(reference: str) -> str:
    """An S10 number (UPU) with its check digit, the same for the same reference."""
    digits = f"{int(hashlib.sha256(reference.encode()).hexdigest(), 16) % 10**8:08}"
    total = sum(weight * int(digit) for weight, digit in zip(S10_WEIGHTS, digits, strict=True))
    check = {10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11)
    return f"RR{digits}{check}SB"


def free_number(pages: Pages, reference: str) -> str:
    """A tracking number that no parcel has yet."""
    number, attempt = tracking_number(reference), 1
    while pages.get("tracking", number) is not None:
        number, attempt = tracking_number(f"{reference}:{attempt}"), attempt + 1
    return number


def mark_used(pages: Pages, return_id: str) -> None:
    """The carrier has scanned the return's parcels: their labels cannot be voided any more."""
    for label in pages.of("label", return_id):
        if label["status"] == "active":
            pages.put("label", label["reference"], label | {"status": "used"})


def rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _issue(pages: Pages, order: LabelOrder, base_url: str) -> Json:
    """The label of the order's reference, made if there is none yet."""
    known = pages.get("label", order.reference)
    if known is not None:
        return known
    tracking = free_number(pages, order.reference)
    label = {
        "reference": order.reference,
        "return_id": order.return_id,
        "order_id": order.order_id,
        "carrier": CARRIER,
        "tracking_number": tracking,
        "label_url": f"{base_url}carrier/labels/{tracking}.pdf",
        "qr_url": f"{base_url}carrier/labels/{tracking}.png",
        "expires_at": rfc3339(time.time() + LABEL_VALID_SECONDS),
        "status": "active",
        "test": order.test,
        "from": order.sender,
        "to": order.to,
        "weight_grams": order.weight_grams,
        "customs": order.customs.model_dump() if order.customs else None,
    }
    pages.put("label", order.reference, label, parent=order.return_id)
    pages.put("tracking", tracking, {"reference": order.reference})
    return label


def _buy(pages: Pages, order: LabelOrder, base_url: str) -> tuple[str, Json | None]:
    """What goes wrong this time, and the label if one was made. Only `refused` lasts."""
    mood = (pages.get("mood", "carrier") or {}).get("behaviour", "ok")
    first = pages.count(f"label:{order.reference}") == 1
    trouble = mood if first or mood == "refused" else "ok"
    made = trouble not in ("refused", "timeout_before", "error_500_stored")
    return trouble, _issue(pages, order, base_url) if made else None


def routes(book: Book) -> APIRouter:
    router = APIRouter(prefix="/carrier", tags=["carrier"])

    @router.post("/labels", status_code=201, responses=refusals(422, 500))
    async def buy(order: LabelOrder, request: Request) -> JSONResponse:
        base_url = str(request.base_url)
        trouble, label = await book.write(lambda pages: _buy(pages, order, base_url))
        if trouble == "refused":
            return JSONResponse(
                {"code": "address_not_served", "message": "this address is not served"}, 422
            )
        if trouble.startswith("timeout"):
            await _hold(request)
        if label is None or trouble == "error_500_after_success":
            return JSONResponse({"code": "internal", "message": "try again"}, 500)
        return JSONResponse(label, 201)

    @router.get("/labels")
    async def find(reference: Identifier) -> Json:
        label = book.pages.get("label", reference)
        return {"labels": [label] if label else []}

    def by_tracking(pages: Pages, tracking: str) -> Json:
        known = pages.get("tracking", tracking)
        label = pages.get("label", known["reference"]) if known else None
        if label is None:
            raise Problem(404, f"no label {tracking}")
        return label

    @router.post("/labels/{tracking}/void", responses=problems(404) | refusals(409))
    async def void(tracking: str) -> JSONResponse:
        def cancel(pages: Pages) -> Json:
            label = by_tracking(pages, tracking)
            if label["status"] == "active":
                label["status"] = "void"
                pages.put("label", label["reference"], label)
            return label

        label = await book.write(cancel)
        if label["status"] == "used":
            return JSONResponse({"code": "already_used", "message": "it was scanned"}, 409)
        return JSONResponse(label)

    @router.get("/labels/{tracking}.pdf", responses=LABEL)
    async def pdf(tracking: str) -> Response:
        return Response(
            await asyncio.to_thread(drawing.label_pdf, by_tracking(book.pages, tracking)),
            media_type="application/pdf",
        )

    @router.get("/labels/{tracking}.png", responses=CODE)
    async def png(tracking: str) -> Response:
        number = by_tracking(book.pages, tracking)["tracking_number"]
        return Response(drawing.qr_png(number), media_type="image/png")

    return router


async def _hold(request: Request) -> None:
    for _ in range(HOLD_SECONDS * 10):
        if await request.is_disconnected():
            return
        await asyncio.sleep(0.1)
