"""Finds the running system: by the environment, else the embedded one of RETURNS_HOME."""

from __future__ import annotations

import os
import re
from typing import Any

import httpx

from services.chassis import environment
from services.chassis.settings import Settings
from services.ops import home
from services.ops.console import Refused
from services.ops.stack import WITH_A_STORE

CALL_SECONDS_MAX = 20.0
KEY_VARIABLE = "RETURNS_API_KEY"
WEB_ADDRESS = re.compile(r"https?://[^/\s]")


def gateway_url() -> str:
    """Where the gateway answers. Raises Refused when nothing runs."""
    return _named("GATEWAY_URL") or str(_published()["gateway"])


def databases() -> dict[str, str]:
    """service -> database URL: the environment's, else the embedded system's.

    Raises Refused when none is known.
    """
    settings = Settings()
    given = {
        name: settings.database_url(name)
        for name in WITH_A_STORE
        if getattr(settings, f"{name}_database_url")
    }
    live = home.published(home.folder())
    embedded = live["databases"] if live is not None else {}
    return {**embedded, **given} or dict(_published()["databases"])


def addresses() -> dict[str, Any]:
    """Broker, gateway, sandbox and databases, as `returns up --json` names them.

    Raises Refused when nothing runs.
    """
    settings = Settings()
    live = home.published(home.folder()) or {}
    return {
        "kafka": settings.kafka_bootstrap_servers or live.get("kafka") or _published()["kafka"],
        "gateway": gateway_url(),
        "sandbox": os.environ.get("SANDBOX_URL") or live.get("sandbox") or settings.sandbox_url,
        "databases": databases(),
    }


def point_environment() -> None:
    """Name an embedded system in the environment, for what looks only there."""
    found = home.published(home.folder())
    if found is None:
        return
    os.environ.setdefault("GATEWAY_URL", found["gateway"])
    os.environ.setdefault("COMMERCE_URL", found["commerce"])
    os.environ.setdefault("SANDBOX_URL", found["sandbox"])
    os.environ.setdefault("KAFKA_BOOTSTRAP_SERVERS", found["kafka"])
    for service, url in found["databases"].items():
        os.environ.setdefault(f"{service.upper()}_DATABASE_URL", url)


def client() -> httpx.Client:
    """Calls the gateway, with the key of RETURNS_API_KEY where one is set."""
    return _client(gateway_url())


def payment_client() -> httpx.Client:
    """Calls the payment service: PAYMENT_URL, else the embedded system's. Raises Refused."""
    return _client(_named("PAYMENT_URL") or str(_published()["payment"]))


def key_headers() -> dict[str, str]:
    """The header that shows the key of RETURNS_API_KEY; none where none is set."""
    key = environment.read(KEY_VARIABLE)
    return {"Authorization": f"Bearer {key}"} if key else {}


def _named(variable: str) -> str:
    """The address in a variable; empty when it is not set. Raises Refused when it is none."""
    url = os.environ.get(variable, "").rstrip("/")
    if url and not WEB_ADDRESS.match(url):
        raise Refused(f"{variable}: {url!r} does not start with http://host or https://host")
    return url


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=CALL_SECONDS_MAX, headers=key_headers())


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, when it is a good one. Raises Refused with the problem's own words."""
    if answer.is_success:
        return answer
    try:
        problem = answer.json()
    except ValueError:
        raise Refused(f"{answer.status_code}: {answer.text[:500]}") from None
    fields = "".join(
        f"\n  {each['field']}: {each['message']}" for each in problem.get("errors", ())
    )
    raise Refused(f"{answer.status_code}: {problem.get('detail', problem.get('title'))}{fields}")


def _published() -> dict[str, Any]:
    folder = home.folder()
    found = home.published(folder)
    if found is None:
        raise Refused(
            f"no system runs in {folder}: start one with `returns up`, or set GATEWAY_URL (and"
            " the *_DATABASE_URL variables) to the one you mean"
        )
    return found
