"""Control calls: make payments and disputes, read the book, set stock and moods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field

from contracts.base import Count, Identifier
from services.chassis.http import Problem, problems
from services.sandbox.behaviours import BEHAVIOURS
from services.sandbox.book import Book
from services.sandbox.carrier import CARRIER_BEHAVIOURS
from services.sandbox.pages import Json, Pages
from services.sandbox.processor import Processor
from services.sandbox.refusal import Refused

AMOUNT_MAX = 10**15


def _known(name: str) -> str:
    if name not in BEHAVIOURS:
        raise ValueError(f"is none of {', '.join(BEHAVIOURS)}")
    return name


def _known_to_carrier(name: str) -> str:
    if name not in CARRIER_BEHAVIOURS:
        raise ValueError(f"is none of {', '.join(CARRIER_BEHAVIOURS)}")
    return name


class NewPayment(BaseModel):
    reference: Annotated[str, Field(min_length=1, max_length=200)]
    amount: Annotated[int, Field(strict=True, gt=0, le=AMOUNT_MAX)]
    currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")]
    method: Annotated[str, Field(min_length=1, max_length=50)] = "card"
    behaviour: Annotated[str, AfterValidator(_known)] = "ok"


class NewDispute(BaseModel):
    reference: Annotated[str, Field(min_length=1, max_length=200)]
    status: Literal["open", "won", "lost"]


class Stock(BaseModel):
    sku: Identifier
    available: Count


class Mood(BaseModel):
    behaviour: Annotated[str, AfterValidator(_known_to_carrier)]


def routes(book: Book, wake: Callable[[], None]) -> APIRouter:
    router = APIRouter(prefix="/sandbox", tags=["control"])

    @router.post("/payments", status_code=201, responses=problems(409))
    async def create_payment(payment: NewPayment) -> Json:
        kept = payment.model_dump() | {"currency": payment.currency.upper()}

        def create(pages: Pages) -> None:
            if (known := pages.get("control", payment.reference)) is not None and known == kept:
                return  # asked again: the same payment
            if pages.get("payment_intent", payment.reference) is not None:
                raise Problem(409, f"the payment {payment.reference} exists already")
            pages.put("control", payment.reference, kept)
            Processor(pages).create_payment(**payment.model_dump())

        await book.write(create)
        return kept

    @router.get("/book")
    async def read_book() -> Response:
        body = f'{{"entries": {book.pages.entries()}}}'
        return Response(body, media_type="application/json")

    @router.post("/disputes", status_code=201, responses=problems(404))
    async def dispute(wanted: NewDispute) -> Json:
        try:
            made = await book.write(
                lambda pages: Processor(pages).dispute(wanted.reference, wanted.status)
            )
        except Refused as refused:
            raise Problem(404, str(refused)) from None
        wake()
        return {"dispute_id": made["id"], "reference": wanted.reference, "status": wanted.status}

    @router.post("/inventory", status_code=201)
    async def set_stock(stock: Stock) -> Json:
        kept = {"available": stock.available}
        await book.write(lambda pages: pages.put("stock", stock.sku, kept))
        return stock.model_dump()

    @router.post("/carrier", status_code=201)
    async def set_mood(mood: Mood) -> Json:
        await book.write(lambda pages: pages.put("mood", "carrier", mood.model_dump()))
        return mood.model_dump()

    return router
