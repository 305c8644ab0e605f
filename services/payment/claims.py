"""The right to submit a try of a refund, taken right before it, together with what else waits."""

from __future__ import annotations

import asyncio
from typing import Any

from services.chassis.clock import Clock
from services.payment import store
from services.payment.messages import SubmitRefund

Waiting = tuple[SubmitRefund, "asyncio.Future[bool]"]


class Claims:
    """One statement, and one flush to disk, for all executors that wait at the same time."""

    def __init__(self, pool: Any, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._waiting: list[Waiting] = []
        self._taking: asyncio.Task[None] | None = None

    async def take(self, intent: SubmitRefund) -> bool:
        """Whether this try is ours, for ever; False where somebody had it already."""
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((intent, taken))
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_all())
        return await taken

    async def _take_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, []
            try:
                ours = await store.claim(
                    self._pool, [intent for intent, _ in together], self._clock.now()
                )
            except Exception as error:
                for _, taken in together:
                    if not taken.done():
                        taken.set_exception(error)
                continue
            for intent, taken in together:
                key = (intent.refund_id, intent.attempt, intent.tries)
                won = key in ours
                ours.discard(key)  # two executors of one try: only one of them has it
                if not taken.done():
                    taken.set_result(won)
