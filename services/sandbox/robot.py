"""A warehouse robot: plays a parcel's life on request, by calling the gateway as people would."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import httpx
from fastapi import APIRouter
from pydantic import BaseModel, Field

from contracts.base import Identifier, MinorUnits, Quantity, Text
from services.chassis import environment
from services.chassis.http import Problem, problems
from services.sandbox import carrier
from services.sandbox.book import Book
from services.sandbox.pages import Json

Step = Literal["accepted", "in_transit", "delivered", "received", "inspected"]
Grade = Literal["as_new", "opened", "worn", "damaged", "wrong_item", "missing"]
STEPS: tuple[Step, ...] = ("accepted", "in_transit", "delivered", "received", "inspected")
CALL_SECONDS_MAX = 10.0
TRIES_MAX = 5
PAUSE_SECONDS = 0.5
LINES_MAX = 200
WAITS = (408, 425, 429, 502, 503, 504)
"""Answers after which the same call is made again: it carries the same event id."""


class PackedLine(BaseModel):
    """What is in the box, and what the inspector will find."""

    sku: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Quantity
    grade: Grade = "as_new"
    defect_confirmed: bool | None = None
    note: Text | None = None


class Play(BaseModel):
    """What the robot does with a parcel, in this order."""

    steps: tuple[Step, ...] = STEPS
    lines: Annotated[list[PackedLine], Field(max_length=LINES_MAX)] = []
    order_id: Identifier | None = None
    location: Text | None = None
    carton_weight_grams: MinorUnits | None = None
    inspector: Text = "robot"
    pause_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Between two steps."""


def routes(book: Book, gateway_url: str) -> APIRouter:
    """`RETURNS_API_KEY` is the gateway's key, where it wants one."""
    router = APIRouter(prefix="/sandbox", tags=["control"])
    key = environment.read("RETURNS_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    @router.post("/parcels/{parcel}/play", status_code=202, responses=problems(404, 409))
    async def play(parcel: Identifier, wanted: Play) -> Json:
        """`parcel` is a return id or a tracking number."""
        if not wanted.lines and {"received", "inspected"} & set(wanted.steps):
            raise Problem(422, "nothing is in the box", [("lines", "needed for these steps")])
        async with httpx.AsyncClient(
            base_url=gateway_url, timeout=CALL_SECONDS_MAX, headers=headers
        ) as client:
            for number, step in enumerate(wanted.steps):
                if number:
                    await asyncio.sleep(wanted.pause_seconds)
                await _report(client, *_event(step, parcel, wanted))
                if step == "accepted" and _return_id(parcel):
                    await book.write(lambda pages: carrier.mark_used(pages, parcel))
        return {"parcel": parcel, "played": list(wanted.steps)}

    return router


async def _report(client: httpx.AsyncClient, path: str, body: Json) -> None:
    """Raises Problem with the gateway's own words when it refuses, or does not answer in time."""
    trouble = "it does not answer"
    for _ in range(TRIES_MAX):
        try:
            answer = await client.post(f"/warehouse/{path}", json=body)
        except httpx.HTTPError as error:
            trouble = type(error).__name__
        else:
            if answer.is_success:
                return
            if answer.status_code not in WAITS:
                raise Problem(answer.status_code, f"{path}: {answer.text[:500]}")
            trouble = f"it answers {answer.status_code}"
        await asyncio.sleep(PAUSE_SECONDS)
    raise Problem(503, f"the gateway did not take {path}: {trouble}")


def _event(step: Step, parcel: str, wanted: Play) -> tuple[str, Json]:
    """Path and body of the call that reports a step."""
    name = "return_id" if _return_id(parcel) else "tracking_number"
    body: dict[str, Any] = {
        "event_id": str(uuid4()),
        name: parcel,
        "order_id": wanted.order_id,
        "occurred_at": carrier.rfc3339(time.time()),
    }
    if step == "received":
        counted = [line.model_dump(include={"sku", "quantity"}) for line in wanted.lines]
        return "receipts", body | {
            "lines": counted, "carton_weight_grams": wanted.carton_weight_grams,
        }  # fmt: skip
    if step == "inspected":
        graded = [line.model_dump(exclude_none=True) | {"evidence": []} for line in wanted.lines]
        return "inspections", body | {"lines": graded, "inspector": wanted.inspector}
    return "scans", body | {"scan": step, "location": wanted.location}


def _return_id(parcel: str) -> bool:
    try:
        UUID(parcel)
    except ValueError:
        return False
    return True
