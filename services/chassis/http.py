"""HTTP alike in all services: problem+json (RFC 9457), bounded bodies, API keys with scopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request

PROBLEM_JSON = "application/problem+json"
BODY_BYTES_MAX = 1024 * 1024


class Problem(Exception):
    """An answer that is an error: raise it anywhere below a route."""

    def __init__(
        self,
        status: int,
        title: str,
        *,
        detail: str | None = None,
        errors: Sequence[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
        **extension: Any,
    ) -> None:
        """`errors` are (field, message) pairs, where fields are to blame."""
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers
        self.extension = extension


def application(title: str, routes: Sequence[APIRouter] = (), **options: Any) -> FastAPI:
    """A FastAPI application whose every error is problem+json and whose bodies are bounded."""
    raise NotImplementedError


def requires(scope: str) -> Callable[[Request], str]:
    """A dependency that lets in who holds `scope`, and returns the key's name.

    401 without a key, 403 without the scope. Without configured keys everybody on the loopback
    interface may do everything, and the name is ``local``.
    """
    raise NotImplementedError


async def serve(application_: FastAPI, *, host: str, port: int) -> None:
    """Listen until cancelled (for what is no consumer of the bus, such as the sandbox)."""
    raise NotImplementedError
