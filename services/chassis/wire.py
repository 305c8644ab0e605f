"""HTTP/1.1 to systems outside over kept connections, at a sixth of a general client's CPU.

Only what a JSON API needs: a form or nothing goes out, a body of known length or in chunks comes
back. No redirects, cookies, compression or proxies; nothing is ever sent twice. The errors are
httpx's, with the difference that counts for money: ConnectError, ConnectTimeout and PoolTimeout
say that not one byte of the request has left, every other one says that nobody knows.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httptools
import httpx

ANSWER_BYTES_MAX = 16 * 1024 * 1024
WIRES_OWN = frozenset({"host", "content-length", "accept-encoding", "connection"})
"""Headers that the wire writes by itself, or that offer what it cannot do."""
PORTS = {"http": 80, "https": 443}
Answer = tuple[bytes, int, dict[str, str]]
"""body, status, headers by their names in lower case"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    connections: int
    connect_seconds: float
    """For a free place among the connections, and again for a new connection."""
    read_seconds: float
    """From the first byte sent to the last byte read."""
    keep_seconds: float
    """How long an idle connection is trusted; shorter than servers keep it."""


class Wire:
    """Requests of one process, each on a connection of its own while it lasts."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._tls = tls
        self._places = asyncio.Semaphore(limits.connections)
        self._idle: dict[tuple[str, str], list[_Connection]] = {}

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """The answer, whatever its status. Raises httpx.TransportError."""
        split = urlsplit(url)
        if split.scheme not in PORTS or split.hostname is None:
            raise httpx.UnsupportedProtocol(f"cannot speak {split.scheme or 'nothing'}")
        request = _head(method, split.netloc, split.path, split.query, headers, body) + body
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection was free") from None
        try:
            return await self._exchange((split.scheme, split.netloc), request)
        finally:
            self._places.release()

    async def _exchange(self, address: tuple[str, str], request: bytes) -> Answer:
        connection = self._kept(address) or await self._connected(*address)
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                answer = await connection.exchange(request)
        except TimeoutError:
            connection.close()
            raise httpx.ReadTimeout("no answer in time") from None
        except BaseException:  # whatever ended it, the rest of the answer is nobody's
            connection.close()
            raise
        if connection.reusable:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(address, []).append(connection)
        else:
            connection.close()
        return answer

    def _kept(self, address: tuple[str, str]) -> _Connection | None:
        """The connection used last, if it is still fresh: the others then grow old and go."""
        idle = self._idle.get(address, [])
        oldest = time.monotonic() - self._limits.keep_seconds
        while idle:
            connection = idle.pop()
            if connection.reusable and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _connected(self, scheme: str, netloc: str) -> _Connection:
        split = urlsplit(f"{scheme}://{netloc}")
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection,
                    split.hostname or "",
                    split.port or PORTS[scheme],
                    ssl=self._tls if scheme == "https" else None,
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except OSError as error:  # a certificate that is not trusted is one too
            raise httpx.ConnectError(str(error)) from error
        return connection

    def idle(self) -> int:
        """How many kept connections wait for a request."""
        return sum(each.reusable for group in self._idle.values() for each in group)

    def close(self) -> None:
        """Close what is idle."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()


class Transport(httpx.AsyncBaseTransport):
    """The wire under httpx's own client: ``httpx.AsyncClient(transport=…)``."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext) -> None:
        self._wire = Wire(limits, tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name not in WIRES_OWN}
        body, status, answered = await self._wire.request(
            request.method, str(request.url), headers, await request.aread()
        )
        return httpx.Response(status, headers=answered, content=body)

    async def aclose(self) -> None:
        self._wire.close()


def proxied(url: str) -> bool:
    """As the environment says it to httpx, and to everybody else (HTTPS_PROXY, NO_PROXY)."""
    split = urlsplit(url)
    return split.scheme in getproxies() and not proxy_bypass(split.netloc)


def _head(
    method: str, netloc: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    lines = [
        f"{method.upper()} {path or '/'}{'?' if query else ''}{query} HTTP/1.1",
        f"Host: {netloc}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body or method.upper() not in ("GET", "HEAD", "DELETE"):
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise httpx.LocalProtocolError("a line break in the head of a request")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header that HTTP cannot carry") from error


class _Connection(asyncio.Protocol):
    """One connection; one exchange at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.reusable = True
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def exchange(self, request: bytes) -> Answer:
        """Send, and wait for the whole answer. Raises httpx.TransportError."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body = {}, bytearray()
        self._transport.write(request)
        return await self._answered

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if self._answered is None or self._answered.done():
            self.close()  # nobody asked: the next answer would be the wrong one
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"no HTTP answer: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(httpx.ReadError(str(error or "closed before the answer was complete")))

    def _fail(self, error: httpx.TransportError) -> None:
        self.reusable = False
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)

    # Called by the parser.
    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self._body) + len(body) > ANSWER_BYTES_MAX:
            self._fail(httpx.RemoteProtocolError(f"more than {ANSWER_BYTES_MAX} bytes"))
            return
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < httpx.codes.OK:  # "continue" and its like: the answer is still to come
            self._headers, self._body = {}, bytearray()
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result((bytes(self._body), status, self._headers))
        else:
            self.close()  # a second answer to one request
