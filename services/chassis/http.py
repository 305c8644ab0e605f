"""What every HTTP face shares: problem+json (RFC 9457), bounded bodies, /healthz, /metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from services.chassis import faults, telemetry
from services.chassis.errors import Transient
from services.chassis.http_metrics import Measured

BODY_BYTES_MAX = 1024 * 1024
PROBLEM = "application/problem+json"
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


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
UNREADABLE_BODY = "There was an error parsing the body"
"""What FastAPI says of a body that breaks its parser, such as one nested too deeply."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a call: the problems that it may answer, for its OpenAPI document."""
    content = {PROBLEM: {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


class Problem(HTTPException):
    """An answer in problem+json; `errors` is a list of (field, message)."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[tuple[str, str]] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **extension: Any,
    ) -> None:
        super().__init__(status, detail, headers)
        self.status = status
        self.errors = errors or []
        self.extension = extension


def problem_response(problem: Problem) -> JSONResponse:
    """The problem as RFC 9457 wants it, with `errors` where fields are to blame."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        **problem.extension,
    }
    if problem.errors:
        body["errors"] = [{"field": field, "message": message} for field, message in problem.errors]
    return JSONResponse(
        body, status_code=problem.status, media_type=PROBLEM, headers=problem.headers
    )


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
        announced: bytes = dict(scope["headers"]).get(b"content-length", b"0")
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


def create_app(title: str, **arguments: Any) -> FastAPI:
    """A FastAPI app whose every error is problem+json, with /healthz and /metrics."""
    anywhere = problems(400, 413, 422, 503)
    app = FastAPI(title=title, **{"redoc_url": None, "responses": anywhere, **arguments})
    app.add_middleware(BodyLimit)
    app.add_middleware(Measured, service=title.removeprefix("returns "))
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(StarletteHTTPException, _on_http)
    app.add_exception_handler(Transient, _on_transient)
    app.add_exception_handler(Exception, _on_failure)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    return app


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(Problem(422, "the request is not valid", field_errors(error)))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if error.status_code == 400 and error.detail == UNREADABLE_BODY:
        error = Problem(400, "the body cannot be read", [("body", "is no JSON that can be read")])
    if not isinstance(error, Problem):
        headers = dict(error.headers) if error.headers else None
        error = Problem(error.status_code, str(error.detail), headers=headers)
    return problem_response(error)


async def _on_transient(request: Request, error: Exception) -> Response:
    telemetry.log.warning("http_waits", path=request.url.path, error=type(error).__name__)
    return problem_response(
        Problem(503, "the store is not available; try again", headers={"Retry-After": "1"})
    )


async def _on_failure(request: Request, error: Exception) -> Response:
    if faults.is_transient(error):
        return await _on_transient(request, error)
    telemetry.log.error("http_failed", path=request.url.path, exc_info=error)
    return problem_response(Problem(500, "something failed here; it has been logged"))


async def _metrics(request: Request) -> Response:
    before = getattr(request.app.state, "before_metrics", None)
    if before is not None:
        await before()
    return Response(telemetry.exposition(), media_type="text/plain; version=0.0.4")


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}
