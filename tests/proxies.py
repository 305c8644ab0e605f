"""A TCP proxy between two real parts, which a test may cut, slow down or leave half open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

READ_BYTES = 65536


class Proxy:
    """Lets everything through, until it is told to cut, freeze or delay it.

    `cut()` ends every connection and refuses new ones; `freeze()` keeps them open, and takes new
    ones, but passes nothing on; `delay` holds back what passes, in seconds. `mend()` ends it all.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self.delay = 0.0
        self.port = 0

    async def mend(self) -> None:
        self.delay = 0.0
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()

    def drop(self) -> None:
        """End every connection; new ones are let through."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        self._flowing.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._flowing.wait()
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:  # what is behind us is away
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            with suppress(asyncio.CancelledError):  # the end of the loop ends it too
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._writers -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def proxied(host: str, port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port)
    await proxy.mend()
    try:
        yield proxy
    finally:
        await proxy.mend()
        await proxy.cut()
