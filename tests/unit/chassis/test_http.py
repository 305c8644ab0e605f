"""The HTTP face: every error is problem+json, bodies are bounded, keys have scopes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from services.chassis import http, keys, server
from services.chassis.errors import Transient
from services.chassis.http import Problem
from services.chassis.keys import ApiKeys
from services.chassis.settings import Settings

pytestmark = pytest.mark.asyncio

PROBLEM = "application/problem+json"


class Parcel(BaseModel):
    weight: Annotated[int, Field(ge=1)]
    lines: list[str]


@pytest.fixture
def app() -> FastAPI:
    made = http.create_app("test")

    @made.post("/parcels")
    async def post(parcel: Parcel) -> dict[str, int]:
        return {"weight": parcel.weight}

    @made.get("/conflict")
    async def conflict() -> None:
        raise Problem(409, "already sent", [("status", "is sent")], known="yes")

    @made.get("/away")
    async def away() -> None:
        raise Transient("connection refused by 10.0.0.1")

    @made.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail")

    return made


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_an_invalid_body_names_every_field(client: httpx.AsyncClient) -> None:
    answer = await client.post("/parcels", json={"weight": 0})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert {each["field"] for each in answer.json()["errors"]} == {"weight", "lines"}
    broken = await client.post(
        "/parcels", content=b"{", headers={"content-type": "application/json"}
    )
    assert (broken.status_code, broken.headers["content-type"]) == (422, PROBLEM)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PATCH", "/parcels", 405),
        ("GET", "/conflict", 409),
        ("GET", "/away", 503),
        ("GET", "/broken", 500),
    ],
)
async def test_every_error_is_a_problem_that_tells_no_secret(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert (body["status"], body["type"]) == (status, "about:blank")
    assert body["title"]
    assert "secret" not in answer.text
    assert "10.0.0.1" not in answer.text
    if status == 409:
        assert body["errors"] == [{"field": "status", "message": "is sent"}]
        assert body["known"] == "yes"


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused_announced_or_not(
    client: httpx.AsyncClient, announced: bool
) -> None:
    body = b'"' + b"x" * http.BODY_BYTES_MAX + b'"'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    content = body if announced else chunks()
    answer = await client.post(
        "/parcels", content=content, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)


def request_with(authorization: str | None) -> Request:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request({"type": "http", "headers": headers})


async def test_a_key_opens_what_its_scopes_name_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({keys.digest("k1"): {"name": "shop", "scopes": ["returns:read"]}}))
    found = ApiKeys(Settings(_env_file=None, returns_api_keys_file=str(file)))
    assert "k1" not in file.read_text()
    assert found.allow(request_with("Bearer k1"), "returns:read") == "shop"
    for authorization, scope, status in (
        (None, "returns:read", 401),
        ("Bearer k2", "returns:read", 401),
        ("Basic k1", "returns:read", 401),
        ("Bearer k1", "returns:write", 403),
    ):
        with pytest.raises(Problem) as refused:
            found.allow(request_with(authorization), scope)
        assert refused.value.status == status


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": {"name": "x", "scopes": ["everything"]}}', '{"a": {"scopes": []}}']
)
async def test_a_broken_keys_file_stops_the_start_in_one_sentence(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(SystemExit, match="RETURNS_API_KEYS_FILE"):
        ApiKeys(Settings(_env_file=None, returns_api_keys_file=str(file)))


async def test_without_keys_only_this_machine_is_listened_to(tmp_path: Path) -> None:
    everywhere = Settings(_env_file=None, listen_host="0.0.0.0")
    assert server.host(everywhere) == "127.0.0.1"
    guarded = everywhere.model_copy(update={"returns_api_keys_file": str(tmp_path / "keys")})
    assert server.host(guarded) == "0.0.0.0"
    assert ApiKeys(everywhere).allow(request_with(None), "returns:write") is None
