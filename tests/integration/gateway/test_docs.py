"""The documentation: complete, self-contained, and true of what is served."""

from __future__ import annotations

import random
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from contracts.topics import MESSAGES
from services.chassis.http import PROBLEM
from tests.integration.gateway.door import Door, Json, new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

PINNED = {
    "/orders/{order_id}": {"put"},
    "/returns": {"post", "get"},
    "/returns/quote": {"post"},
    "/returns/{return_id}": {"get"},
    "/returns/{return_id}/events": {"get"},
    "/returns/{return_id}/page": {"get"},
    "/returns/{return_id}/cancel": {"post"},
    "/returns/{return_id}/evidence": {"post"},
    "/returns/{return_id}/settlement": {"post"},
    "/returns/{return_id}/reversal": {"post"},
    "/returns/{return_id}/review": {"post"},
    "/warehouse/scans": {"post"},
    "/warehouse/receipts": {"post"},
    "/warehouse/inspections": {"post"},
}
CALLS_FUZZED = 400


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(references(inner) for inner in value))
    return set()


async def openapi(door: Door) -> Json:
    document: Json = (await door.http.get("/openapi.json")).json()
    return document


async def test_every_call_is_documented_with_an_example_of_its_body(door: Door) -> None:
    document = await openapi(door)
    assert {path: set(calls) for path, calls in document["paths"].items()} == PINNED
    schemas = document["components"]["schemas"]
    missing = {ref for ref in references(document) if ref.rpartition("/")[2] not in schemas}
    assert not missing
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert call["summary"]
            assert "401" in call["responses"], (path, method)
            if method == "get":
                continue
            content = call["requestBody"]["content"]["application/json"]
            schema = content["schema"] | {"components": document["components"]}
            jsonschema.validate(content["example"], schema)


async def test_every_answer_is_documented_in_the_media_type_that_it_has(door: Door) -> None:
    other_than_json = {"page": {"text/html"}, "events": {"text/event-stream"}}
    for path, calls in (await openapi(door))["paths"].items():
        for call in calls.values():
            for status, answer in call["responses"].items():
                if status.startswith("2"):
                    kind = other_than_json.get(path.rpartition("/")[2], {"application/json"})
                    assert set(answer["content"]) == kind, path


async def test_the_page_shows_every_call_and_needs_nothing_from_elsewhere(door: Door) -> None:
    page = await door.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in PINNED:
        assert path in page.text
    assert "No keys are configured" in page.text
    assert not re.findall(r"<script|(?:src|href)=\"?https?:", page.text)


async def test_every_message_has_its_schema_and_its_place_on_the_bus(door: Door) -> None:
    for name in MESSAGES:
        schema = await door.http.get(f"/schemas/{name}.json")
        assert schema.status_code == 200, name
        jsonschema.Draft202012Validator.check_schema(schema.json())
    document = await door.http.get("/asyncapi.json")
    assert document.status_code == 200
    assert document.json()["asyncapi"].startswith("3.")


async def test_whatever_is_called_the_answer_is_one_that_is_documented(door: Door) -> None:
    document = await openapi(door)
    chance = random.Random(20260314)
    return_id = await door.ask()
    for _ in range(CALLS_FUZZED):
        path, calls = chance.choice(sorted(document["paths"].items()))
        method, call = chance.choice(sorted(calls.items()))
        if path.endswith("/events"):
            continue
        known = chance.choice((return_id, new_id(), "%F0%9F%92%A9", "order-1001"))
        filled = path.replace("{return_id}", known).replace("{order_id}", "order-1001")
        answer = await door.http.request(
            method,
            filled,
            json=None if method == "get" else mutated(call, chance),
            params={"limit": chance.choice(("1", "0", "x"))} if method == "get" else None,
        )
        assert str(answer.status_code) in call["responses"], (method, filled, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == PROBLEM


STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    1.5,
    "",
    "\x00",
    "unknown",
    "2026-03-14",
    "\N{PILE OF POO}",
    "x" * 20_001,
    [],
    {},
    [[]],
    [None],
)


def mutated(call: Json, chance: random.Random) -> Any:
    """The example of a body with some values replaced, at any depth."""

    def changed(value: Any) -> Any:
        if chance.random() < 0.07:
            return chance.choice(STRANGE)
        if isinstance(value, dict):
            return {key: changed(inner) for key, inner in value.items() if chance.random() > 0.03}
        if isinstance(value, list):
            return [changed(inner) for inner in value]
        return value

    return changed(call["requestBody"]["content"]["application/json"]["example"])
