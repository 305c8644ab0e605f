"""The outside world in process: the sandbox's own app, without sockets, threads or a wall clock."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import aiohttp
import httpx

from services.chassis.settings import Settings
from services.fulfillment import outside as goods_calls
from services.payment.processors import stripe_client
from services.sandbox import (
    __main__ as sandbox,
)
from services.sandbox import (
    carrier,
    processor,
    stripe_api,
    stripe_objects,
    warehouse,
    webhooks,
)
from services.sandbox.pages import SCHEMA, Pages
from services.sandbox.processor import Processor
from tests.simulation.world import Clock

Json = dict[str, Any]
Trouble = Callable[[httpx.Request], Awaitable[str | None]]
"""What happens to a call of a service: a name of CALL_TROUBLE, or None."""
SECRET = "whsec_simulation"
EVENTS_MAX = 20
WITH_TIME = (carrier, processor, stripe_objects, warehouse, webhooks)


class MemoryBook:
    """The sandbox's book without a file and without a thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        database = sqlite3.connect(":memory:", isolation_level=None)
        database.executescript(SCHEMA)
        self.pages = Pages(database)

    async def write(self, work: Callable[[Pages], Any]) -> Any:
        with self.pages.all_or_nothing():
            return work(self.pages)


class _Time:
    """Stands in for the module `time` in the sandbox."""

    gmtime, strftime = staticmethod(time.gmtime), staticmethod(time.strftime)

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock.at.timestamp()


class _Secrets:
    """Stands in for the module `secrets` in the sandbox."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def token_hex(self, size: int) -> str:
        return self._chance.randbytes(size).hex()

    def randbelow(self, limit: int) -> int:
        return self._chance.randrange(limit)


class Transport(httpx.AsyncBaseTransport):
    """The way to the sandbox: calls arrive, or the trouble of the moment happens to them."""

    def __init__(self, app: Any, outside: Outside) -> None:
        self._inner = httpx.ASGITransport(app)
        self._outside = outside

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        trouble = await self._outside.trouble(request)
        if trouble is None:
            return await self._arrive(request)
        return await CALL_TROUBLE[trouble](self, request)

    async def _arrive(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        return httpx.Response(
            response.status_code, headers=response.headers, content=body, request=request
        )

    async def unreachable(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody listens", request=request)

    async def lost(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("the request was lost", request=request)

    async def unanswered(self, request: httpx.Request) -> httpx.Response:
        await self._arrive(request)
        raise httpx.ReadTimeout("the answer was lost", request=request)

    async def late(self, request: httpx.Request) -> httpx.Response:
        self._outside.later.append((request.method, request.url, request.headers, request.content))
        raise httpx.ReadTimeout("the request travels on", request=request)

    async def failed_before(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, json=stripe_api.FAILED, request=request)

    async def failed_after(self, request: httpx.Request) -> httpx.Response:
        await self._arrive(request)
        return httpx.Response(500, json=stripe_api.FAILED, request=request)

    async def too_many(self, request: httpx.Request) -> httpx.Response:
        headers = {"Retry-After": "1"}
        return httpx.Response(429, json=stripe_api.TOO_MANY, headers=headers, request=request)

    async def garbled(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>Bad gateway</html>", request=request)


CALL_TROUBLE: dict[str, Callable[[Transport, httpx.Request], Awaitable[httpx.Response]]] = {
    "unreachable": Transport.unreachable,
    "lost": Transport.lost,
    "unanswered": Transport.unanswered,
    "late": Transport.late,
    "failed_before": Transport.failed_before,
    "failed_after": Transport.failed_after,
    "too_many": Transport.too_many,
    "garbled": Transport.garbled,
}


class _Http(stripe_client.Http):
    """Stripe's client over the transport, which fails as its own connections would."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._client = httpx.AsyncClient(transport=transport)

    async def request_async(
        self, method: str, url: str, headers: Any, post_data: Any = None
    ) -> tuple[bytes, int, Any]:
        body = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            answer = await self._client.request(method, url, headers=headers, content=body)
        except httpx.ConnectError:
            self._handle_request_error(aiohttp.ConnectionTimeoutError("nobody listens"))
        except httpx.TransportError as error:
            self._handle_request_error(aiohttp.ServerTimeoutError(str(error)))
        return answer.content, answer.status_code, answer.headers


class Outside:
    """Processor, carrier and warehouse; one for all seeds of a process."""

    def __init__(self) -> None:
        self.book = MemoryBook()
        self.app = sandbox.create_app(_settings(), self.book, self)  # type: ignore[arg-type]
        self.later: list[tuple[str, httpx.URL, httpx.Headers, bytes]] = []
        self.trouble: Trouble = _none
        transport = Transport(self.app, self)
        self._transport = transport
        self.stripe_http = _Http(transport)
        self.goods_http = httpx.AsyncClient(transport=transport, base_url="http://sandbox")

    def wake(self) -> None:
        """The sandbox asks for its background work; the world does it when it is due."""

    def reset(self, clock: Clock, chance: Random, trouble: Trouble) -> None:
        """A world where nothing has happened yet."""
        self.book.reset()
        self.later.clear()
        self.trouble = trouble
        for module in WITH_TIME:
            vars(module)["time"] = _Time(clock)
        vars(stripe_objects)["secrets"] = _Secrets(chance)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Services that are built inside reach this world in place of the network."""
        stripe_made, goods_made = stripe_client.Http, goods_calls.client
        stripe_client.Http = lambda: self.stripe_http  # type: ignore[assignment, misc]
        goods_calls.client = lambda base_url: self.goods_http
        try:
            yield
        finally:
            stripe_client.Http, goods_calls.client = stripe_made, goods_made  # type: ignore[misc]
            for module in WITH_TIME:
                vars(module)["time"] = time
            vars(stripe_objects)["secrets"] = secrets

    @property
    def processor(self) -> Processor:
        return Processor(self.book.pages)

    def all_of(self, kind: str) -> list[Json]:
        """Everything of a kind that processor and warehouse have written down."""
        page = {"parent": None, "place": None, "earliest": 0, "latest": 2**53, "limit": 1000}
        return self.book.pages.older(kind=kind, **page)

    def next_due(self) -> float | None:
        """Seconds since 1970 of the next thing that happens here by itself."""
        pages = self.book.pages
        dues = [pages.next_reminder(), pages.next_event(-1.0)]
        return min((due for due in dues if due is not None), default=None)

    def pass_time(self, now: float) -> list[str]:
        """What was put off happens: refunds settle or fail. Which ones."""
        done = self.book.pages.take_reminders(now)
        for what, subject in done:
            webhooks.LATER[what](self.processor, subject)
        return [f"{what} {subject}" for what, subject in done]

    async def deliver_late(self) -> str:
        """A call that its caller gave up on arrives after all; what it was."""
        method, url, headers, content = self.later.pop(0)
        request = httpx.Request(method, url, headers=headers, content=content)
        response = await self._transport._arrive(request)
        return f"{method} {url.path} {response.status_code}"

    def due_events(self, now: float) -> list[tuple[int, str, int, str]]:
        return self.book.pages.due_events(now, EVENTS_MAX)

    def entries(self) -> list[Json]:
        """The processor's book: every movement of money."""
        found: list[Json] = json.loads(self.book.pages.entries())
        return found


async def _none(request: httpx.Request) -> str | None:
    return None


def _settings() -> Settings:
    return Settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1")
