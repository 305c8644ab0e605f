"""What every call of the gateway has at hand, and how it publishes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import httpx
from fastapi import Request

from contracts.base import Message
from services.chassis import ids, outbox, tracing
from services.chassis.clock import Clock
from services.chassis.errors import Poison
from services.chassis.http import Problem
from services.chassis.keys import ApiKeys
from services.chassis.outbox import OutboxRow
from services.chassis.settings import Settings
from services.gateway import intake
from services.gateway.model import View
from services.gateway.store import Store
from services.gateway.streams import Streams

NAME = "gateway"
LOCAL = "local"
"""The caller where no keys are configured: anybody on this machine."""
TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


@dataclass(frozen=True, kw_only=True)
class Gateway:
    settings: Settings
    store: Store
    clock: Clock
    keys: ApiKeys
    streams: Streams
    commerce: httpx.AsyncClient
    """Commerce's internal HTTP interface."""

    def now(self) -> datetime:
        return self.clock.now()

    def row(self, request: Request, body: Message, *, key: str, ce_id: str) -> OutboxRow:
        """An outbox row for `body`. Raises Problem 413 for what no broker would take."""
        envelope = outbox.envelope_for(body, id_=ce_id, service=NAME, now=self.now(), cause=None)
        trace = request.headers.get("traceparent", "")
        with tracing.span(
            f"{request.method} {type(body).__name__}",
            return_id=getattr(body, "return_id", None),
            traceparent=trace if TRACEPARENT.match(trace) else None,
            kind="SERVER",
        ) as caused:
            envelope = dataclasses.replace(envelope, traceparent=caused)
        prefix = self.settings.topic_prefix
        try:
            return outbox.row(body, service=NAME, prefix=prefix, key=key, envelope=envelope)
        except Poison as error:
            raise Problem(413, str(error)) from error

    async def known(self, path_id: str) -> View:
        """The return that a path names. Raises Problem 404."""
        view = await self.store.view(intake.return_id(path_id))
        if view is None:
            raise intake.unknown_return(path_id)
        return view


def of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def holding(*scopes: str) -> Callable[[Request], Awaitable[str]]:
    """A dependency: lets in who holds one of `scopes` and gives the name of the key's owner.

    Raises Problem 401 without a valid key, 403 without the scope. Where no keys are configured
    everybody on the loopback interface is let in as LOCAL.
    """

    async def caller(request: Request) -> str:
        return of(request).keys.allow(request, *scopes) or LOCAL

    caller.__name__ = f"holding_{'_or_'.join(scopes)}"
    caller.scopes = scopes  # type: ignore[attr-defined]
    return caller


def event_id(request: Request, caller: str, message: type[Message], return_id: str) -> str:
    """The ce_id of a request's message: the same for the same Idempotency-Key, else a new one."""
    key = intake.idempotency_key(request)
    if key is None:
        return ids.new()
    return ids.derived(NAME, message.__name__, return_id, caller, key)
