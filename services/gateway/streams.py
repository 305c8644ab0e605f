"""Server-sent events: one look at the store for all open streams, several times a second.

Looking is the same for one process and for many, and outlives a store that goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg

from contracts.lifecycle import ReturnStatusChanged
from services.chassis import faults
from services.chassis.telemetry import log
from services.gateway.store import Store

LOOK_SECONDS = 0.2
LOOK_AGAIN_SECONDS = 2.0
STREAMS_MAX = 500


class Streams:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[asyncio.Future[None], tuple[str, int]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._open = 0

    @property
    def full(self) -> bool:
        return self._open >= STREAMS_MAX

    async def follow(self, return_id: str, after: int) -> AsyncIterator[ReturnStatusChanged]:
        """Every status change with a number above `after`, each once, for ever.

        A change whose number was overtaken comes late rather than never.
        """
        sent: set[int] = set()
        self._open += 1
        try:
            while (view := await self._store.view(return_id)) is not None:
                for change in view.changes:
                    if change.number > after and change.number not in sent:
                        sent.add(change.number)
                        yield change
                await self._changed(return_id, view.changed)
        finally:
            self._open -= 1

    async def _changed(self, return_id: str, seen: int) -> None:
        """Returns when the return has had more than `seen` status changes."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = (return_id, seen)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(LOOK_SECONDS)
            seen: dict[str, int] = {}
            for return_id, changed in self._waiting.values():
                seen[return_id] = min(changed, seen.get(return_id, changed))
            try:
                moved = set(await self._store.changed_since(seen))
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("streams_cannot_look", error=faults.described(error))
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                continue
            for waiter, (return_id, _) in list(self._waiting.items()):
                if return_id in moved and not waiter.done():
                    waiter.set_result(None)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
