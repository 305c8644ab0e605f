"""Calls of the order management system."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from contracts.orders import OrderSnapshot
from services.chassis import ids
from services.gateway import gateway as door
from services.gateway import intake
from services.gateway.api import examples

router = APIRouter(tags=["orders"])


@router.put(
    "/orders/{order_id:path}",
    status_code=202,
    summary="Take in an order as it stands",
    responses=examples.answers(
        {202: {"order_id": "order-1001", "version": 2}, 200: {"order_id": "order-1001"}},
        401, 403, 413, 415, 422, 503,
    ),
    openapi_extra=examples.body(OrderSnapshot, examples.ORDER),
)  # fmt: skip
async def put_order(
    request: Request,
    order_id: str,
    caller: Annotated[str, Depends(door.holding("orders:write"))],
) -> Response:
    """202: this version is newer than the known one and is published. 200: it is not, ignored."""
    gateway = door.of(request)
    order = await intake.body(request, OrderSnapshot)
    if order.order_id != order_id:
        raise intake.invalid([("order_id", f"is not {order_id[:100]!r}, which the path names")])
    ce_id = ids.derived(door.NAME, "OrderSnapshot", order_id, str(order.version))
    row = gateway.row(request, order, key=order_id, ce_id=ce_id)
    newer = await gateway.store.put_order(order, [row])
    return JSONResponse(
        {"order_id": order_id, "version": order.version, "accepted": newer},
        status_code=202 if newer else 200,
    )
