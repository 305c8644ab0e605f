"""Calls to systems outside: an answer, a no, nothing done for certain, or nobody knows."""

from __future__ import annotations

from typing import Any

import httpx

from services.chassis.errors import Transient
from services.chassis.transport import Transport

CONNECT_SECONDS_MAX = 3.0
CALL_SECONDS_MAX = 8.0
KEEP_SECONDS_MAX = 4.0
"""Many servers close a connection that was idle for five."""
CONNECTIONS_MAX = 32
REASON_LENGTH_MAX = 500
WAITS = frozenset({401, 403, 407, 408, 425, 429})
"""Our key is wrong, or it is too early: nothing was done, and the same call may work later."""


class Refused(Exception):
    """The other side understood and said no."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.status = status
        self.code = code
        self.reason = reason


class Unclear(Exception):
    """The call may have had its effect: no answer, or an answer that proves nothing."""


def client(base_url: str) -> httpx.AsyncClient:
    """Connections are kept; nothing is sent twice."""
    limits = httpx.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=KEEP_SECONDS_MAX)
    timeout = httpx.Timeout(CALL_SECONDS_MAX, connect=CONNECT_SECONDS_MAX, pool=CONNECT_SECONDS_MAX)
    return httpx.AsyncClient(base_url=base_url, timeout=timeout, transport=Transport(limits=limits))


async def call(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    json: dict[str, Any] | None = None,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """The JSON answer of a 2xx. Raises Refused (4xx), Transient (not sent, or WAITS), Unclear."""
    try:
        answer = await http.request(method, path, json=json, params=params, headers=headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Transient(f"{http.base_url} cannot be reached: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise Unclear(f"{method} {path}: {type(error).__name__}") from error
    if answer.status_code in WAITS:
        raise Transient(f"{method} {path}: {answer.status_code}")
    if answer.is_server_error:
        raise Unclear(f"{method} {path}: {answer.status_code}")
    body = _json(answer)
    if answer.is_client_error:
        nested = body.get("error")
        fault: dict[str, Any] = nested if isinstance(nested, dict) else body
        reason = str(fault.get("message") or fault.get("detail") or answer.text)
        code = str(fault.get("code") or f"http_{answer.status_code}")
        raise Refused(answer.status_code, code, reason[:REASON_LENGTH_MAX])
    return body


def _json(answer: httpx.Response) -> dict[str, Any]:
    if not answer.content:
        return {}
    try:
        body = answer.json()
    except ValueError as error:
        if answer.is_client_error:
            return {}
        raise Unclear(f"{answer.request.url.path}: the answer is not JSON") from error
    return body if isinstance(body, dict) else {}
