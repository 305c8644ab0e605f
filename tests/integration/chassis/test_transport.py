"""Requests to systems outside, over real sockets: what is certain when an answer goes wrong.

Both ways out are held to it: the transport under httpx, and the client under Stripe's library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import pytest_asyncio
import stripe

from services.chassis.transport import Transport
from services.ops.embedded import processes
from services.payment.processors import errors, stripe_client
from services.payment.processors.port import Verdict

pytestmark = pytest.mark.asyncio

READ_SECONDS = 0.5
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Post = Callable[[str], Awaitable[bytes]]
"""Posts a=1 to an address; the body of the answer. Raises Unsent or Unknown."""


class Unsent(Exception):
    pass


class Unknown(Exception):
    pass


@pytest_asyncio.fixture(params=["httpx", "stripe"])
async def post(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Post]:
    async with AsyncExitStack() as stack:
        if request.param == "httpx":
            timeout = httpx.Timeout(READ_SECONDS, connect=1.0, pool=READ_SECONDS / 2)
            limits = httpx.Limits(max_connections=1)
            client = httpx.AsyncClient(transport=Transport(limits=limits), timeout=timeout)
            yield _over_httpx(await stack.enter_async_context(client))
        else:
            monkeypatch.setattr(stripe_client, "READ_SECONDS_MAX", READ_SECONDS)
            monkeypatch.setattr(stripe_client, "CONNECT_SECONDS_MAX", READ_SECONDS / 2)
            monkeypatch.setattr(stripe_client, "CONNECTIONS_MAX", 1)
            http = stripe_client.Http()
            stack.push_async_callback(http.close_async)
            yield _over_stripe(http)


def _over_httpx(client: httpx.AsyncClient) -> Post:
    async def post(address: str) -> bytes:
        try:
            return (await client.post(address, data={"a": "1"})).content
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unsent from error
        except httpx.HTTPError as error:
            raise Unknown from error

    return post


def _over_stripe(http: stripe_client.Http) -> Post:
    async def post(address: str) -> bytes:
        try:
            return (await http.request_async("post", address, {}, "a=1"))[0]
        except stripe.APIConnectionError as error:
            unsent = errors.trouble(error).verdict is Verdict.NOT_SENT
            raise (Unsent if unsent else Unknown) from error

    return post


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[str]:
    """The address of a server that treats every connection with `talk`."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x"


async def request_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(b"a=1"))


@pytest.mark.parametrize("answer", [OK, CHUNKED], ids=["length", "chunks"])
async def test_a_connection_is_kept_between_answers(post: Post, answer: bytes) -> None:
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while True:
            await request_of(reader)
            writer.write(answer)

    async with served(talk) as address:
        assert [await post(address) for _ in range(3)] == [b"{}"] * 3
    assert len(connections) == 1


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"SSH-2.0-what\r\n\r\n"],
    ids=["nothing", "a half", "no HTTP"],
)
@pytest.mark.parametrize("earlier", [0, 1], ids=["first on it", "on a kept connection"])
async def test_what_breaks_off_after_it_was_sent_is_unknown_and_never_sent_again(
    post: Post, answer: bytes, earlier: int
) -> None:
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(earlier):
            requests.append(await request_of(reader))
            writer.write(OK)
        requests.append(await request_of(reader))
        writer.write(answer)
        await writer.drain()

    async with served(talk) as address:
        for _ in range(earlier):
            assert await post(address) == b"{}"
        with pytest.raises(Unknown):
            await post(address)
    assert len(requests) == earlier + 1


async def test_silence_ends_after_the_time_out_and_a_late_answer_is_nobodys(post: Post) -> None:
    late = asyncio.Event()
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        await request_of(reader)
        if len(connections) == 1:
            await late.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        else:
            writer.write(OK)
        await reader.read()

    async with served(talk) as address:
        with pytest.raises(Unknown):
            await post(address)
        late.set()
        assert await post(address) == b"{}"


async def test_nobody_listens_means_that_nothing_was_sent(post: Post) -> None:
    with pytest.raises(Unsent):
        await post(f"http://127.0.0.1:{processes.free_port()}/")


async def test_no_free_connection_means_that_nothing_was_sent(post: Post) -> None:
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_of(reader))
        await reader.read()

    async with served(talk) as address:
        first = asyncio.create_task(post(address))
        while not requests:
            await asyncio.sleep(0)
        with pytest.raises(Unsent):
            await post(address)
        with pytest.raises(Unknown):
            await first
    assert len(requests) == 1
