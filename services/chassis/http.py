"""What every HTTP face shares: problem+json (RFC 9457), body limit, API keys, health."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from services.chassis import telemetry
from services.chassis.settings import Settings

BODY_BYTES_MAX = 1024 * 1024
PROBLEM = "application/problem+json"
SCOPES = frozenset(
    {"orders:write", "returns:write", "returns:read", "reviews:write", "warehouse:write"}
)
TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Invalid",
    500: "Internal error",
    503: "Not available",
}


class Problem(Exception):
    """An answer in problem+json; `errors` is a list of (field, message)."""

    def __init__(self, status: int, detail: str, errors: list[tuple[str, str]] | None = None):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []


def problem_response(problem: Problem) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = [{"field": field, "message": message} for field, message in problem.errors]
    return JSONResponse(body, status_code=problem.status, media_type=PROBLEM)


def field_errors(error: ValidationError | RequestValidationError) -> list[tuple[str, str]]:
    """(dotted field, message) of everything that is wrong."""
    found = []
    for each in error.errors():
        steps = [str(step) for step in each["loc"] if step not in ("body", "query", "path")]
        found.append((".".join(steps) or "body", str(each["msg"])))
    return found


class BodyLimit:
    """Refuses bodies over the limit, announced or not, before they are held in memory."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > BODY_BYTES_MAX:
            refusal = problem_response(Problem(413, f"at most {BODY_BYTES_MAX} bytes"))
            await refusal(scope, receive, send)
            return
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES_MAX:
                raise Problem(413, f"at most {BODY_BYTES_MAX} bytes")
            return message

        await self.app(scope, counted, send)


class ApiKeys:
    """Keys and their scopes from a JSON file {sha256 of key: {name, scopes[]}}; none: all is open.

    Without keys a service listens on loopback only.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings.returns_api_keys_file) if settings.returns_api_keys_file else None
        self._keys: dict[str, dict[str, Any]] = {}
        if self.path is not None:
            try:
                self._keys = json.loads(self.path.read_text())
            except (OSError, ValueError) as error:
                raise SystemExit(
                    f"RETURNS_API_KEYS_FILE: {self.path} cannot be read: {error}"
                ) from None

    @property
    def configured(self) -> bool:
        return self.path is not None

    def allow(self, request: Request, scope: str) -> str | None:
        """The name of the key's owner; None without configured keys. Raises Problem 401 or 403."""
        if not self.configured:
            return None
        owner = self.owner(request)
        if owner is None:
            raise Problem(401, "send a valid key as Authorization: Bearer <key>")
        if scope not in owner["scopes"]:
            raise Problem(403, f"this key lacks the scope {scope}")
        return str(owner["name"])

    def has(self, request: Request, scope: str) -> bool:
        """Whether the caller holds a scope; True without configured keys."""
        if not self.configured:
            return True
        owner = self.owner(request)
        return owner is not None and scope in owner["scopes"]

    def owner(self, request: Request) -> dict[str, Any] | None:
        given = request.headers.get("authorization", "")
        if not given.lower().startswith("bearer "):
            return None
        digest = hashlib.sha256(given[7:].strip().encode()).hexdigest()
        for known, owner in self._keys.items():
            if hmac.compare_digest(known.encode(), digest.encode()):
                return owner
        return None


def create_app(title: str, **arguments: Any) -> FastAPI:
    """A FastAPI app whose every error is problem+json."""
    app = FastAPI(title=title, redoc_url=None, **arguments)
    app.add_middleware(BodyLimit)

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> JSONResponse:
        return problem_response(problem)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(Problem(422, "the request is not valid", field_errors(error)))

    @app.exception_handler(StarletteHTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        response = problem_response(Problem(error.status_code, str(error.detail)))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def on_failure(request: Request, error: Exception) -> JSONResponse:
        telemetry.log.error("http_failed", path=request.url.path, exc_info=error)
        return problem_response(Problem(500, "something failed here; it has been logged"))

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4")

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app
