"""The warehouse's and the inventory's HTTP faces: stock, reservations, shipments, restocking."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from contracts.base import Message
from services.chassis.errors import Transient
from services.fulfillment import outside
from services.fulfillment.messages import (
    CheckStock,
    GoodsDispatchedBack,
    OfReturn,
    ReleaseStock,
    ReplacementDispatched,
    ReplacementRefused,
    ReserveStock,
    Restock,
    Restocked,
    RestockRefused,
    SendBack,
    SendBackRefused,
    ShipReplacement,
    StockChecked,
    StockRefused,
    StockReleased,
    StockReserved,
)


class Warehouse:
    """Every call names a reference of ours: repeating it has its effect once.

    Test returns always use the sandbox, whatever is configured.
    """

    def __init__(self, http: httpx.AsyncClient, sandbox: httpx.AsyncClient) -> None:
        self._http = http
        self._sandbox = sandbox

    async def check_stock(self, wish: CheckStock) -> Message:
        try:
            stock = await self._call(wish, "GET", f"/inventory/{quote(wish.sku, safe='')}")
        except outside.Refused as no:
            if no.status != httpx.codes.NOT_FOUND:
                raise Transient(str(no)) from no
            stock = {"available": 0}
        return StockChecked(
            order_id=wish.order_id,
            return_id=wish.return_id,
            test=wish.test,
            sku=wish.sku,
            available=max(0, int(stock.get("available", 0))),
            request=wish.request,
        )

    async def reserve(self, wish: ReserveStock) -> Message:
        body = {
            "reference": wish.name,
            "sku": wish.sku,
            "quantity": wish.quantity,
            "expires_at": wish.expires_at.isoformat(),
        }
        same = _same(wish)
        try:
            await self._call(wish, "POST", "/inventory/reservations", json=body)
        except outside.Refused as no:
            return StockRefused(**same, code=no.code, reason=no.reason or no.code)
        return StockReserved(**same)

    async def release(self, wish: ReleaseStock) -> Message:
        try:
            reference = quote(wish.name, safe="")
            await self._call(wish, "DELETE", f"/inventory/reservations/{reference}")
        except outside.Refused as no:
            if no.status != httpx.codes.NOT_FOUND:
                raise Transient(str(no)) from no
        return StockReleased(**_same(wish))

    async def ship(self, wish: ShipReplacement) -> Message:
        same = _same(wish)
        body: dict[str, Any] = {
            "reference": wish.replacement_id,
            "reservation": wish.name,
            "lines": [{"sku": wish.sku, "quantity": wish.quantity}],
        }
        try:
            made = await self._shipment(wish, body)
        except outside.Refused as no:
            return ReplacementRefused(**same, code=no.code, reason=no.reason or no.code)
        return ReplacementDispatched(
            **same,
            carrier=made.get("carrier"),
            tracking_number=made.get("tracking_number"),
            shipped_at=datetime.fromisoformat(made["shipped_at"]),
        )

    async def send_back(self, wish: SendBack) -> Message:
        """The customer's own goods: no stock of ours gets less by it."""
        body: dict[str, Any] = {
            "reference": wish.shipment_id,
            "lines": [{"sku": line.sku, "quantity": line.pieces} for line in wish.lines],
            "from_stock": False,
        }
        try:
            made = await self._shipment(wish, body)
        except outside.Refused as no:
            return SendBackRefused(
                order_id=wish.order_id,
                return_id=wish.return_id,
                test=wish.test,
                shipment_id=wish.shipment_id,
                code=no.code,
                reason=no.reason or no.code,
            )
        return GoodsDispatchedBack(
            order_id=wish.order_id,
            return_id=wish.return_id,
            test=wish.test,
            shipment_id=wish.shipment_id,
            tracking_number=made.get("tracking_number"),
            lines=wish.lines,
            shipped_at=datetime.fromisoformat(made["shipped_at"]),
        )

    async def restock(self, wish: Restock) -> Message:
        body = {
            "reference": wish.reference,
            "sku": wish.sku,
            "quantity": wish.quantity,
            "disposition": wish.disposition.value,
        }
        try:
            await self._call(wish, "POST", "/inventory/restocks", json=body)
        except outside.Refused as no:
            return RestockRefused(
                order_id=wish.order_id,
                return_id=wish.return_id,
                test=wish.test,
                reference=wish.reference,
                sku=wish.sku,
                quantity=wish.quantity,
                disposition=wish.disposition,
                reason=no.reason or no.code,
            )
        return Restocked(
            order_id=wish.order_id,
            return_id=wish.return_id,
            test=wish.test,
            reference=wish.reference,
        )

    async def _shipment(
        self, wish: ShipReplacement | SendBack, body: dict[str, Any]
    ) -> dict[str, Any]:
        body = body | {"test": wish.test}
        if wish.recipient is not None:
            body["ship_to"] = wish.recipient.model_dump(exclude_none=True)
        return await self._call(wish, "POST", "/warehouse/shipments", json=body)

    async def _call(
        self, wish: OfReturn, method: str, path: str, *, json: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Safe to repeat, so an unclear outcome is simply tried again."""
        http = self._sandbox if wish.test else self._http
        try:
            answer: dict[str, Any] = await outside.call(http, method, path, json=json)
        except outside.Unclear as error:
            raise Transient(str(error)) from error
        return answer


def _same(wish: ReserveStock | ReleaseStock | ShipReplacement) -> dict[str, Any]:
    return wish.model_dump(include={"order_id", "return_id", "test", "name", "attempt"})
