"""Requests to a processor leave by the proxy that the environment names, and nothing else of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
import stripe

from services.payment.processors import stripe_client

pytestmark = pytest.mark.asyncio
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NO_TUNNEL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
LOGIN = "Basic dXNlcjpwYXNz"  # user:pass


async def asked(monkeypatch: pytest.MonkeyPatch, url: str, *, no_proxy: str = "") -> str:
    """The head of the first request that arrives when `url` is asked for."""
    heads: list[str] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(NO_TUNNEL if heads[0].startswith("CONNECT") else OK)
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://user:pass@127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, no_proxy)
    http = stripe_client.Http()
    try:
        async with listener:
            with suppress(stripe.APIConnectionError):
                await http.request_async(
                    "get", url.format(port=port), {"Authorization": "Bearer k"}
                )
    finally:
        await http.close_async()
    [head] = heads
    return head


async def test_a_tunnel_is_asked_for_with_the_proxy_s_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = await asked(monkeypatch, "https://processor.invalid/v1/refunds")
    assert head.startswith("CONNECT processor.invalid:443 ")
    assert f"Proxy-Authorization: {LOGIN}" in head
    assert "Bearer k" not in head


async def test_a_request_goes_to_the_proxy_with_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    head = await asked(monkeypatch, "http://processor.invalid/v1/refunds")
    assert head.startswith("GET http://processor.invalid/v1/refunds ")
    assert f"Proxy-Authorization: {LOGIN}" in head


async def test_what_needs_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    head = await asked(monkeypatch, "http://127.0.0.1:{port}/v1/refunds", no_proxy="127.0.0.1")
    assert head.startswith("GET /v1/refunds ")
    assert "Proxy-Authorization" not in head


async def test_a_password_file_of_the_user_is_never_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(file))
    head = await asked(monkeypatch, "http://127.0.0.1:{port}/v1/refunds", no_proxy="127.0.0.1")
    assert "Authorization: Bearer k" in head
