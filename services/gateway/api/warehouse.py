"""Calls of carriers and warehouses: what they saw."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from contracts import warehouse
from services.chassis import ids
from services.gateway import bodies, intake
from services.gateway import gateway as door
from services.gateway.api import examples

router = APIRouter(prefix="/warehouse", tags=["warehouse"])

Caller = Annotated[str, Depends(door.holding("warehouse:write"))]
ACCEPTED: dict[int, Any] = {202: {"event_id": "2f1c7f5e-6d0e-4f53-9a55-0c2b1c6f7a10"}}
RESPONSES = examples.answers(ACCEPTED, 401, 403, 413, 415, 422, 503)


@router.post(
    "/scans",
    status_code=202,
    summary="A carrier scanned a parcel",
    responses=RESPONSES,
    openapi_extra=examples.body(bodies.Scan, examples.SCAN),
)
async def post_scan(request: Request, caller: Caller) -> Response:
    """The first accepted scan is the proof of sending."""
    return await _publish(request, bodies.Scan, warehouse.ParcelScanned)


@router.post(
    "/receipts",
    status_code=202,
    summary="A warehouse counted what came in",
    responses=RESPONSES,
    openapi_extra=examples.body(bodies.Receipt, examples.RECEIPT),
)
async def post_receipt(request: Request, caller: Caller) -> Response:
    return await _publish(request, bodies.Receipt, warehouse.ItemReceived)


@router.post(
    "/inspections",
    status_code=202,
    summary="A warehouse inspected what came in",
    responses=RESPONSES,
    openapi_extra=examples.body(bodies.Inspection, examples.INSPECTION),
)
async def post_inspection(request: Request, caller: Caller) -> Response:
    return await _publish(request, bodies.Inspection, warehouse.ItemInspected)


async def _publish(
    request: Request, model: type[BaseModel], message_type: type[warehouse.WarehouseEvent]
) -> Response:
    gateway = door.of(request)
    body = await intake.body(request, model)
    message = bodies.completed(body, message_type, event_id=ids.new())
    order_id = message.order_id
    if message.return_id is not None and order_id is None:
        # Only to be handled beside its order: the view may lag behind a person who linked another.
        order_id = await gateway.store.order_of(message.return_id)
    key = order_id or message.return_id or message.tracking_number
    assert key is not None, "an event names a return or a parcel"
    row = gateway.row(request, message, key=key, ce_id=_ce_id(message.event_id))
    await gateway.store.publish([row])
    return JSONResponse({"event_id": message.event_id}, status_code=202)


def _ce_id(event_id: str) -> str:
    """The same event sent twice, here or on the bus, is the same message."""
    try:
        return str(UUID(event_id))
    except ValueError:
        return ids.derived(door.NAME, "WarehouseEvent", event_id)
