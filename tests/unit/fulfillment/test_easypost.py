"""The aggregator's adapter, against answers in the shapes that its API documents."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.chassis.errors import Transient
from services.fulfillment import app as fulfillment
from services.fulfillment.carriers import easypost
from services.fulfillment.carriers.easypost import EasyPost
from services.fulfillment.carriers.port import CarrierRefused, CarrierUnclear
from services.fulfillment.carriers.sandbox import SandboxCarrier
from services.fulfillment.configuration import OutsideSettings
from services.fulfillment.messages import BuyLabel, CustomsItem, VoidLabel
from services.fulfillment.money_text import decimal_text
from tests.unit.fulfillment.examples import NOW, ORDER, RENO, A

pytestmark = pytest.mark.asyncio
LABEL = f"{A}:1"
BERLIN = RENO.model_copy(update={"name": "Sarah", "country": "DE"})
WISH = BuyLabel(
    order_id=ORDER, return_id=A, name=LABEL, attempt=1, sender=BERLIN, recipient=RENO,
    weight_grams=900, intended_at=NOW,
    customs=(CustomsItem(description="Jacket", quantity=1, value=20050, currency="USD",
                         hs_code="6201.40", origin_country="PT"),),
)  # fmt: skip
VOID = VoidLabel(order_id=ORDER, return_id=A, name=LABEL, tracking_number="9400")
RATES = [
    {"id": "rate_dear", "carrier": "UPS", "service": "Ground", "rate": "12.10", "currency": "USD"},
    {"id": "rate_cheap", "carrier": "USPS", "service": "Ground", "rate": "9.5", "currency": "USD"},
]
CREATED = {
    "id": "shp_1", "object": "Shipment", "reference": LABEL, "rates": RATES, "messages": [],
    "postage_label": None, "tracking_code": None, "selected_rate": None, "forms": [],
}  # fmt: skip
BOUGHT = CREATED | {
    "postage_label": {
        "id": "pl_1",
        "label_url": "https://labels.example/pl_1.png",
        "label_date": "2026-03-01T12:00:00Z",
    },
    "tracking_code": "9400100000000000000000",
    "selected_rate": RATES[1],
    "forms": [{"form_type": "label_qr_code", "form_url": "https://labels.example/qr.png"}],
}
NOT_FOUND = (404, {"error": {"code": "NOT_FOUND", "message": "gone", "errors": []}})
EXISTS = (422, {"error": {"code": "SHIPMENT.POSTAGE.EXISTS", "message": "has postage"}})


class Api:
    """Answers calls from a script, and remembers what was asked."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.auth = ""
        http = easypost.client("EZ_TEST", "https://easypost.example")
        http._transport = httpx.MockTransport(self._answer)
        http._mounts = {}
        self.carrier = EasyPost(http)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls.append((request.method, request.url.path))
        self.bodies.append(json.loads(request.content) if request.content else None)
        self.auth = request.headers["authorization"]
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return httpx.Response(status, json=body)


async def test_the_cheapest_rate_is_bought_for_a_shipment_of_ours() -> None:
    api = Api(NOT_FOUND, (201, CREATED), (200, BOUGHT))
    label = await api.carrier.buy(WISH)
    assert (label.carrier, label.tracking_number) == ("USPS", "9400100000000000000000")
    assert label.qr_url == "https://labels.example/qr.png"
    assert label.expires_at == datetime(2026, 5, 30, 12, tzinfo=UTC)
    assert api.calls == [
        ("GET", f"/v2/shipments/{LABEL}"),
        ("POST", "/v2/shipments"),
        ("POST", "/v2/shipments/shp_1/buy"),
    ]
    shipment = api.bodies[1]["shipment"]
    assert shipment["reference"] == LABEL
    assert shipment["is_return"] is True
    assert shipment["to_address"]["name"] == "Sarah"
    assert shipment["parcel"] == {"weight": 31.7}
    assert shipment["customs_info"]["contents_type"] == "returned_goods"
    (item,) = shipment["customs_info"]["customs_items"]
    assert (item["value"], item["hs_tariff_number"], item["origin_country"]) == (
        "200.50", "6201.40", "PT",
    )  # fmt: skip
    assert api.bodies[2] == {"rate": {"id": "rate_cheap"}}
    assert base64.b64decode(api.auth.removeprefix("Basic ")) == b"EZ_TEST:"


async def test_a_label_that_was_bought_before_is_found_and_not_bought_again() -> None:
    api = Api((200, BOUGHT))
    assert (await api.carrier.buy(WISH)).tracking_number == "9400100000000000000000"
    assert [method for method, _ in api.calls] == ["GET"]
    api = Api((200, CREATED), EXISTS, (200, BOUGHT))
    assert (await api.carrier.buy(WISH)).tracking_number == "9400100000000000000000"


@pytest.mark.parametrize("trouble", [(500, {}), httpx.ReadTimeout("slow")])
async def test_trouble_while_buying_is_unclear(trouble: Any) -> None:
    with pytest.raises(CarrierUnclear):
        await Api((200, CREATED), trouble).carrier.buy(WISH)


@pytest.mark.parametrize("trouble", [(429, {}), (401, {}), httpx.ConnectError("down")])
async def test_what_was_certainly_not_done_is_tried_again(trouble: Any) -> None:
    with pytest.raises(Transient):
        await Api(trouble).carrier.buy(WISH)


async def test_no_rate_is_a_refusal_with_the_carriers_words() -> None:
    nobody = CREATED | {"rates": [], "messages": [{"message": "not served"}]}
    with pytest.raises(CarrierRefused, match="not served"):
        await Api(NOT_FOUND, (201, nobody)).carrier.buy(WISH)


async def test_looking_up_proves_presence_or_absence() -> None:
    assert await Api((200, BOUGHT)).carrier.find(WISH) is not None
    assert await Api((200, CREATED)).carrier.find(WISH) is None
    assert await Api(NOT_FOUND).carrier.find(WISH) is None


async def test_a_label_is_given_back_unless_it_was_used() -> None:
    api = Api((200, BOUGHT | {"refund_status": "submitted"}))
    await api.carrier.void(VOID)
    assert api.calls == [("POST", f"/v2/shipments/{LABEL}/refund")]
    with pytest.raises(CarrierRefused):
        await Api((200, BOUGHT | {"refund_status": "rejected"})).carrier.void(VOID)


async def test_the_carrier_is_chosen_by_its_setting() -> None:
    sandbox = SandboxCarrier(httpx.AsyncClient())
    chosen = fulfillment._carrier(OutsideSettings(), sandbox)
    assert chosen is sandbox
    with pytest.raises(SystemExit, match="EASYPOST_API_KEY"):
        fulfillment._carrier(OutsideSettings(carrier="easypost"), sandbox)
    other = OutsideSettings(carrier="easypost", easypost_api_key="EZ")
    assert isinstance(fulfillment._carrier(other, sandbox), EasyPost)


async def test_amounts_are_written_in_their_currencys_decimals() -> None:
    assert decimal_text(20050, "USD") == "200.50"
    assert decimal_text(5, "EUR") == "0.05"
    assert decimal_text(400, "JPY") == "400"
    assert decimal_text(4001, "KWD") == "4.001"
