"""The sandbox's carrier: `POST /carrier/labels` and its neighbours."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from services.fulfillment import outside
from services.fulfillment.carriers.port import CarrierLabel, CarrierRefused, CarrierUnclear
from services.fulfillment.messages import BuyLabel, VoidLabel


class SandboxCarrier:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.aclose()

    async def buy(self, wish: BuyLabel) -> CarrierLabel:
        body: dict[str, Any] = {
            "reference": wish.name,
            "return_id": wish.return_id,
            "order_id": wish.order_id,
            "test": wish.test,
            "to": wish.recipient.model_dump(exclude_none=True),
            "metadata": {"label": wish.name, "return_id": wish.return_id},
        }
        if wish.sender is not None:
            body["from"] = wish.sender.model_dump(exclude_none=True)
        if wish.weight_grams is not None:
            body["weight_grams"] = wish.weight_grams
        if wish.customs:
            items = [item.model_dump(exclude_none=True) for item in wish.customs]
            body["customs"] = {"contents_type": "returned_goods", "items": items}
        key = {"Idempotency-Key": f"label:{wish.name}:{wish.attempt}"}
        try:
            made = await outside.call(self._http, "POST", "/carrier/labels", json=body, headers=key)
            return _label(made)
        except outside.Refused as no:
            raise CarrierRefused(no.code, no.reason) from no
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error

    async def find(self, wish: BuyLabel) -> CarrierLabel | None:
        try:
            answer = await outside.call(
                self._http, "GET", "/carrier/labels", params={"reference": wish.name}
            )
            labels = answer.get("labels", [])
            return _label(labels[0]) if labels else None
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error

    async def void(self, wish: VoidLabel) -> None:
        path = f"/carrier/labels/{quote(wish.tracking_number, safe='')}/void"
        try:
            await outside.call(self._http, "POST", path)
        except outside.Refused as no:
            raise CarrierRefused(no.code, no.reason) from no
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error


def _label(answer: dict[str, Any]) -> CarrierLabel:
    try:
        return CarrierLabel(
            carrier=str(answer["carrier"]),
            tracking_number=str(answer["tracking_number"]),
            label_url=str(answer["label_url"]),
            qr_url=answer.get("qr_url"),
            expires_at=datetime.fromisoformat(answer["expires_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise outside.Unclear(f"the carrier's answer lacks {error}") from error
