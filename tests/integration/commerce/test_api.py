"""Commerce's internal HTTP face, on its real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.chassis import runtime
from services.chassis.keys import digest
from services.commerce import api, app
from tests.driving import Drive
from tests.integration.commerce.test_process import assessed
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio


def face(service: Drive, **settings: Any) -> httpx.AsyncClient:
    own = service.settings.model_copy(update=settings)
    running = runtime._assembled(service.service, service.pool, own, service.clock)
    http = runtime.application(running, api.add_routes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(http), base_url="http://commerce")


def asked(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = examples.request().model_dump(mode="json", exclude_none=True)
    del body["return_id"], body["requested_at"]
    return body | changes


async def test_a_quote_says_what_would_come_back_and_commits_to_nothing(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.order())
    async with face(service) as http:
        answer = await http.post("/quotes", json=asked())
    assert answer.status_code == 200, answer.text
    quote = answer.json()
    assert (quote["decision"], quote["refund"]["total"]) == ("approved", 22200)
    assert quote["would_ask"] and quote["valid_until"] and quote["refund_on"] == "inspection"
    assert await service.count("quotes") == 1
    assert await service.count("returns") == 0


async def test_a_quote_counts_what_is_in_return_already(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.order(), examples.request())
    await assessed(service)
    async with face(service) as http:
        answer = await http.post("/quotes", json=asked())
    assert answer.json()["decision"] == "rejected"


async def test_a_quote_of_an_unknown_order_or_claim_asks_a_person(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    claim = {"order_number": "N9", "email": "x@y.example"}
    async with face(service) as http:
        unknown = await http.post("/quotes", json=asked(order_id="nobody-knows"))
        claimed = await http.post("/quotes", json=asked(order_id=None, claim=claim))
        invalid = await http.post("/quotes", json={"lines": []})
    assert unknown.json()["decision"] == claimed.json()["decision"] == "escalated"
    assert invalid.status_code == 422
    assert {each["field"] for each in invalid.json()["errors"]} >= {"lines", "resolution"}


async def test_a_return_and_all_its_decisions_can_be_read(drive: Any) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(examples.order(), examples.request())
    await assessed(service)
    async with face(service) as http:
        process = (await http.get(f"/returns/{examples.RETURN_ID}")).json()
        decisions = (await http.get(f"/returns/{examples.RETURN_ID}/decisions")).json()
        missing = await http.get("/returns/none")
    assert process["state"] == "approved"
    assert [each["sequence"] for each in decisions["items"]] == [1]
    assert missing.status_code == 404


async def test_where_keys_are_configured_only_their_holders_are_answered(
    drive: Any, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    readers = {"name": "desk", "scopes": ["returns:read"]}
    file.write_text(json.dumps({digest("k"): readers}))
    service: Drive = await drive(app.build, "commerce")
    paths = ("/returns/none", "/returns/none/decisions")
    async with face(service, returns_api_keys_file=str(file)) as http:
        for headers, status in (({}, 401), ({"Authorization": "Bearer k"}, 200)):
            got = [(await http.get(path, headers=headers)).status_code for path in paths]
            assert got == ([401, 401] if status == 401 else [404, 200])
            quoted = await http.post("/quotes", json=asked(), headers=headers)
            assert quoted.status_code == status
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/metrics")).status_code == 200
