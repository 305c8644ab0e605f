"""The wire to systems outside against a real socket: what is told when an answer goes wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from services.chassis import wire
from services.chassis.wire import Limits, Wire
from services.ops.embedded import processes
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

LIMITS = Limits(connections=2, connect_seconds=5.0, read_seconds=0.5, keep_seconds=60.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRequest-Id: req_1\r\n\r\n{}"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[str]:
    """The address of a server that treats every connection with `talk`."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def a_wire(**changes: float) -> Wire:
    limits = Limits(**{**{name: getattr(LIMITS, name) for name in LIMITS.__slots__}, **changes})
    return Wire(limits, ssl.create_default_context())


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def always(answer: bytes) -> tuple[Talk, list[int]]:
    """Gives one answer to every request; the second part counts the connections."""
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while True:
            try:
                await head_of(reader)
            except asyncio.IncompleteReadError:
                return
            writer.write(answer)

    return talk, connections


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"{}"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
            b"{}",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 402 Payment Required\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
    ],
)
async def test_an_answer_is_read_whole_and_its_connection_used_again(
    answer: bytes, body: bytes
) -> None:
    talk, connections = always(answer)
    async with served(talk) as address:
        line = a_wire()
        for _ in range(3):
            found, status, _ = await line.request("get", f"{address}/v1/x?a=1", {"A": "b"})
            assert (found, status) == (body, int(answer.split()[1]) if b"402" in answer else 200)
        line.close()
    assert len(connections) == 1


async def test_the_request_arrives_as_it_was_meant() -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await head_of(reader) + await reader.readexactly(3))
        writer.write(OK)

    async with served(talk) as address:
        _, _, headers = await a_wire().request("post", f"{address}/v1/r", {"Key": "k"}, b"a=1")
    assert headers["request-id"] == "req_1"
    host = address.removeprefix("http://").encode()
    assert seen == [
        b"POST /v1/r HTTP/1.1\r\nHost: " + host + b"\r\nKey: k\r\nContent-Length: 3\r\n\r\na=1"
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx.ReadError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", httpx.ReadError),
        (b"SSH-2.0-what\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_an_answer_that_breaks_off_says_that_nobody_knows(
    answer: bytes, error: type[Exception]
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(answer)
        await writer.drain()

    async with served(talk) as address:
        with pytest.raises(error):
            await a_wire().request("post", f"{address}/", {}, b"a=1")


async def test_silence_ends_after_the_time_out_and_the_late_answer_is_nobodys() -> None:
    answers = asyncio.Queue[bytes]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head_of(reader)
        writer.write(await answers.get())

    async with served(talk) as address:
        line = a_wire(read_seconds=0.05)
        with pytest.raises(httpx.ReadTimeout):
            await line.request("get", f"{address}/first", {})
        answers.put_nowait(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        answers.put_nowait(OK)
        line = Wire(LIMITS, ssl.create_default_context())
        assert (await line.request("get", f"{address}/second", {}))[0] == b"{}"


async def test_a_connection_on_which_more_came_than_was_asked_is_not_used_again() -> None:
    talk, connections = always(OK + OK)
    async with served(talk) as address:
        line = a_wire()
        for _ in range(2):
            assert (await line.request("get", f"{address}/", {}))[0] == b"{}"
    assert len(connections) == 2


async def test_a_kept_connection_that_the_server_has_closed_is_replaced() -> None:
    closed = asyncio.Event()
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await head_of(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with served(talk) as address:
        line = a_wire()
        await line.request("get", f"{address}/", {})
        await closed.wait()
        await wait_for(lambda: not line.idle(), what="the wire hears of it")
        await line.request("get", f"{address}/", {})
    assert len(connections) == 2


async def test_an_old_connection_is_not_trusted() -> None:
    talk, connections = always(OK)
    async with served(talk) as address:
        line = a_wire(keep_seconds=0.0)
        for _ in range(2):
            await line.request("get", f"{address}/", {})
    assert len(connections) == 2


async def test_nobody_listens_and_no_place_is_free_mean_that_nothing_was_sent() -> None:
    with pytest.raises(httpx.ConnectError):
        await a_wire().request("get", f"http://127.0.0.1:{processes.free_port()}/", {})

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(silent) as address:
        line = a_wire(connections=1, connect_seconds=0.05)
        first = asyncio.create_task(line.request("get", f"{address}/", {}))
        await asyncio.sleep(0)
        with pytest.raises(httpx.PoolTimeout):
            await line.request("get", f"{address}/", {})
        with pytest.raises(httpx.ReadTimeout):
            await first


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "snow ☃"])
async def test_a_header_that_would_be_two_is_not_sent(value: str) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        await a_wire().request("get", "http://127.0.0.1:1/", {"Idempotency-Key": value})


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 1000)
    talk, _ = always(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
    async with served(talk) as address:
        with pytest.raises(httpx.RemoteProtocolError):
            await a_wire().request("get", f"{address}/", {})


async def test_httpx_speaks_over_the_wire() -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            asked.append(await head_of(reader) + await reader.readexactly(7))
            writer.write(b'HTTP/1.1 409 Conflict\r\nContent-Length: 8\r\n\r\n{"a": 1}')
            await writer.drain()

    async with served(talk) as address:
        transport = wire.Transport(LIMITS, ssl.create_default_context())
        async with httpx.AsyncClient(base_url=address, transport=transport) as http:
            for _ in range(2):
                answer = await http.post("/x?y=1", json={"b": 2}, headers={"Idempotency-Key": "k"})
                assert (answer.status_code, answer.json()) == (409, {"a": 1})
    for request in asked:
        assert request.startswith(b"POST /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        assert request.lower().count(b"content-length: 7\r\n") == 1
        assert b"idempotency-key: k\r\n" in request
        assert request.endswith(b'\r\n\r\n{"b":2}')


async def test_httpx_tells_what_the_wire_tells() -> None:
    transport = wire.Transport(LIMITS, ssl.create_default_context())
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://127.0.0.1:1/")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(silent) as address:
        transport = wire.Transport(LIMITS, ssl.create_default_context())
        async with httpx.AsyncClient(base_url=address, transport=transport) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.get("/")
