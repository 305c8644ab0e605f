"""The documentation: a page to read, and documents for programs."""

from __future__ import annotations

import html
import json
from importlib import resources
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic.json_schema import models_json_schema

from contracts.topics import MESSAGES
from services.chassis.http import PROBLEM_SCHEMA, Problem
from services.gateway import gateway as door
from services.gateway.api import examples

router = APIRouter(tags=["documentation"])

VERSION = "1"
DESCRIPTION = """Returns and refunds. Money is an integer in the currency's minor unit, times are
RFC 3339 in UTC. Errors are RFC 9457 problems that name each field to blame. Consumers ignore
fields and enum values that they do not know."""
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{background:#f4f4f5;padding:.8rem;overflow:auto;font-size:13px}code{font-size:14px}
h2{border-top:1px solid #ddd;padding-top:1rem;font-size:1.1rem}table{border-collapse:collapse}
td{padding:.1rem .8rem .1rem 0;vertical-align:top}"""


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of all calls, with an example of each; made once."""
    made: dict[str, Any] | None = getattr(app.state, "openapi", None)
    if made is None:
        made = get_openapi(
            title="Returns", version=VERSION, description=DESCRIPTION, routes=app.routes
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        _, bodies = models_json_schema(
            [(model, "validation") for model in examples.BODIES.values()],
            ref_template="#/components/schemas/{model}",
        )
        schemas.update(bodies["$defs"])
        schemas["Problem"] = PROBLEM_SCHEMA
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}, {}]
        app.state.openapi = made
    return made


@router.get("/openapi.json", include_in_schema=False)
async def get_openapi_document(request: Request) -> Response:
    return JSONResponse(openapi(request.app))


@router.get("/asyncapi.json", include_in_schema=False)
async def get_asyncapi_document() -> Response:
    """The committed AsyncAPI document."""
    text = resources.files("contracts").joinpath("asyncapi.json").read_text()
    return Response(text, media_type="application/json")


@router.get("/schemas/{name}.json", include_in_schema=False)
async def get_schema(name: str) -> Response:
    """The committed JSON Schema of a message."""
    if name not in MESSAGES:
        raise Problem(404, f"there is no message {name[:100]!r}")
    text = resources.files("contracts").joinpath("schemas", f"{name}.json").read_text()
    return Response(text, media_type="application/schema+json")


@router.get("/docs", include_in_schema=False)
async def get_docs(request: Request) -> Response:
    document = openapi(request.app)
    calls = [
        _call(method.upper(), path, call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    messages = " · ".join(f'<a href="/schemas/{name}.json">{name}</a>' for name in sorted(MESSAGES))
    keys = (
        "Send <code>Authorization: Bearer &lt;key&gt;</code>."
        if door.of(request).keys.configured
        else "No keys are configured: every call from this machine is allowed."
    )
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Returns</title>"
        f"<style>{STYLE}</style><h1>Returns</h1><p>{html.escape(DESCRIPTION)}</p><p>{keys}</p>"
        f'<p><a href="/openapi.json">OpenAPI</a> · <a href="/asyncapi.json">AsyncAPI</a></p>'
        f"{''.join(calls)}<h2>Messages on the bus</h2><p>{messages}</p></html>"
    )


def _call(method: str, path: str, call: dict[str, Any]) -> str:
    parts = [
        f"<h2><code>{method} {html.escape(path)}</code></h2>",
        f"<p>{html.escape(call.get('summary', ''))}</p>",
        f"<p>{html.escape(call.get('description', ''))}</p>",
    ]
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        example = json.dumps(content["example"], indent=2)
        parts.append(f"<pre>{html.escape(example)}</pre>")
    rows = "".join(
        f"<tr><td>{status}<td>{html.escape(answer['description'])}"
        for status, answer in sorted(call["responses"].items())
    )
    return "".join(parts) + f"<table>{rows}</table>"
