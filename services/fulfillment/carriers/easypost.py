"""The aggregator EasyPost (API v2): many carriers behind one address.

It knows no idempotency keys, so exactly-once rests on two of its rules: a shipment is found again
by its `reference`, and postage can be bought for a shipment only once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from contracts.orders import Address
from services.fulfillment import outside
from services.fulfillment.carriers.port import CarrierLabel, CarrierRefused, CarrierUnclear
from services.fulfillment.messages import BuyLabel, CustomsItem, VoidLabel
from services.fulfillment.money_text import decimal_text

WEIGHT_GRAMS_DEFAULT = 1000
GRAMS_PER_OUNCE_E4 = 283_495
"""28.3495 g, times 10 000."""
LABEL_VALID_DAYS = 90
POSTAGE_EXISTS = "SHIPMENT.POSTAGE.EXISTS"
VOIDED = frozenset({"submitted", "refunded"})


def client(api_key: str, base_url: str = "https://api.easypost.com") -> httpx.AsyncClient:
    http = outside.client(base_url)
    http.auth = httpx.BasicAuth(api_key, "")
    return http


class EasyPost:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.aclose()

    async def buy(self, wish: BuyLabel) -> CarrierLabel:
        try:
            shipment = await self._shipment(wish.name)
            if shipment is None:
                body = {"shipment": _shipment(wish)}
                shipment = await outside.call(self._http, "POST", "/v2/shipments", json=body)
            bought = _label(shipment)
            return bought or await self._buy(shipment)
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error
        except outside.Refused as no:
            raise CarrierRefused(no.code, no.reason) from no

    async def _buy(self, shipment: dict[str, Any]) -> CarrierLabel:
        rates = sorted(shipment.get("rates", ()), key=_price)
        if not rates:
            raise CarrierRefused("no_rates", _messages(shipment) or "no carrier serves this way")
        path = f"/v2/shipments/{shipment['id']}/buy"
        body = {"rate": {"id": rates[0]["id"]}}
        try:
            bought = _label(await outside.call(self._http, "POST", path, json=body))
        except outside.Refused as no:
            if no.code != POSTAGE_EXISTS:
                raise
            bought = _label(await self._shipment(shipment["reference"]) or {})
        if bought is None:
            raise outside.Unclear("the shipment was bought but has no label yet")
        return bought

    async def find(self, wish: BuyLabel) -> CarrierLabel | None:
        try:
            return _label(await self._shipment(wish.name) or {})
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error
        except outside.Refused as no:
            raise CarrierRefused(no.code, no.reason) from no

    async def void(self, wish: VoidLabel) -> None:
        path = f"/v2/shipments/{quote(wish.name, safe='')}/refund"
        try:
            answer = await outside.call(self._http, "POST", path)
        except outside.Unclear as error:
            raise CarrierUnclear(str(error)) from error
        except outside.Refused as no:
            raise CarrierRefused(no.code, no.reason) from no
        if answer.get("refund_status") not in VOIDED:
            raise CarrierRefused("not_refunded", str(answer.get("refund_status")))

    async def _shipment(self, reference: str) -> dict[str, Any] | None:
        path = f"/v2/shipments/{quote(reference, safe='')}"
        try:
            found: dict[str, Any] = await outside.call(self._http, "GET", path)
        except outside.Refused as no:
            if no.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return found


def _price(rate: dict[str, Any]) -> tuple[int, str]:
    """Cheapest first; prices are decimal text, compared without a float."""
    whole, _, part = str(rate["rate"]).partition(".")
    return int(whole) * 10_000 + int(f"{part:0<4}"[:4] or 0), str(rate["id"])


def _messages(shipment: dict[str, Any]) -> str:
    return "; ".join(str(each.get("message")) for each in shipment.get("messages", ()))[:500]


def _label(shipment: dict[str, Any]) -> CarrierLabel | None:
    postage = shipment.get("postage_label")
    if not postage:
        return None
    try:
        made = datetime.fromisoformat(postage["label_date"])
        qr_codes = [
            str(form["form_url"])
            for form in shipment.get("forms", ())
            if form["form_type"] == "label_qr_code"
        ]
        return CarrierLabel(
            carrier=str(shipment["selected_rate"]["carrier"]),
            tracking_number=str(shipment["tracking_code"]),
            label_url=str(postage["label_url"]),
            qr_url=qr_codes[0] if qr_codes else None,
            expires_at=made + timedelta(days=LABEL_VALID_DAYS),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise outside.Unclear(f"the shipment lacks {error}") from error


def _shipment(wish: BuyLabel) -> dict[str, Any]:
    """A return: EasyPost swaps the two addresses of an `is_return` shipment by itself."""
    weight = wish.weight_grams or WEIGHT_GRAMS_DEFAULT
    shipment: dict[str, Any] = {
        "reference": wish.name,
        "is_return": True,
        "to_address": _address(wish.sender) if wish.sender else None,
        "from_address": _address(wish.recipient),
        "parcel": {"weight": _ounces(weight)},
    }
    if wish.customs:
        shipment["customs_info"] = {
            "contents_type": "returned_goods",
            "restriction_type": "none",
            "eel_pfc": "NOEEI 30.37(a)",
            "non_delivery_option": "return",
            "customs_items": [_customs(item, weight) for item in wish.customs],
        }
    return shipment


def _ounces(grams: int) -> float:
    """At least a tenth: carriers refuse a parcel without weight."""
    return max(1, grams * 100_000 // GRAMS_PER_OUNCE_E4) / 10


def _address(address: Address) -> dict[str, Any]:
    return {
        "name": address.name,
        "street1": address.line1,
        "street2": address.line2,
        "city": address.city,
        "state": address.region,
        "zip": address.postal_code,
        "country": address.country,
    }


def _customs(item: CustomsItem, parcel_grams: int) -> dict[str, Any]:
    return {
        "description": item.description[:255],
        "quantity": item.quantity,
        "value": decimal_text(item.value, item.currency),
        "currency": item.currency,
        "weight": _ounces(item.weight_grams or parcel_grams),
        "hs_tariff_number": item.hs_code,
        "origin_country": item.origin_country,
    }
