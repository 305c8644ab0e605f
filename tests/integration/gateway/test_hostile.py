"""What nobody means well: a clear answer, and the next caller is served."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from contracts.lifecycle import Status
from services.chassis.http import BODY_BYTES_MAX, PROBLEM
from services.gateway.api import examples
from tests.integration.gateway.door import Door, a_request, new_id, running
from tests.stores import NewStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITES = {
    "/returns": ("POST", examples.REQUEST),
    "/returns/quote": ("POST", examples.QUOTE_REQUEST),
    "/orders/order-1001": ("PUT", examples.ORDER),
    "/warehouse/scans": ("POST", examples.SCAN),
    "/warehouse/receipts": ("POST", examples.RECEIPT),
    "/warehouse/inspections": ("POST", examples.INSPECTION),
    "/returns/{id}/cancel": ("POST", examples.CANCEL),
    "/returns/{id}/evidence": ("POST", examples.EVIDENCE),
    "/returns/{id}/settlement": ("POST", examples.SETTLEMENT),
    "/returns/{id}/reversal": ("POST", examples.REVERSAL),
    "/returns/{id}/review": ("POST", examples.REVIEW),
}
NOT_JSON_OF_OURS = {
    "broken": b'{"order_id": ',
    "a list": b"[1, 2, 3]",
    "a number": b"7",
    "null": b"null",
    "not UTF-8": b'{"order_id": "\xff\xfe"}',
    "UTF-16": '{"order_id": "a"}'.encode("utf-16"),
    "deep nesting": b'{"lines":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a lone surrogate": b'{"order_id": "\\ud800", "reason": "\\udc00"}',
    "NaN": b'{"amount": NaN, "quantity": Infinity, "lines": [NaN]}',
    "a huge number": b'{"amount": 1' + b"0" * 5000 + b', "version": 1e999}',
    "an endless string": b'{"order_id": "' + b"a" * 900_000 + b'"}',
    "two documents": b"{} {}",
}


def is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == PROBLEM
        and body["status"] == status
        and {"type", "title", "detail"} <= set(body)
    )


async def a_reviewed_return(door: Door) -> str:
    return_id = await door.ask()
    await door.changed(return_id, Status.AWAITING_REVIEW)
    return return_id


async def test_nonsense_is_invalid_everywhere_and_publishes_nothing(door: Door) -> None:
    return_id = await a_reviewed_return(door)
    for path, (method, _) in WRITES.items():
        for name, raw in NOT_JSON_OF_OURS.items():
            answer = await door.http.request(
                method,
                path.replace("{id}", return_id),
                content=raw,
                headers={"content-type": "application/json"},
            )
            if path.endswith("/cancel") and answer.status_code == 202:
                continue  # nothing in a cancellation is required
            assert is_problem(answer, 422), (path, name, answer.status_code, answer.text[:300])
            assert answer.json()["errors"], (path, name)
    topics = {row["type"] for row in await door.outbox()}
    assert topics <= {"returns.ReturnRequest.v1", "returns.CancelReturn.v1"}


async def test_only_json_is_read(door: Door) -> None:
    return_id = await a_reviewed_return(door)
    for path, (method, body) in WRITES.items():
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "", "json", "*/*"):
            answer = await door.http.request(
                method,
                path.replace("{id}", return_id),
                content=json.dumps(body),
                headers={"content-type": media_type},
            )
            assert is_problem(answer, 415), (path, media_type, answer.text)
    for media_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/a+json"):
        answer = await door.http.post(
            "/returns", content=json.dumps(a_request()), headers={"content-type": media_type}
        )
        assert answer.status_code == 202, media_type


async def test_a_body_over_a_mebibyte_is_refused_announced_or_not(door: Door) -> None:
    too_much = b'{"order_id": "' + b"a" * BODY_BYTES_MAX + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(too_much), 65536):
            yield too_much[start : start + 65536]

    for content in (too_much, pieces()):
        try:
            answer = await door.http.post(
                "/returns", content=content, headers={"content-type": "application/json"}
            )
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            continue  # a closed connection is an answer too
        assert is_problem(answer, 413)
    assert (await door.http.get("/returns")).status_code == 200


async def test_the_largest_body_that_is_read_is_either_published_or_refused(door: Door) -> None:
    evidence = [
        {"evidence_id": str(n), "kind": "text", "text": "\N{PILE OF POO}" * 10_000}
        for n in range(20)
    ]
    answer = await door.http.post("/returns", json=a_request(evidence=evidence))
    assert answer.status_code in (202, 413)
    assert len(await door.outbox()) == (answer.status_code == 202)


async def test_text_that_no_store_can_keep_is_named(door: Door) -> None:
    request = a_request(order_id="a\x00b")
    request["lines"][0] = request["lines"][0] | {"note": "a\x00b", "sku": ""}
    answer = await door.http.post("/returns", json=request)
    assert is_problem(answer, 422)
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {"order_id", "lines.0.note", "lines.0.sku"}
    put = await door.http.put("/orders/a%00b", json=examples.ORDER | {"order_id": "a\x00b"})
    assert is_problem(put, 422)


async def test_times_out_of_range_or_without_an_offset_are_named(door: Door) -> None:
    for time in ("2026-03-14T10:00:00", "0001-01-01T00:00:00+14:00", "yesterday", 1773482400, ""):
        answer = await door.http.post("/returns", json=a_request(requested_at=time))
        assert is_problem(answer, 422), time
        assert [error["field"] for error in answer.json()["errors"]] == ["requested_at"], time


async def test_more_than_200_lines_are_refused(door: Door) -> None:
    line = examples.REQUEST["lines"][0]
    answer = await door.http.post("/returns", json=a_request(lines=[line] * 201))
    assert is_problem(answer, 422)


async def test_a_body_with_a_thousand_faults_names_some_of_them(door: Door) -> None:
    lines = [{"quantity": 0, "reason": "x", "condition": "x"}] * 200
    answer = await door.http.post("/returns", json=a_request(lines=lines))
    assert is_problem(answer, 422)
    assert 0 < len(answer.json()["errors"]) <= 100


async def test_unusable_idempotency_keys_are_named(door: Door) -> None:
    for key in (b" ", b"x" * 256, b"\xff\x00", b"a\tb"):
        try:
            headers = {b"Idempotency-Key": key}
            answer = await door.http.post("/returns", json=a_request(), headers=headers)
        except httpx.LocalProtocolError:
            continue
        if answer.status_code == 400:
            continue  # the server itself refuses such a header
        assert is_problem(answer, 422), key
        assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


async def test_unknown_paths_methods_and_schemas_are_problems(door: Door) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("GET", "/returns/", 404),
        ("POST", f"/returns/{new_id()}/explode", 404),
        ("GET", "/schemas/Nonsense.json", 404),
        ("GET", "/schemas/..%2F..%2Fpyproject.json", 404),
        ("DELETE", "/returns", 405),
        ("PATCH", f"/returns/{new_id()}", 405),
        ("GET", "/warehouse/scans", 405),
        ("POST", "/orders/order-1001", 405),
    ):
        answer = await door.http.request(method, path)
        assert is_problem(answer, status), (method, path, answer.status_code, answer.text)


async def test_a_store_that_is_away_is_said_to_be_away(new_store: NewStore) -> None:
    async with running(new_store("gateway").runtime_url) as door:
        return_id = await door.ask()
        await door.pool.close()
        for path in ("/returns", f"/returns/{return_id}"):
            answer = await door.http.get(path)
            assert is_problem(answer, 503)
            assert answer.headers["retry-after"]
        posted = await door.http.post("/returns", json=a_request())
        assert is_problem(posted, 503)


async def test_a_commerce_that_is_away_is_said_to_be_away(new_store: NewStore) -> None:
    nobody = "http://127.0.0.1:1"
    async with running(new_store("gateway").runtime_url, commerce_url=nobody) as door:
        answer = await door.http.post("/returns/quote", json=examples.QUOTE_REQUEST)
        assert is_problem(answer, 503)
